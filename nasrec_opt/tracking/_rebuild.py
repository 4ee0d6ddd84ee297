"""From a run in MLflow back to its model (invariant 6 of the design).

A trial's run has its genotype, the fingerprint of the data, the shape of the input, the seeds and
the version of the code. Nothing else is needed to build the model and train it again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.space import FLOAT_BITS, Genotype
from nasrec_opt.tracking._record import (
    BALANCE_TAG,
    COMMIT_TAG,
    DATA_TAG,
    FEATURES_TAG,
    GENOTYPE_TAG,
    LAYER_NORM_TAG,
    SCORED_BITS_TAG,
    SEED_TAG,
    TABLE_ROWS_TAG,
    VERSION_TAG,
)
from nasrec_opt.tracking._values import joined

if TYPE_CHECKING:
    from nasrec_opt.supernet import Subnet

SUPERNET_TABLE_ROWS = 500_000  # of runs that do not say
IGNORED_BITS_TAG = "nasrec.quantized"  # of old runs; "false": the model ignored its bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that is needed to make the model of a run again.

    Args:
        genotype: The architecture at the bits that the model was computed with.
        features: Shape of the input, or None if no data was logged.
        data_fingerprint: Fingerprint of the dataset, or None if none was logged.
        balance: Whether dot products project their vectors, or None if it was not logged.
        layer_norm: Whether a layer norm follows each operator.
        max_table_rows: Maximum rows of one column's embedding table, or None for full tables; a
            supernet's default if it was not logged.
        scored_bits: `float` if the score was computed in floating point whatever the genotype's
            bits are, otherwise `genotype`.
        seeds: Seeds by their use; all others follow from `study`.
        version: Version of this library.
        commit: Commit of the checkout that it ran from, or None for an installed wheel.
    """

    genotype: Genotype
    features: FeatureSpec | None
    data_fingerprint: str | None
    balance: bool | None
    layer_norm: bool
    max_table_rows: int | None
    scored_bits: str
    seeds: dict[str, int]
    version: str | None
    commit: str | None


def genotype_of(run: Any) -> Genotype:
    """Read the genotype from the MLflow run of a trial or of a retrained model.

    Args:
        run: A run from `MlflowClient.get_run` or `search_runs`.

    Returns:
        The genotype.

    Raises:
        StudyError: The run has no genotype.
        GenotypeError: Its genotype is not valid.
    """
    text = joined(run.data.tags, GENOTYPE_TAG)
    if text is None:
        raise StudyError(f"run {run.info.run_id}: expected the tag {GENOTYPE_TAG!r}, got none")
    return Genotype.from_json(text, f"run {run.info.run_id}")


def recipe_of(run: Any) -> Recipe:
    """Read everything about the model from the MLflow run of a trial or a retrained model.

    Args:
        run: A run from `MlflowClient.get_run` or `search_runs`.

    Returns:
        Genotype, shape of the input, data fingerprint, seeds and versions.

    Raises:
        StudyError: The run has no genotype.
        GenotypeError: Its genotype is not valid.
    """
    tags = run.data.tags
    features, genotype = joined(tags, FEATURES_TAG), genotype_of(run)
    if tags.get(IGNORED_BITS_TAG) == "false":
        genotype = genotype.with_bits(FLOAT_BITS)
    return Recipe(
        genotype=genotype,
        features=FeatureSpec.from_dict(json.loads(features)) if features else None,
        data_fingerprint=tags.get(DATA_TAG),
        balance=json.loads(tags[BALANCE_TAG]) if BALANCE_TAG in tags else None,
        layer_norm=tags.get(LAYER_NORM_TAG) != "false",
        max_table_rows=_table_rows(tags.get(TABLE_ROWS_TAG)),
        scored_bits=tags.get(SCORED_BITS_TAG, "genotype"),
        seeds={
            name.removeprefix(SEED_TAG).removeprefix(".") or "study": int(value)
            for name, value in tags.items()
            if name == SEED_TAG or name.startswith(f"{SEED_TAG}.")
        },
        version=tags.get(VERSION_TAG),
        commit=tags.get(COMMIT_TAG),
    )


def rebuild(
    run: Any,
    *,
    seed: int | None = None,
    balance: bool | None = None,
    max_table_rows: int | Literal["logged"] | None = "logged",
) -> Subnet:
    """Build the model of a run, untrained; `retrain` gives it its weights.

    Args:
        run: A run from `MlflowClient.get_run` or `search_runs`.
        seed: Seed of the initial weights. None means the run's seed `model`; without one, `study`;
            without either, 0.
        balance: Whether dot products project their vectors, for a run that does not say; None means
            what the run says.
        max_table_rows: Maximum rows of one column's embedding table, or None for full tables.
            `logged` means what the run says, or 500,000 where it says nothing.

    Returns:
        The model at the bits of its genotype, with fresh weights.

    Raises:
        StudyError: The run has no genotype, no shape of the input, or does not say whether dot
            products project their vectors.
        GenotypeError: Its genotype is not valid.
    """
    recipe = recipe_of(run)
    balance = recipe.balance if balance is None else balance
    missing = [
        repr(tag)
        for tag, value in ((FEATURES_TAG, recipe.features), (BALANCE_TAG, balance))
        if value is None
    ]
    if missing or recipe.features is None or balance is None:
        raise StudyError(
            f"run {run.info.run_id}: expected the tag {' and '.join(missing)}, got none: create "
            "the study with objective.create_study, or call logger.log_study before the search"
            + ("" if recipe.features is None else "; or give balance, if you know it")
        )
    if seed is None:
        seed = recipe.seeds.get("model", recipe.seeds.get("study", 0))
    from nasrec_opt.supernet import Subnet  # imported late: only building a model needs torch

    return Subnet(
        recipe.genotype,
        recipe.features,
        seed,
        max_table_rows=recipe.max_table_rows if max_table_rows == "logged" else max_table_rows,
        balance=balance,
        layer_norm=recipe.layer_norm,
    )


def _table_rows(text: str | None) -> int | None:
    if text is None:
        return SUPERNET_TABLE_ROWS
    return None if text == "none" else int(text)
