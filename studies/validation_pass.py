"""What it gains to learn the validation rows as well, once they have made all choices.

    python -m studies.validation_pass --data DIR --write docs/decisions/validation_pass.md

Trains random models of NASRec-Small with 4 blocks, and scores their weights on test rows before and
after the pass of `RetrainConfig.validation_pass`: each model's kept weights, and the ensemble of at
most four that validation rows choose. DIR holds `criteo/criteo_sample.txt` and `frappe/frappe.csv`;
without it the logs are synthetic, and scored under their true click probabilities. An interrupted
study resumes. Some 20 minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt._files import atomic_write
from nasrec_opt._recipe import min_count
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import Reporter
from nasrec_opt.retrain import RetrainConfig, Training, choose_members, log_losses, predict
from nasrec_opt.supernet import Subnet, start_at_click_rate
from studies._command import execute
from studies._ledger import Ledger
from studies._page import fill, markdown
from studies._setup import true_probabilities
from studies.recipe import Log, models

KEYS = ("log", "model")
SPLITS = ("validation", "test")
WHEN = ("before", "after")
LOGS = (
    *(Log("synthetic", 21, rows) for rows in (2_000, 10_000, 120_000)),
    *(Log(name, 0, rows) for name in ("criteo", "frappe") for rows in (5_000, 20_000, None)),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="studies.validation_pass", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--data", type=Path, help="folder with the Criteo and Frappe samples")
    add("--out", type=Path, default=Path("runs/validation_pass"), help="folder of the results")
    add("--models", type=int, default=4, help="random models of each log")
    add("--only", default="", help="only logs whose names begin with this")
    add("--write", type=Path, metavar="PAGE.md", help="page whose table to regenerate")
    return execute("validation_pass", run, parser.parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Train what is missing, and write the table."""
    if options.models < 1:
        raise StudyError(f"models: expected 1 or more, got {options.models}")
    if options.write and not options.write.is_file():
        raise StudyError(f"write: expected a page that exists, got {options.write}")
    logs = [
        log
        for log in LOGS
        if log.name.startswith(options.only) and (options.data or log.source == "synthetic")
    ]
    ledger = Ledger(options.out / "models.parquet", KEYS)
    rows = []
    for log in logs:
        dataset = _opened(log.prepared(options.out / "logs", options.data))
        tasks = [{"log": log.name, "model": number} for number in range(options.models)]
        missing = ledger.missing(tasks)
        if missing:
            reporter.begin(log.name, f"{len(missing)} trainings")
            for number, task in enumerate(missing):
                reporter.advance(number, len(missing))
                file = _answers(options.out, task)
                ledger.add({**task, **train(dataset, task["model"], file)})
            reporter.end(f"{len(missing)} trained")
        known = [np.load(_answers(options.out, task)) for task in tasks]
        seconds = [row for row in ledger.rows if row["log"] == log.name]
        rows.append([log.name, *line(dataset, known, seconds)])
    head = ["log", "models before", "after", "difference", "ensemble before", "after"]
    table = markdown([*head, "pass, share of the training's time"], rows)
    with atomic_write(options.out / "validation_pass.md") as stream:
        stream.write(table)
    if options.write:
        filled = fill(options.write.read_text(encoding="utf-8"), {"gains": table})
        with atomic_write(options.write) as stream:
            stream.write(filled)
    print(table)


def train(dataset: Dataset, number: int, file: Path) -> dict[str, Any]:
    """Train one model; its answers before and after the pass go to a file."""
    config = RetrainConfig(seed=number).for_rows(dataset.split("train").num_rows)
    training = Training(dataset, config)
    genotype = models(number + 1)[number]
    subnet = Subnet(genotype, dataset.features, config.seed)
    start_at_click_rate(subnet, dataset.split("train").labels)
    began = time.process_time()
    state = training.begin(lambda: subnet)
    training.advance(state)
    state.require_finite()
    trained, spent = time.process_time() - began, 0.0
    found: dict[str, Any] = {}
    kept = [weights for weights in (state.best, state.other) if weights.weights]
    for place, weights in enumerate(kept):
        subnet.load_state_dict(weights.weights)
        for split in SPLITS:
            found[f"before.{split}.{place}"] = predict(subnet, dataset.split(split))[0]
        began = time.process_time()
        training.learn_validation(state, weights)
        spent += time.process_time() - began
        found[f"after.test.{place}"] = predict(subnet, dataset.split("test"))[0]
        found[f"after.validation.{place}"] = found[f"before.validation.{place}"]
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file, "wb") as stream:
        np.savez_compressed(stream, **found)
    return {"seconds": trained, "pass_seconds": spent}


def line(
    dataset: Dataset,
    known: Sequence[Mapping[str, npt.NDArray[np.float32]]],
    times: Sequence[Mapping[str, Any]],
) -> list[str]:
    """The cells of a log: means over its models, and its ensembles."""
    chance = true_probabilities(dataset, "test")
    truth = np.asarray(dataset.split("test").labels if chance is None else chance, np.float64)
    labels = dataset.split("validation").labels

    def loss(logits: npt.NDArray[np.float32]) -> float:
        return float(log_losses(logits, truth).mean())

    alone, ensembles = {}, {}
    for when in WHEN:
        alone[when] = np.array([loss(found[f"{when}.test.0"]) for found in known])
        answers = {
            split: np.stack(
                [
                    found[f"{when}.{split}.{place}"]
                    for found in known
                    for place in range(2)
                    if f"{when}.{split}.{place}" in found
                ]
            )
            for split in SPLITS
        }
        members = choose_members(answers["validation"], labels, 4)
        ensembles[when] = loss(answers["test"][members].mean(axis=0))
    difference = alone["after"] - alone["before"]
    error = difference.std(ddof=1) / len(difference) ** 0.5 if len(difference) > 1 else np.nan
    share = sum(row["pass_seconds"] for row in times) / sum(row["seconds"] for row in times)
    return [
        *(f"{alone[when].mean():.4f}" for when in WHEN),
        f"{difference.mean():+.4f} ± {error:.4f}",
        *(f"{ensembles[when]:.4f}" for when in WHEN),
        f"{100 * share:.0f} %",
    ]


def _answers(folder: Path, task: Mapping[str, Any]) -> Path:
    name = "".join(c if c.isalnum() else "-" for c in task["log"])
    return folder / "answers" / f"{name}-{task['model']}.npz"


def _opened(path: Path) -> Dataset:
    """The log as the quickstart reads it."""
    rows = Dataset.open(path).split("train").num_rows
    return Dataset.open(path, min_count=min_count(rows), binned_dense=True)


if __name__ == "__main__":
    sys.exit(main())
