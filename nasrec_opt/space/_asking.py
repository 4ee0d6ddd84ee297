"""Checks of Optuna trials that are asked for a genotype, each with a clear error message.

An enqueued trial may hold parameters that the space does not have; this is a `GenotypeError` of
that trial. A sampler or a study may belong to another space; then every trial would be wrong, which
is a `StudyError`. Optuna answers all of these with a `ValueError` about distributions.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nasrec_opt._foreign.optuna import fixed_params
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.space._choices import BLOCK_GENES, WIDE, is_active
from nasrec_opt.space._hardware_gene import HardwareGene

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

Label = int | str  # what a storage and a dashboard show


def enqueued(trial: BaseTrial) -> Mapping[str, Any]:
    """The parameters that `study.enqueue_trial` fixed; the others are the sampler's to choose."""
    return fixed_params(trial)


def check_known(params: Mapping[str, Any], names: Mapping[str, Any], space: str) -> None:
    """Refuse enqueued parameters that look like this library's but do not exist in the space.

    Other names may belong to the caller's own part of the objective.

    Args:
        params: The enqueued parameters.
        names: Every parameter that the space can have.
        space: What to call the space.

    Raises:
        GenotypeError: A parameter would silently be ignored; the nearest known name is a hint.
    """
    for name in params:
        if not isinstance(name, str) or name in names:
            continue
        place, _, gene = name.partition(".")
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
        if near or (gene and (place == "hw" or (place[:1] == "b" and place[1:].isdigit()))):
            hint = f"; did you mean {near[0]}?" if near else ""
            raise GenotypeError(
                f"{name}: expected a parameter of {space}, got an unknown one{hint}"
            )


def check_label(name: str, label: Any, known: Mapping[Label, Any]) -> None:
    """Refuse a label that the parameter does not have.

    Raises:
        GenotypeError: It names some of the known labels.
    """
    try:
        if label in known:
            return
    except TypeError:  # a list, which no dictionary can look up
        pass
    shown = ", ".join(map(str, list(known)[:12]))
    more = ", ..." if len(known) > 12 else ""
    raise GenotypeError(f"{name}: expected one of {shown}{more}, got {label!r}")


def check_sampler(
    trial: BaseTrial, known: Mapping[str, Mapping[Label, Any]], num_blocks: int, space: str
) -> None:
    """Refuse a sampler that proposes genotypes of another space.

    Args:
        trial: Of the sampler; a `FixedTrial` has none.
        known: Labels by parameter of the space, those with one value left out.
        num_blocks: Blocks of the space.
        space: What to call the space.

    Raises:
        StudyError: It names the space, the sampler and a parameter.
    """
    proposed = getattr(trial, "relative_search_space", None) or {}
    ours = {name: d for name, d in proposed.items() if _is_gene(name, d)}
    if not ours:
        return
    sampler = type(trial.study.sampler)  # type: ignore[attr-defined]  # of a `Trial` alone
    wrong = None
    for name, distribution in ours.items():
        if name not in known:
            wrong = f"proposes {name}, which the space does not ask"
        elif getattr(distribution, "choices", None) != tuple(known[name]):
            wrong = f"proposes other choices for {name}"
        if wrong:
            break
    else:
        # Our samplers propose whole genotypes. Others may leave out any parameter; Optuna's propose
        # only the parameters that all trials have in common.
        last = f"b{num_blocks}."
        is_whole = sampler.__module__.startswith("nasrec_opt.")
        missing = [name for name in known if name not in ours and not _is_conditional(name)]
        if is_whole and missing:
            is_block = not any(name.startswith(last) for name in ours)
            is_block &= any(name.startswith(last) for name in missing)
            wrong = f"proposes nothing for {f'block {num_blocks}' if is_block else missing[0]}"
    if wrong:
        raise StudyError(
            f"{space}: expected a sampler and a study of the same space, but {sampler.__name__} "
            f"{wrong}; give both the same SearchSpace, and use another study for another space"
        )


def check_study(trial: BaseTrial, name: str, space: str, error: ValueError) -> None:
    """Translate Optuna's error for earlier trials that have other choices.

    Raises:
        StudyError: It names the space, the study's sampler and the parameter.
    """
    if "dynamic value space" in str(error):
        study = trial.study  # type: ignore[attr-defined]  # a `FixedTrial` has no earlier trials
        raise StudyError(
            f"study {study.study_name!r}: expected trials of {space}, but earlier ones by "
            f"{type(study.sampler).__name__} have other choices for {name}; use another study for "
            "another space"
        ) from error


def _is_conditional(name: str) -> bool:
    """Whether only some operators have the gene, so that not every trial asks for it."""
    gene = name.partition(".")[2]
    return gene in BLOCK_GENES and not is_active(gene, ())


def _is_gene(name: str, distribution: Any) -> bool:
    if name == WIDE:  # unless it is a parameter of the caller's own of that name
        choices = getattr(distribution, "choices", ())
        return len(choices) == 2 and all(isinstance(choice, bool) for choice in choices)
    place, _, gene = name.partition(".")
    if place == "hw":
        return gene in HardwareGene.__dataclass_fields__
    return place[:1] == "b" and place[1:].isdigit() and gene in BLOCK_GENES
