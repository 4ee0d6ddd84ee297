"""What averaging gains: two epochs of each model, and members that differ.

    python -m studies.averaging --out runs/averaging --write docs/decisions/ensemble.md

Random models of the quickstart's space are trained from scratch by its recipe, on synthetic logs
that no other reported figure uses. Every figure is the expected log loss on test rows, by their
true click probabilities; members are chosen on validation rows, as a run chooses them. The folder
gets the logs, the models' answers, `models.parquet` and `averaging.md`. An interrupted study goes
on where it was. Ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nasrec_opt._files import atomic_write
from nasrec_opt._recipe import min_count
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.ladder import training_work
from nasrec_opt.pipeline import Reporter, StudyConfig
from nasrec_opt.retrain import RetrainConfig, answers_of, choose_members, log_losses, retrain
from nasrec_opt.space import Genotype
from studies._command import execute
from studies._ledger import Ledger
from studies._page import fill, markdown
from studies._setup import true_probabilities
from studies._workers import Task, run_tasks
from studies.curves import STUDY, draw, prepared, space_of

KEYS = ("log_seed", "model")
SPLITS = ("validation", "test")
MARKS_S = (75, 145, 290)
SIZES = (1, 2, 3, 4, 8)

Floats = npt.NDArray[np.float64]


class Model(NamedTuple):
    """A trained model.

    Args:
        seconds: CPU seconds of its training.
        wide: Whether it has a first-order term.
        validation: Answers of its weights, the best epoch's first, `[weights, rows]`.
        test: The same on test rows.
    """

    seconds: float
    wide: bool
    validation: Floats
    test: Floats


class Trained(NamedTuple):
    """All models of a log in the order of their draws, and what is true of its rows."""

    models: list[Model]
    labels: Floats
    chance: Floats

    def expected(self, logits: Floats) -> float:
        """Log loss on test rows under the true click probabilities."""
        return float(log_losses(logits, self.chance).mean())

    def averaged(self, models: Sequence[Model], most: int, epochs: int = 2) -> float:
        """The same for the ensemble that validation rows choose, each model at so many epochs."""
        validation = np.concatenate([model.validation[:epochs] for model in models])
        test = np.concatenate([model.test[:epochs] for model in models])
        return self.expected(test[choose_members(validation, self.labels, most)].mean(axis=0))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    return execute("averaging", run, _parser().parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Train what is missing, and report."""
    for name in ("models", "rows", "workers"):
        if getattr(options, name) < 1:
            raise StudyError(f"{name}: expected 1 or more, got {getattr(options, name)}")
    if options.write and not options.write.is_file():
        raise StudyError(f"write: expected a page that exists, got {options.write}")
    study = StudyConfig.from_toml(STUDY)
    space = space_of(study, options)
    tasks: list[dict[str, Any]] = []
    datasets: dict[int, Dataset] = {}
    for seed in options.log_seeds:
        log = options.out / f"log-{seed}"
        prepared(argparse.Namespace(log=log, rows=options.rows, log_seed=seed), reporter)
        datasets[seed] = _dataset(log)
        for number, genotype in enumerate(draw(space, options.models, datasets[seed].features)):
            where = {"log": str(log), "answers": str(answers_file(options.out, seed, number))}
            tasks.append(
                {"log_seed": seed, "model": number, "genotype": genotype.to_json()} | where
            )
    ledger = Ledger(options.out / "models.parquet", KEYS)
    run_tasks("train", train, tasks, ledger, reporter, workers=options.workers)
    reporter.begin("report")
    wanted = {tuple(task[key] for key in KEYS) for task in tasks}
    rows = [row for row in ledger.rows if tuple(row[key] for key in KEYS) in wanted]
    logs = {seed: _trained(options.out, seed, rows, datasets[seed]) for seed in datasets}
    tables = {"members": members(logs), "epochs": epochs(logs), "pairs": pairs(logs)}
    page = options.out / "averaging.md"
    with atomic_write(page) as stream:
        stream.write("\n".join(f"## {name}\n\n{table}" for name, table in tables.items()))
    if options.write:
        filled = fill(options.write.read_text(encoding="utf-8"), tables)
        with atomic_write(options.write) as stream:
            stream.write(filled)
    reporter.end(str(page))


def train(task: Task) -> dict[str, Any]:
    """Train one model; its answers go to a file."""
    dataset, genotype = _dataset(Path(task["log"])), Genotype.from_json(task["genotype"])
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        model = retrain(genotype, dataset, folder, RetrainConfig(seed=task["log_seed"]))
        seconds = time.process_time() - began
        answers: dict[str, Any] = {
            name: np.stack([answers_of(weights, dataset, name) for weights in model.weights()])
            for name in SPLITS
        }
    file = Path(task["answers"])
    file.parent.mkdir(exist_ok=True)
    with atomic_write(file, "wb") as stream:
        np.savez_compressed(stream, **answers)
    return {key: task[key] for key in (*KEYS, "genotype")} | {
        "wide": genotype.wide,
        "work": training_work(genotype, dataset.features),
        "cpu_seconds": seconds,
    }


def answers_file(folder: Path, log_seed: int, model: int) -> Path:
    """Where the answers of a model are."""
    return folder / "answers" / f"{log_seed}-{model}.npz"


def members(logs: Mapping[int, Trained]) -> str:
    """Of all models of a log: how many members do what."""
    rows = [
        [f"at most {size}", *(f"{log.averaged(log.models, size):.4f}" for log in logs.values())]
        for size in SIZES
    ]
    noise = (float(log_losses(_logit(log.chance), log.chance).mean()) for log in logs.values())
    rows.append(["true probabilities", *(f"{value:.4f}" for value in noise)])
    return markdown(["members", *(f"seed {seed}" for seed in logs)], rows)


def epochs(logs: Mapping[int, Trained]) -> str:
    """At most four members of the models that so many seconds of training give."""
    head = ["CPU s"]
    for seed in logs:
        head += [f"seed {seed}: models", "best epochs alone", "both epochs"]
    rows = []
    for mark in MARKS_S:
        row = [str(mark)]
        for log in logs.values():
            ends = np.cumsum([model.seconds for model in log.models])
            there = log.models[: int(np.searchsorted(ends, mark, side="right"))]
            found = [f"{log.averaged(there, 4, count):.4f}" if there else "-" for count in (1, 2)]
            row += [str(len(there)), *found]
        rows.append(row)
    return markdown(head, rows)


def pairs(logs: Mapping[int, Trained]) -> str:
    """How far the mean of two models' best epochs is below the mean of their log losses."""
    gains: dict[int, list[float]] = defaultdict(list)
    for log in logs.values():
        for one, other in combinations(log.models, 2):
            alone = (log.expected(one.test[0]) + log.expected(other.test[0])) / 2
            together = log.expected((one.test[0] + other.test[0]) / 2)
            gains[one.wide + other.wide].append(alone - together)
    names = {2: "in both", 0: "in neither", 1: "in one of them"}
    rows = [
        [name, str(len(gains[count])), f"{np.mean(gains[count]):.4f}" if gains[count] else "-"]
        for count, name in names.items()
    ]
    return markdown(["first-order term", "pairs", "gain"], rows)


def _trained(folder: Path, seed: int, rows: Sequence[Mapping[str, Any]], log: Dataset) -> Trained:
    models = []
    for row in sorted(rows, key=lambda row: int(row["model"])):
        if row["log_seed"] == seed:
            with np.load(answers_file(folder, seed, row["model"])) as answers:
                both = (answers[name].astype(np.float64) for name in SPLITS)
                models.append(Model(row["cpu_seconds"], row["wide"], *both))
    chance = true_probabilities(log, "test")
    assert chance is not None  # the log is synthetic
    labels = log.split("validation").labels.astype(np.float64)
    return Trained(models, labels, np.asarray(chance, np.float64))


def _logit(chance: Floats) -> Floats:
    return np.asarray(np.log(chance) - np.log1p(-chance))


def _dataset(log: Path) -> Dataset:
    """The log as the quickstart reads it."""
    rows = Dataset.open(log).split("train").num_rows
    return Dataset.open(log, min_count=min_count(rows), binned_dense=True)


def _seeds(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="studies.averaging", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/averaging"), help="folder of the results")
    add("--rows", type=int, default=120_000, help="rows of each synthetic log")
    add("--log-seeds", type=_seeds, default=[102, 103], help="their seeds, with commas")
    add("--models", type=int, default=12, help="random models of each log")
    add("--preset", help="space (default: the quickstart's)")
    add("--blocks", type=int, help="blocks of a model (default: the quickstart's)")
    add("--workers", type=int, default=2, help="number of processes, of one thread each")
    add("--write", type=Path, metavar="PAGE.md", help="page whose tables to regenerate")
    return parser


if __name__ == "__main__":
    sys.exit(main())
