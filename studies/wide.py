"""What a first-order term is worth: the same models trained from scratch with it and without.

    python -m studies.wide --data DIR --out runs/wide

Trains random models of NASRec-Small with 4 blocks as their log's recipe has it: without the term,
with it, and with it begun at a logistic regression fitted on the same rows. A difference is that of
two trainings of one model with one seed. DIR holds `criteo/criteo_sample.txt` and
`frappe/frappe.csv`; without it the logs are synthetic. The folder gets `wide.md`; an interrupted
study continues where it was. Some 90 minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from nasrec_opt._files import atomic_write
from nasrec_opt._recipe import min_count
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.oracle import log_losses
from nasrec_opt.pipeline import Reporter
from nasrec_opt.retrain import OneHot, RetrainConfig, Training, logistic_regression, predict
from nasrec_opt.supernet import Subnet, start_at_click_rate
from studies._command import execute
from studies._ledger import Ledger
from studies._page import markdown
from studies.recipe import Log, models

WAYS = ("without", "with", "warm")  # the term, and where its weights begin
KEYS = ("log", "model", "seed", "way")
LOGS = (
    Log("frappe", 0, 20_000),
    Log("criteo", 0, 20_000),
    Log("synthetic", 0, 10_000),
    Log("synthetic", 0, 120_000),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    parser = argparse.ArgumentParser(prog="studies.wide", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the Criteo and Frappe samples")
    parser.add_argument("--out", type=Path, default=Path("runs/wide"), help="folder of the results")
    parser.add_argument("--models", type=int, default=3, help="random models a log")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of each training")
    parser.add_argument("--ways", default=",".join(WAYS), help=f"of {', '.join(WAYS)}")
    parser.add_argument("--only", default="", help="only logs whose names begin with this")
    return execute("wide", run, parser.parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Train what is missing, and write the table."""
    ways = options.ways.split(",")
    for way in ways:
        if way not in WAYS:
            raise StudyError(f"ways: expected some of {', '.join(WAYS)}, got {way!r}")
    logs = [
        log
        for log in LOGS
        if log.name.startswith(options.only) and (options.data or log.source == "synthetic")
    ]
    ledger = Ledger(options.out / "models.parquet", KEYS)
    for log in logs:
        tasks = ledger.missing(
            {"log": log.name, "model": model, "seed": seed, "way": way}
            for model in range(options.models)
            for seed in range(options.seeds)
            for way in ways
        )
        if not tasks:
            continue
        reporter.begin(log.name, f"{len(tasks)} trainings")
        path = log.prepared(options.out / "logs", options.data)
        baseline = logistic_regression(Dataset.open(path))
        for number, task in enumerate(tasks):
            reporter.advance(number, len(tasks))
            found = trained(path, task["model"], task["seed"], task["way"], baseline.penalty)
            ledger.add({**task, **found, "regression": baseline.test_log_loss})
        reporter.end(f"{len(tasks)} trained")
    table = as_table(ledger.rows, [log.name for log in logs])
    with atomic_write(options.out / "wide.md") as stream:
        stream.write(table)
    print(table)


def trained(path: Path, model: int, seed: int, way: str, penalty: float) -> dict[str, float]:
    """Train a model and score it.

    Args:
        path: The prepared log.
        model: Number of the model.
        seed: Of the training.
        way: One of `WAYS`.
        penalty: scikit-learn's C for the regression that a warm start begins at.
    """
    rows = Dataset.open(path).split("train").num_rows
    dataset = Dataset.open(path, min_count=min_count(rows), binned_dense=True)
    genotype = replace(models(model + 1)[model], wide=way != "without")
    began = time.perf_counter()
    subnet = Subnet(genotype, dataset.features, seed)
    start_at_click_rate(subnet, dataset.split("train").labels)
    if way == "warm":
        begin_at_regression(subnet, dataset, penalty)
    history = Training(dataset, RetrainConfig(seed=seed)).run(subnet)
    found = {
        name: float(log_losses(*predict(subnet, dataset.split(name))).mean())
        for name in ("validation", "test")
    }
    return found | {"best_step": history.best_step, "seconds": time.perf_counter() - began}


def begin_at_regression(subnet: Subnet, dataset: Dataset, penalty: float) -> None:
    """First-order weights and bias of a logistic regression fitted on the training rows."""
    train = dataset.split("train").rows(slice(None))
    encode = OneHot(train, dataset.features.cardinalities)
    fitted = LogisticRegression(C=penalty, max_iter=1000).fit(encode(train), train.labels)
    assert subnet.embedding.first_order is not None  # the model has the term
    with torch.no_grad():
        values = torch.from_numpy(encode.values)
        weights = torch.from_numpy(fitted.coef_[0]).float()
        subnet.embedding.first_order[values, 0] = weights
        subnet.final.bias.fill_(float(fitted.intercept_[0]))


def as_table(rows: Sequence[Mapping[str, Any]], logs: Sequence[str]) -> str:
    """A line for each log: mean test log losses, and paired differences with standard errors."""
    head = ["log", "trainings", "logistic regression", "without the term", "with it"]
    head += ["difference on test", "on validation", "begun at the regression, difference on test"]
    lines = []
    for log in logs:
        of_way = {
            way: {(r["model"], r["seed"]): r for r in rows if (r["log"], r["way"]) == (log, way)}
            for way in WAYS
        }
        pairs = sorted(of_way["without"].keys() & of_way["with"].keys())
        if not pairs:
            continue
        cells = [log, str(len(pairs)), f"{of_way['with'][pairs[0]]['regression']:.4f}"]
        for way in WAYS[:2]:
            cells.append(f"{np.mean([of_way[way][pair]['test'] for pair in pairs]):.4f}")
        for way, split in (("with", "test"), ("with", "validation"), ("warm", "test")):
            cells.append(difference(of_way["without"], of_way[way], split))
        lines.append(cells)
    return markdown(head, lines)


def difference(
    without: Mapping[tuple[int, int], Any], others: Mapping[tuple[int, int], Any], split: str
) -> str:
    """Mean over the pairs that both have, with its standard error."""
    gaps = [others[pair][split] - without[pair][split] for pair in sorted(without.keys() & others)]
    if len(gaps) < 2:
        return "-"
    return f"{np.mean(gaps):+.4f} ± {np.std(gaps, ddof=1) / np.sqrt(len(gaps)):.4f}"


if __name__ == "__main__":
    sys.exit(main())
