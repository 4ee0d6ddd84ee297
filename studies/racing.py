"""What a race of trials finds beside a search on all validation rows, and how many rows it reads.

    python -m studies.racing --write docs/decisions/racing.md

Trains a supernet on a synthetic log and searches it twice, on all rows and by a race: with the same
random trials, so that trial by trial compares, and by evolution, whose proposals follow from what
they find. A second table has the error of the first look with several references. An interrupted
study resumes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import optuna
from optuna.trial import FrozenTrial

from nasrec_opt._files import atomic_write
from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.objective import Objective, search
from nasrec_opt.options import TrainConfig
from nasrec_opt.oracle import OracleOptions, Racing, SupernetOracle
from nasrec_opt.pipeline import Reporter
from nasrec_opt.samplers import (
    RegularizedEvolutionSampler,
    SeededRandomSampler,
    hypervolume,
    non_dominated,
)
from nasrec_opt.space import Genotype, SearchSpace
from nasrec_opt.supernet import Supernet, full_supernet, train_supernet
from studies._command import execute
from studies._page import fill, markdown

SPACE = SearchSpace(
    name="racing",
    num_blocks=3,
    sparse_ops=("efc",),
    dense_widths=(16, 32, 64),
    sparse_widths=(8,),
    bits=(32,),
)
TRAIN = TrainConfig(batch_size=2048, epochs=1)
OBJECTIVES = {2: ("log_loss", "mflops"), 3: ("log_loss", "mflops", "parameters")}
SECONDS = "cpu_seconds"  # attribute of a study: after each of its trials
COMPARED = 40  # random genotypes whose differences from a reference are measured


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    parser = argparse.ArgumentParser(prog="studies.racing", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/racing"), help="folder of the results")
    add("--rows", type=int, default=2_000_000, help="rows of the log; a tenth are validation rows")
    add("--trials", type=int, default=100, help="trials of each search")
    add("--objectives", type=int, choices=list(OBJECTIVES), default=3)
    add("--first", type=int, default=Racing().first, help="rows of the first look")
    add("--factor", type=int, default=Racing().factor, help="growth of the rows of a look")
    add("--write", type=Path, metavar="PAGE.md", help="page whose tables to regenerate")
    return execute("racing", run, parser.parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Search what is missing, and write the tables."""
    for name in ("rows", "trials"):
        if getattr(options, name) < 1:
            raise StudyError(f"{name}: expected 1 or more, got {getattr(options, name)}")
    if options.write and not options.write.is_file():
        raise StudyError(f"write: expected a page that exists, got {options.write}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    racing = Racing(first=options.first, factor=options.factor)
    dataset, supernet = _trained(options, reporter)
    found, seconds = {}, {}
    for proposals, rows in product(("random", "evolution"), (None, racing)):
        oracle = SupernetOracle(supernet, dataset, OracleOptions(rows=rows))
        objective = Objective(SPACE, oracle, objectives=OBJECTIVES[options.objectives])
        name = f"{proposals} {options.objectives} {rows}"
        sampler: optuna.samplers.BaseSampler = SeededRandomSampler(0)
        if proposals == "evolution":
            sampler = RegularizedEvolutionSampler(SPACE, seed=0)
        storage = f"sqlite:///{options.out / 'studies.db'}"
        study = objective.create_study(study_name=name, storage=storage, sampler=sampler)
        reporter.begin(name, f"{options.trials} trials")
        spent = study.user_attrs.get(SECONDS, [])
        keep = partial(_keep_cpu_seconds, began=time.process_time() - (spent[-1] if spent else 0.0))
        search(
            study,
            objective,
            n_trials=options.trials,
            callbacks=[keep],
            progress=reporter.advance,
        )
        reporter.end(f"{options.trials} trials")
        found[proposals, rows is not None] = study.get_trials(deepcopy=False)[: options.trials]
        seconds[proposals, rows is not None] = study.user_attrs[SECONDS][options.trials - 1]
    tables = {
        "searches": searches(found, seconds, dataset.split("validation").num_rows),
        "same trials": agreement(found["random", False], found["random", True]),
        "references": references(supernet, dataset, racing, found["random", False]),
    }
    if options.write:
        filled = fill(options.write.read_text(encoding="utf-8"), tables)
        with atomic_write(options.write) as stream:
            stream.write(filled)
    print("\n".join(tables.values()))


def searches(
    found: Mapping[tuple[str, bool], list[FrozenTrial]],
    seconds: Mapping[tuple[str, bool], float],
    num_rows: int,
) -> str:
    """A line for each search: rows, seconds, and the front."""
    lines = []
    for (proposals, is_race), trials in found.items():
        seen = [trial.user_attrs.get("num_rows", num_rows) for trial in trials]
        values = _values(trials)
        both = np.concatenate([_values(found[proposals, race]) for race in (False, True)])
        low, high = both.min(axis=0), np.quantile(both, 0.9, axis=0)
        volume = hypervolume((values - low) / (high - low), np.ones(values.shape[1]))
        lines.append(
            [
                f"{proposals}, {'race' if is_race else 'all rows'}",
                f"{100 * sum(seen) / (num_rows * len(seen)):.1f} %",
                f"{seconds[proposals, is_race]:,.0f}",
                f"{len(_front(values))}",
                f"{volume:.4f}",
                f"{values[:, 0].min():.5f}",
            ]
        )
    head = ["trials", "rows read", "CPU seconds", "front", "hypervolume"]
    return markdown([*head, "best log loss"], lines)


def agreement(whole: Sequence[FrozenTrial], raced: Sequence[FrozenTrial]) -> str:
    """How the same trials differ where one study has seen fewer rows."""
    exact, estimates = _values(whole), _values(raced)
    fronts = _front(exact), _front(estimates)
    error = np.array([trial.user_attrs["log_loss_se"] for trial in raced])
    off = (estimates - exact)[:, 0]
    part = error > 0
    largest = np.abs(off[sorted(fronts[0] | fronts[1])]).max()
    worst = float(np.abs(off / np.where(part, error, 1.0))[part].max(initial=0.0))
    root = float(np.sqrt(np.mean((off[part] / error[part]) ** 2))) if part.any() else 0.0
    lines = [
        ["members of the front on all rows", f"{len(fronts[0])}"],
        ["of the race's front", f"{len(fronts[1])}"],
        ["in both", f"{len(fronts[0] & fronts[1])}"],
        ["largest difference of a member's log loss", f"{largest:.1e}"],
        ["trials that stopped early", f"{part.sum()} of {len(raced)}"],
        ["their standard error, mean", f"{error[part].mean() if part.any() else 0.0:.5f}"],
        ["spread of log losses on all rows", f"{exact[:, 0].std():.5f}"],
        ["their actual error / standard error, root mean square", f"{root:.2f}"],
        ["the same, largest", f"{worst:.2f}"],
    ]
    return markdown(["the same random trials", ""], lines)


def references(
    supernet: Supernet, dataset: Dataset, racing: Racing, trials: Sequence[FrozenTrial]
) -> str:
    """Standard error of the first look of random genotypes with several references."""
    oracle = SupernetOracle(supernet, dataset, OracleOptions(rows=racing.first))
    genotypes = [Genotype.from_trial(trial) for trial in trials[:COMPARED]]
    best = min(trials, key=lambda trial: trial.values[0])
    chosen: list[tuple[str, Callable[[Genotype], float | None]]] = [
        ("none: the log loss on the rows seen", lambda g: oracle.evaluate(g).log_loss_se)
    ]
    for name, reference in (
        ("the largest genotype of the supernet", full_supernet(SPACE)),
        ("a random genotype", SPACE.sample(np.random.default_rng(1))),
        ("the best of all trials", Genotype.from_trial(best)),
    ):
        chosen.append((name, partial(_paired_error, oracle, reference)))
    lines = []
    for name, error_of in chosen:
        errors = [error_of(genotype) for genotype in genotypes]
        known = np.array([error for error in errors if error])  # 0 for the reference itself
        lines.append([name, f"{known.mean():.5f}", f"{np.median(known):.5f}", f"{known.max():.5f}"])
    return markdown(["reference", "standard error, mean", "median", "largest"], lines)


def _trained(options: argparse.Namespace, reporter: Reporter) -> tuple[Dataset, Supernet]:
    """The log and its supernet, made once."""
    log, folder = options.out / f"log {options.rows}", options.out / f"supernet {options.rows}"
    if not (log / "dataset.json").exists():
        reporter.begin("log", f"{options.rows:,} rows")
        generate_synthetic(log, rows=options.rows, seed=0, progress=reporter.advance)
        reporter.end(f"{options.rows:,} rows")
    dataset = Dataset.open(log)
    if not (folder / "model.json").exists():
        supernet = Supernet(SPACE, dataset.features, seed=0)
        reporter.begin("supernet", SPACE.name)
        train_supernet(supernet, dataset, folder, TRAIN, progress=reporter.advance)
        reporter.end("trained")
    return dataset, Supernet.load(folder)


def _paired_error(oracle: SupernetOracle, reference: Genotype, own: Genotype) -> float | None:
    return oracle.compare(own, reference).log_loss_se


def _keep_cpu_seconds(study: optuna.Study, _: FrozenTrial, began: float) -> None:
    spent = study.user_attrs.get(SECONDS, [])
    study.set_user_attr(SECONDS, [*spent, time.process_time() - began])


def _values(trials: Sequence[FrozenTrial]) -> npt.NDArray[np.float64]:
    return np.array([trial.values for trial in trials])


def _front(values: npt.NDArray[np.float64]) -> set[int]:
    return set(np.flatnonzero(non_dominated(values)).tolist())


if __name__ == "__main__":
    sys.exit(main())
