"""The models that `nasrec-opt motifs` is about, in groups that have one search space each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.motifs import MotifRow, compare_with_random
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._searches import place_of, studies_of
from nasrec_opt.pipeline._storage import stored_study
from nasrec_opt.pipeline._target import models_of, read_genotype, results_at
from nasrec_opt.report import read_study, space_of
from nasrec_opt.space import PRESETS, Genotype, SearchSpace, is_named, named_genotypes

MAX_INPUTS = 4  # of a branch, in the searches of the paper


@dataclass(frozen=True, slots=True)
class MotifGroup:
    """Models of one space, and their motifs.

    Args:
        space: The space that random models are drawn from.
        names: What the models are called, such as `trial 17`.
        rows: The motifs, against random models.
    """

    space: SearchSpace
    names: tuple[str, ...]
    rows: tuple[MotifRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            `space`, `models` by name, and `motifs`.
        """
        return {
            "space": self.space.to_dict(),
            "models": list(self.names),
            "motifs": [row.to_dict() for row in self.rows],
        }


def motif_groups(
    targets: Sequence[str],
    *,
    top: int | None = None,
    search: str | None = None,
    space: Path | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> list[MotifGroup]:
    """Read models and compare their motifs with those of random models.

    Args:
        targets: Run folders, for trials of their searches, or without one for their models; the
            `results.json` of runs, for their retrained models; files with a genotype in JSON;
            folders of trained models; `published` for the paper's models and `like` for hand-made
            ones, or `published:NAME` and `like:NAME` for one of them.
        top: Take that many of the best trials of a run by its first objective, or None for its
            Pareto front; of a `results.json` that many of the best models, or None for all.
        search: Name of the search of a run, or None for its first.
        space: TOML file of the space that genotypes are compared with, or None for the preset that
            they name, with at most 4 inputs of a branch, as in the paper's searches.
        samples: Number of random models.
        seed: Seed of the draws.

    Returns:
        A group for each space.

    Raises:
        GenotypeError: A file holds no genotype, or no space is known for one.
        StudyError: A folder holds no search of that name, or none with models.
    """
    given = None if space is None else SearchSpace.from_toml(space)
    found: dict[tuple[Any, ...], dict[Genotype, tuple[str, Genotype]]] = {}
    for target in targets:
        own, models = _read(target, top, search)
        for name, genotype in models:
            # Models without a space of their own are compared by preset and number of blocks.
            key = (target if own else "", own, genotype.space, genotype.num_blocks)
            group = found.setdefault(key, {})
            group.setdefault(genotype.canonical(), (name, genotype))  # each model counts once
    groups = []
    for (_, own, _, _), group in found.items():
        models = list(group.values())
        drawn = own or given or _preset_of(models)
        rows = compare_with_random([g for _, g in models], drawn, samples=samples, seed=seed)
        groups.append(MotifGroup(drawn, tuple(name for name, _ in models), rows))
    return groups


def _read(
    target: str, top: int | None, search: str | None
) -> tuple[SearchSpace | None, list[tuple[str, Genotype]]]:
    """The models of a target, and their space where it is known."""
    if is_named(target):
        return None, [(n.partition(":")[2], g) for n, g in named_genotypes(target).items()]
    path, results = Path(target), results_at(target)
    if results is None:
        return None, [(path.name, read_genotype(target))]
    folder = RunFolder(path)
    if path.is_dir() and (studies_of(folder) or not results.exists()):
        return _of_run(folder, top, search)
    if search is not None:
        raise StudyError(f"--search: expected only with a run folder, got {target}")
    models = islice(models_of(results), top)
    return _space_of(results), [(f"model {rank}", g) for rank, g in enumerate(models, start=1)]


def _space_of(results: Path) -> SearchSpace | None:
    """The space that retrained models were searched in; None where their run is not around them."""
    results = results.absolute()
    for above in list(results.parents)[1:3]:  # of `retrained/`, and of `searches/NAME/`
        folder = RunFolder(above)
        studies = studies_of(folder)
        for name in studies:
            if folder.results_of(place_of(name, studies)) == results:
                with stored_study(folder, name) as study:
                    return space_of(study)
    return None


def _of_run(
    folder: RunFolder, top: int | None, search: str | None
) -> tuple[SearchSpace, list[tuple[str, Genotype]]]:
    """Trials of a search, each model once."""
    names = list(studies_of(folder))
    if not names:
        raise StudyError(f"{folder.path}: expected a run with a search, found none")
    if search is not None and search not in names:
        raise StudyError(
            f"{folder.path}: --search: expected one of {', '.join(names)}, got {search!r}"
        )
    with stored_study(folder, search or names[0]) as study:
        record, space = read_study(study), space_of(study)
    trials = record.front_trials
    if top is not None:
        trials = sorted((t for t in record.trials if t.is_feasible), key=lambda t: t.values)
    models: dict[Genotype, tuple[str, Genotype]] = {}
    for trial in trials:
        if trial.genotype is not None:
            number = f"trial {trial.number}"
            models.setdefault(trial.genotype.canonical(), (number, trial.genotype))
    chosen = list(models.values())[:top]
    if not chosen or space is None:
        raise StudyError(f"{folder.path}: expected trials that meet the constraints, got none")
    return space, chosen


def _preset_of(models: Iterable[tuple[str, Genotype]]) -> SearchSpace:
    """The space of the paper that genotypes name, as large as they need it.

    Raises:
        GenotypeError: They name no preset.
    """
    genotypes = [genotype for _, genotype in models]
    name = genotypes[0].space
    if name not in PRESETS:
        raise GenotypeError(
            f"space {name!r}: expected a preset ({', '.join(PRESETS)}) to draw random models from, "
            "or a file with the space (--space SPACE.toml)"
        )
    blocks = [gene for genotype in genotypes for gene in genotype.blocks]
    most = max(len(inputs) for b in blocks for inputs in (b.dense_inputs, b.sparse_inputs))
    preset: SearchSpace = getattr(SearchSpace, name)(genotypes[0].num_blocks)
    return replace(
        preset,
        max_inputs=MAX_INPUTS if most <= MAX_INPUTS else None,
        multi_operator=any(len(b.dense_ops) > 1 or len(b.sparse_ops) > 1 for b in blocks),
    )
