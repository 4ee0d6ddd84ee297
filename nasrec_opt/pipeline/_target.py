"""Which architecture a command is about: a genotype, or a model of a run by its rank.

Every command that takes an architecture reads it here, so that all of them take the same.
"""

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
from nasrec_opt.space import Genotype, is_named, named_genotype, published_models

GENOTYPE = "genotype.json"  # in the folder of a trained or a pruned model
MODEL = "model"  # in the folder of a trained model
LEVELS = 5  # folders between a run folder and the genotype of one of its models, at most


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
    path: Path | str,
    *,
    model: int | None = None,
    run: Path | None = None,
    technology: Path | None = None,
    num_dense: int | None = None,
    num_sparse: int | None = None,
) -> Target:
    """Read the model that a user points at.

    Args:
        path: A genotype in JSON, the folder of a trained model, a run folder, a run's
            `results.json`, `published:` and the name of a model of the paper, or `like:` and the
            name of a hand-made one.
        model: Rank of the retrained model in a run, from 1, or None for the best.
        run: The run folder whose conditions hold for a genotype.
        technology: Technology TOML in place of the run's, or None for the run's.
        num_dense: Number of dense columns, for a genotype without a run.
        num_sparse: Number of sparse columns, for a genotype without a run.

    Returns:
        The genotype, with the columns and the accelerator of its run where it has one. A published
        model has the columns of the paper's log.

    Raises:
        NasrecError: There is no such thing, or the options contradict each other.
        StudyError: A file cannot be read, there is no such model, or the options contradict each
            other.
        GenotypeError: The genotype is not valid.
    """
    counts = {"--num-dense": num_dense, "--num-sparse": num_sparse}
    results = results_at(path)
    if results is not None and run is not None:
        raise StudyError(f"--run: expected only with a genotype, got the run {path}")
    if results is None and model is not None:
        raise StudyError(f"--model: expected only with a run, got the genotype {path}")
    if results is None and run is None:
        run = _run_above(path)
    if results is not None or run is not None:
        for option, count in counts.items():
            if count is not None:
                raise StudyError(
                    f"{option}: expected only without a run, since the columns of a run are known"
                )
    if results is not None:
        return _model_of(results, 1 if model is None else model, technology)
    genotype = read_genotype(path)
    if run is not None:
        return Target(genotype, _conditions_of(RunFolder(run), technology))
    published = published_models().get(str(path).partition(":")[2])
    if published is not None and is_named(path):
        num_dense = published.num_dense if num_dense is None else num_dense
        num_sparse = published.num_sparse if num_sparse is None else num_sparse
    return Target(genotype, assumed_conditions(technology, num_dense, num_sparse))


def results_at(path: Path | str) -> Path | None:
    """Find the results of the run that a user points at.

    Args:
        path: What `read_target` takes.

    Returns:
        The file, which need not exist, or None where `path` is a single architecture.

    Raises:
        GenotypeError: It is a file that cannot be read, or is not JSON.
    """
    if is_named(path):
        return None
    path = Path(path)
    if path.is_dir():
        return None if genotype_in(path) else RunFolder(path).results
    values = _read(path)
    return path if isinstance(values, dict) and "models" in values else None


def read_genotype(path: Path | str) -> Genotype:
    """Read a single architecture.

    Args:
        path: A genotype in JSON, the folder of a trained model, `published:` and the name of a
            model of the paper, or `like:` and the name of a hand-made one.

    Returns:
        The genotype.

    Raises:
        GenotypeError: There is no such model, or it is not valid.
    """
    if is_named(path):
        return named_genotype(path)
    file = genotype_in(Path(path)) or Path(path)
    return Genotype.from_dict(_read(file), str(file))


def models_of(results: Path) -> list[Genotype]:
    """Read the retrained models of a run.

    Args:
        results: Its `results.json`.

    Returns:
        Their genotypes, the best on validation rows first.

    Raises:
        StudyError: The file is missing, or holds something else.
        GenotypeError: A genotype is not valid.
    """
    _require(results)
    return [
        Genotype.from_dict(model["genotype"], f"{results}: model {rank}")
        for rank, model in enumerate(read_results(results)["models"], start=1)
    ]


def genotype_in(folder: Path) -> Path | None:
    """The genotype of a trained model in its folder."""
    places = (folder / GENOTYPE, folder / MODEL / GENOTYPE)
    return next((file for file in places if file.is_file()), None)


def _run_above(path: Path | str) -> Path | None:
    """The finished run that the folder of a model is in, or the genotype in that folder."""
    path = Path(path)
    if not (genotype_in(path) or path.name == GENOTYPE):
        return None
    above = list(path.absolute().parents)[:LEVELS]
    return next((place for place in above if RunFolder(place).results.exists()), None)


def _require(results: Path) -> None:
    """Refuse a run without retrained models.

    Raises:
        StudyError: The file is missing.
    """
    if not results.exists():
        others = sorted(results.parent.parent.glob("searches/*/results.json"))
        instead = f"one of {', '.join(map(str, others))}" if others else "a run that has some"
        raise StudyError(
            f"{results}: expected the retrained models of a run, found nothing there; give "
            f"{instead}, or a genotype"
        )


def _model_of(results: Path, rank: int, technology: Path | None) -> Target:
    """A retrained model of a run, under the run's conditions."""
    models = models_of(results)
    if not 1 <= rank <= len(models):
        raise StudyError(f"{results}: --model: expected 1 to {len(models)}, got {rank}")
    genotype, found = models[rank - 1], read_results(results)
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
