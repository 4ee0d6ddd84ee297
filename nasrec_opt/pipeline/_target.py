"""Which architecture a command is about: a genotype, or a model of a run by its rank."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasrec_opt._files import read_text
from nasrec_opt._results import read_results
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.pipeline._conditions import Conditions, assumed_conditions, conditions_of_run
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.space import Genotype


@dataclass(frozen=True, slots=True)
class Target:
    """One architecture, and the conditions under which it is costed.

    Args:
        genotype: The architecture.
        conditions: Columns and accelerator.
    """

    genotype: Genotype
    conditions: Conditions


def read_target(
    path: Path,
    *,
    model: int | None = None,
    run: Path | None = None,
    technology: Path | None = None,
    num_dense: int | None = None,
    num_sparse: int | None = None,
) -> Target:
    """Read the model that a user points at.

    Args:
        path: A genotype in JSON, a run folder, or a run's `results.json`.
        model: Rank of the retrained model in a run, from 1, or None for the best.
        run: The run folder whose conditions hold for a genotype.
        technology: Technology TOML in place of the run's, or None for the run's.
        num_dense: Number of dense columns, for a genotype without a run.
        num_sparse: Number of sparse columns, for a genotype without a run.

    Returns:
        The genotype, with the columns and the accelerator of its run where it has one.

    Raises:
        NasrecError: There is no such thing, or the options contradict each other.
        StudyError: A file cannot be read, there is no such model, or the options contradict each
            other.
        GenotypeError: The genotype is not valid.
    """
    counts = {"--num-dense": num_dense, "--num-sparse": num_sparse}
    values: Any = None if path.is_dir() else _read(path)
    is_run = path.is_dir() or (isinstance(values, dict) and "models" in values)
    if is_run and run is not None:
        raise StudyError(f"--run: expected only with a genotype, got the run {path}")
    if not is_run and model is not None:
        raise StudyError(f"--model: expected only with a run, got the genotype {path}")
    if is_run or run is not None:
        for option, count in counts.items():
            if count is not None:
                raise StudyError(
                    f"{option}: expected only without a run, since the columns of a run are known"
                )
    if is_run:
        results = RunFolder(path).results if path.is_dir() else path
        return _model_of(results, 1 if model is None else model, technology)
    genotype = Genotype.from_dict(values, str(path))
    if run is None:
        return Target(genotype, assumed_conditions(technology, num_dense, num_sparse))
    return Target(genotype, _conditions_of(RunFolder(run), technology))


def _model_of(results: Path, rank: int, technology: Path | None) -> Target:
    """A retrained model of a run, under the run's conditions."""
    if not results.exists():
        others = sorted(results.parent.parent.glob("searches/*/results.json"))
        instead = f"one of {', '.join(map(str, others))}" if others else "a run that has some"
        raise StudyError(
            f"{results}: expected the retrained models of a run, found nothing there; give "
            f"{instead}, or a genotype"
        )
    found = read_results(results)
    models = found["models"]
    if not 1 <= rank <= len(models):
        raise StudyError(f"{results}: --model: expected 1 to {len(models)}, got {rank}")
    genotype = Genotype.from_dict(models[rank - 1]["genotype"], f"{results}: model {rank}")
    if "conditions" in found:
        return Target(genotype, _recorded(found, results).on(technology))
    folder = RunFolder(results.parent.parent)  # of a version that did not write them down
    return Target(genotype, conditions_of_run(folder, technology))


def _conditions_of(folder: RunFolder, technology: Path | None) -> Conditions:
    if not folder.path.is_dir():
        raise StudyError(f"{folder.path}: expected a run folder, found nothing there")
    if folder.results.exists():
        found = read_results(folder.results)
        if "conditions" in found:
            return _recorded(found, folder.results).on(technology)
    return conditions_of_run(folder, technology)


def _recorded(results: Mapping[str, Any], file: Path) -> Conditions:
    """The conditions that a run wrote down."""
    try:
        return Conditions.from_dict(results["conditions"])
    except (KeyError, TypeError) as error:
        raise StudyError(
            f"{file}: conditions: expected the features and the technology of a run, got "
            f"{results['conditions']!r:.100}"
        ) from error


def _read(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        GenotypeError: It cannot be read, or is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise GenotypeError(
            f"{path}: expected a genotype in JSON, or a run, got {reason}"
        ) from error
