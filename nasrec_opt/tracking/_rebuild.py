"""From a run in MLflow back to its model (invariant 6 of the design).

A trial's run has its genotype, the fingerprint of the data, the shape of the input, the seeds and
the version of the code. Nothing else is needed to build the model and train it again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.space import FLOAT_BITS, Genotype
from nasrec_opt.tracking._record import (
    COMMIT_TAG,
    DATA_TAG,
    FEATURES_TAG,
    GENOTYPE_TAG,
    SEED_TAG,
    VERSION_TAG,
)
from nasrec_opt.tracking._values import joined

if TYPE_CHECKING:
    from nasrec_opt.supernet import Subnet

IGNORED_BITS_TAG = "nasrec.quantized"  # of old runs; "false": the model ignored its bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that is needed to make the model of a run again.

    Args:
        genotype: The architecture at the bits that the model was computed with.
        features: Shape of the input, or None if no data was logged.
        data_fingerprint: Fingerprint of the dataset, or None if none was logged.
        seeds: Seeds by their use; all others follow from `study`.
        version: Version of this library.
        commit: Commit of the checkout that it ran from, or None for an installed wheel.
    """

    genotype: Genotype
    features: FeatureSpec | None
    data_fingerprint: str | None
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
        seeds={
            name.removeprefix(SEED_TAG).removeprefix(".") or "study": int(value)
            for name, value in tags.items()
            if name == SEED_TAG or name.startswith(f"{SEED_TAG}.")
        },
        version=tags.get(VERSION_TAG),
        commit=tags.get(COMMIT_TAG),
    )


def rebuild(run: Any, *, seed: int | None = None, max_table_rows: int | None = 500_000) -> Subnet:
    """Build the model of a run, untrained; `retrain` gives it its weights.

    Args:
        run: A run from `MlflowClient.get_run` or `search_runs`.
        seed: Seed of the initial weights. None means the run's seed `model`; without one, `study`;
            without either, 0.
        max_table_rows: Maximum rows of one column's embedding table, or None for full tables.

    Returns:
        The model, with fresh weights.

    Raises:
        StudyError: The run has no genotype, or no shape of the input.
        GenotypeError: Its genotype is not valid.
    """
    recipe = recipe_of(run)
    if recipe.features is None:
        raise StudyError(
            f"run {run.info.run_id}: expected the tag {FEATURES_TAG!r}, got none: log the dataset "
            "with its features before the search"
        )
    if seed is None:
        seed = recipe.seeds.get("model", recipe.seeds.get("study", 0))
    from nasrec_opt.supernet import Subnet  # imported late: only building a model needs torch

    return Subnet(
        recipe.genotype,
        recipe.features,
        seed,
        max_table_rows=max_table_rows,
    )
