"""Table 7 of the paper: a model pruned by learned masks and by magnitude, at equal MFLOPs.

    python -m studies.pruning --out runs/pruning

Prunes a published model in 1, 3 and 5 rounds by both methods, with several seeds, and trains what
is left from scratch. Magnitude pruning removes units until it has the multiply-accumulates that the
masks left in the same round. The folder gets `pruning.parquet`, `pruning.md` and `pruning.svg`; a
study that was stopped continues with its first unfinished round.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from nasrec_opt._files import atomic_write, read_text
from nasrec_opt._recipe import min_count
from nasrec_opt.data import Dataset, generate_synthetic, prepare
from nasrec_opt.errors import StudyError
from nasrec_opt.lowering import lower
from nasrec_opt.pipeline import Reporter, RunFolder
from nasrec_opt.pruning import METHODS, PruneConfig, prune
from nasrec_opt.retrain import RetrainConfig, RetrainedModel, retrain
from nasrec_opt.space import Genotype, published_model
from studies._command import execute
from studies._page import markdown

SHOWN = (1, 3, 5)  # rounds, those of the paper's table
NAMES = {"mask": "mask-based pruning", "magnitude": "magnitude-based pruning"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    parser = argparse.ArgumentParser(prog="studies.pruning", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("runs/pruning"), help="folder of the results"
    )
    parser.add_argument("--data", type=Path, help="a log in Criteo's layout (default: synthetic)")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the synthetic log")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each training")
    parser.add_argument(
        "--genotype", type=Path, help="a model in JSON (default: the published criteo-full)"
    )
    parser.add_argument(
        "--epochs", type=int, help="maximum number of epochs (default: what suits the log)"
    )
    return execute("pruning", run, parser.parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Train what is missing, and write table and plot."""
    if options.seeds < 1:
        raise StudyError(f"seeds: expected 1 or more, got {options.seeds}")
    how = RetrainConfig(epochs=options.epochs)
    if options.epochs is not None:  # then no more than these
        how = replace(how, least_steps=0)
    genotype = published_model("criteo-full").genotype
    if options.genotype is not None:
        genotype = Genotype.from_json(read_text(options.genotype))
    with RunFolder(options.out).locked():
        dataset = log_of(options)
        rows: list[dict[str, Any]] = []
        for seed in range(options.seeds):
            training = replace(how, seed=seed)
            rows += trained(genotype, dataset, options.out / f"seed-{seed}", training, reporter)
        buffer = io.BytesIO()
        pl.DataFrame(rows).write_parquet(buffer)
        table, plot = as_table(rows), as_plot(rows)
        for name, content in (
            ("pruning.parquet", buffer.getvalue()),
            ("pruning.md", table.encode()),
            ("pruning.svg", plot),
        ):
            with atomic_write(options.out / name, "wb") as stream:
                stream.write(content)
    print(table)


def log_of(options: argparse.Namespace) -> Dataset:
    """The log of the study, prepared where it is missing."""
    name = "log" if options.data else f"synthetic-{options.rows}"
    path = options.out / name
    if not path.exists():
        if options.data:
            prepare(options.data, path)
        else:
            generate_synthetic(path, rows=options.rows, seed=0)
    rows = Dataset.open(path).split("train").num_rows
    return Dataset.open(path, min_count=min_count(rows))


def trained(
    genotype: Genotype, dataset: Dataset, out: Path, training: RetrainConfig, reporter: Reporter
) -> Iterator[dict[str, Any]]:
    """The figures of the whole model, and of what is left of it after each shown round."""
    seed = training.seed

    def begin(sentence: str) -> None:
        reporter.begin(f"seed {seed}", sentence)

    def figures(method: str, rounds: int, macs: int, model: RetrainedModel) -> dict[str, Any]:
        reporter.end(f"{method}, {rounds} rounds: test log loss {model.test_log_loss:.4f}")
        losses = {n: getattr(model, n) for n in ("validation_log_loss", "test_log_loss")}
        return {"method": method, "rounds": rounds, "seed": seed, "macs": macs, **losses}

    begin("the whole model")
    whole = retrain(genotype, dataset, out / "whole", training, progress=reporter.advance)
    yield figures("none", 0, lower(genotype, dataset.features).macs, whole)
    macs: list[int] | None = None  # the masks decide first
    for method in METHODS:
        rounds = prune(
            genotype, dataset, out / method, PruneConfig(method=method, rounds=max(SHOWN)),
            training=training, trained_after=SHOWN, macs=macs,
            begin=begin, progress=reporter.advance,
        )  # fmt: skip
        macs = [found.macs for found in rounds]
        for found in rounds:
            if found.trained is not None:
                yield figures(method, found.number, found.macs, found.trained)


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Table 7: a line for the whole model and for each number of rounds."""
    head = ["model"]
    for method in METHODS:
        head += [f"{NAMES[method]}: test log loss", "MFLOPs"]
    whole = of(rows, "none", 0)
    lines = []
    for rounds in (0, *reversed(SHOWN)):
        line = ["whole" if not rounds else f"pruned, T = {rounds}"]
        for method in METHODS:
            found = of(rows, method if rounds else "none", rounds)
            share = found["macs"] / whole["macs"]
            line += [
                f"{found['mean']:.4f} ± {found['deviation']:.4f}",
                f"{found['macs'] * 1e-6:.3g} ({share:.0%})",
            ]
        lines.append(line)
    return markdown(head, lines)


def as_plot(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Test log loss against MFLOPs, mean and standard deviation over seeds, as SVG."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for method in METHODS:
        points = [of(rows, "none", 0), *(of(rows, method, rounds) for rounds in SHOWN)]
        axes.errorbar(
            [point["macs"] * 1e-6 for point in points],
            [point["mean"] for point in points],
            yerr=[point["deviation"] for point in points],
            marker="o",
            capsize=3,
            label=NAMES[method],
        )
    axes.set(xlabel="MFLOPs", ylabel="test log loss (nats)")
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def of(rows: Sequence[Mapping[str, Any]], method: str, rounds: int) -> dict[str, float]:
    """Mean MACs, and mean and standard deviation of the test log loss, over the seeds."""
    chosen = [row for row in rows if (row["method"], row["rounds"]) == (method, rounds)]
    losses = [row["test_log_loss"] for row in chosen]
    return {
        "macs": float(np.mean([row["macs"] for row in chosen])),
        "mean": float(np.mean(losses)),
        "deviation": float(np.std(losses, ddof=1)) if len(losses) > 1 else 0.0,
    }


if __name__ == "__main__":
    sys.exit(main())
