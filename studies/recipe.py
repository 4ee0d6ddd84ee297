"""Training from scratch beside logistic regression on small logs.

    python -m studies.recipe --data DIR --out runs/recipe

Trains random models of NASRec-Small with 4 blocks as their log's recipe has it, and as all logs had
it before (steps of 512 rows, 6 epochs, values of fewer than 4 rows joined), and compares the best
on validation rows with logistic regression. DIR holds `criteo/criteo_sample.txt` and
`frappe/frappe.csv`; without it the logs are synthetic. `--tune` takes the logs that the recipe was
chosen on: other rows, other seeds. The folder gets `recipe.md`; an interrupted study goes on where
it was. Some 15 minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nasrec_opt._files import atomic_write
from nasrec_opt._recipe import min_count
from nasrec_opt.data import Dataset, Schema, generate_synthetic, prepare
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import Reporter
from nasrec_opt.retrain import (
    RetrainConfig,
    compare,
    constant_log_loss,
    logistic_regression,
    predict,
    retrain,
)
from nasrec_opt.space import Genotype, SearchSpace
from nasrec_opt.supernet import SingleOperatorAnyConnection, Subnet
from studies._command import execute
from studies._ledger import Ledger
from studies._page import markdown

SPACE = SearchSpace.nasrec_small(num_blocks=4)
FILES = {"criteo": Path("criteo/criteo_sample.txt"), "frappe": Path("frappe/frappe.csv")}
KEYS = ("log", "recipe", "model", "seed")


@dataclass(frozen=True)
class Log:
    """A part of a click log.

    Args:
        source: `synthetic`, `criteo` or `frappe`.
        first: Its first row, from 0; of the synthetic log, its seed.
        rows: How many rows; None = all that follow.
    """

    source: str
    first: int
    rows: int | None

    @property
    def name(self) -> str:
        """What tables call it."""
        if self.source == "synthetic":
            return f"synthetic, {self.rows:,} rows, seed {self.first}"
        rows = "all rows" if self.rows is None else f"{self.rows:,} rows"
        return f"{self.source}, {rows}" + (f" from {self.first:,}" if self.first else "")

    def prepared(self, folder: Path, data: Path | None) -> Path:
        """The folder of the dataset, made where it is missing."""
        out = folder / "-".join(map(str, (self.source, self.first, self.rows or "all")))
        if out.exists():
            return out
        if self.source == "synthetic":
            assert self.rows is not None
            generate_synthetic(out, rows=self.rows, seed=self.first)
            return out
        assert data is not None
        source = data / FILES[self.source]
        if not source.exists():
            raise StudyError(f"{source}: expected a click log, found nothing there")
        heads = int(self.source == "frappe")  # lines before the first row
        with source.open() as lines, tempfile.TemporaryDirectory() as scratch:
            part = Path(scratch) / source.name
            last = None if self.rows is None else self.first + self.rows
            with part.open("w") as stream:
                stream.writelines(islice(lines, heads))
                stream.writelines(islice(lines, self.first, last))
            format_: Any = "criteo" if self.source == "criteo" else Schema(label="label")
            prepare(part, out, format=format_)
        return out


REPORTED = (
    Log("synthetic", 0, 2_000),
    *(Log(name, 0, 5_000) for name in FILES),
    Log("synthetic", 0, 10_000),
    *(Log(name, 0, 20_000) for name in FILES),
    *(Log(name, 0, None) for name in FILES),
    Log("synthetic", 0, 100_000),
)
TUNED = (
    *(Log("synthetic", 11, rows) for rows in (2_000, 10_000, 100_000)),
    *(Log("criteo", 20_000, rows) for rows in (5_000, 27_000)),
    *(Log("frappe", 20_000, rows) for rows in (5_000, 17_000)),
)
# Of before the log decided: what `nasrec-opt run studies/quickstart.toml` did with every log.
BEFORE = RetrainConfig(batch_size=512, epochs=6, trial_fraction=0.25, least_steps=0, patience=0)
RECIPES: dict[str, tuple[RetrainConfig, int | None]] = {
    "follows the log": (RetrainConfig(), None),
    "before": (BEFORE, 4),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    parser = argparse.ArgumentParser(prog="studies.recipe", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the Criteo and Frappe samples")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/recipe"), help="folder of the results"
    )
    parser.add_argument("--tune", action="store_true", help="the logs that the recipe was made on")
    parser.add_argument("--models", type=int, default=2, help="random models a log")
    parser.add_argument("--seeds", type=int, default=1, help="seeds of each training")
    parser.add_argument("--only", default="", help="only logs whose names begin with this")
    return execute("recipe", run, parser.parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Train what is missing, and write the table."""
    logs = [
        log
        for log in (TUNED if options.tune else REPORTED)
        if log.name.startswith(options.only) and (options.data or log.source == "synthetic")
    ]
    ledger = Ledger(options.out / "models.parquet", KEYS)
    for log in logs:
        tasks = ledger.missing(
            {"log": log.name, "recipe": recipe, "model": model, "seed": seed}
            for recipe in RECIPES
            for model in range(options.models)
            for seed in range(options.seeds)
        )
        if not tasks:
            continue
        reporter.begin(log.name, f"{len(tasks)} trainings")
        path = log.prepared(options.out / "logs", options.data)
        baseline = logistic_regression(Dataset.open(path))
        constant = constant_log_loss(Dataset.open(path))
        genotypes = models(options.models)
        for number, task in enumerate(tasks):
            reporter.advance(number, len(tasks))
            how, least = RECIPES[task["recipe"]]
            found = trained(genotypes[task["model"]], path, how, least, task["seed"])
            logits, figures = found
            labels = Dataset.open(path).split("test").labels
            against = asdict(compare(logits, baseline.test_logits, labels))
            figures |= {"regression": baseline.test_log_loss, "constant": constant}
            ledger.add({**task, **figures, **against})
        reporter.end(f"{len(tasks)} trained")
    table = as_table(ledger.rows, [log.name for log in logs])
    with atomic_write(options.out / "recipe.md") as stream:
        stream.write(table)
    print(table)


def models(count: int) -> list[Genotype]:
    """Random models, the same for every log, every second one with a first-order term."""
    strategy, rng = SingleOperatorAnyConnection(SPACE), np.random.default_rng(7)
    drawn = [strategy.sample(rng, 1.0) for _ in range(count)]
    return [replace(genotype, wide=i % 2 == 1) for i, genotype in enumerate(drawn)]


def trained(
    genotype: Genotype, path: Path, how: RetrainConfig, least: int | None, seed: int
) -> tuple[Any, dict[str, Any]]:
    """A model's logits on the test rows, and its figures."""
    rows = Dataset.open(path).split("train").num_rows
    dataset = Dataset.open(path, min_count=least or min_count(rows), binned_dense=True)
    with tempfile.TemporaryDirectory() as folder:
        model = retrain(genotype, dataset, folder, replace(how, seed=seed))
        subnet = Subnet.load(Path(folder) / "model")
    logits, _ = predict(subnet, dataset.split("test"))
    figures = {
        "test": model.test_log_loss,
        "validation": model.validation_log_loss,
        "rate": model.learning_rate,
        "best_step": model.best_step,
        "steps": model.validation_history[-1][0],
        "seconds": model.seconds,
    }
    return logits, figures


def as_table(rows: Sequence[Mapping[str, Any]], logs: Sequence[str]) -> str:
    """A line for each log and recipe: the mean of its models, and the pick of each seed."""
    head = ["log", "constant", "logistic regression", "training", "mean of the models"]
    head += ["best on validation", "less logistic regression"]
    lines = []
    for log in logs:
        for recipe in dict.fromkeys(row["recipe"] for row in rows):
            chosen = [row for row in rows if (row["log"], row["recipe"]) == (log, recipe)]
            if not chosen:
                continue
            picks = [
                min((r for r in chosen if r["seed"] == seed), key=lambda row: row["validation"])
                for seed in sorted({row["seed"] for row in chosen})
            ]
            gaps = [f"{p['difference']:+.4f} ± {p['standard_error']:.4f}" for p in picks]
            lines.append(
                [
                    log,
                    f"{chosen[0]['constant']:.4f}",
                    f"{chosen[0]['regression']:.4f}",
                    recipe,
                    f"{np.mean([row['test'] for row in chosen]):.4f}",
                    "; ".join(f"{pick['test']:.4f}" for pick in picks),
                    "; ".join(gaps),
                ]
            )
    return markdown(head, lines)


if __name__ == "__main__":
    sys.exit(main())
