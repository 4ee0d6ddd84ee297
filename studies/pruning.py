"""Table 7 of the paper: a model pruned by learned masks and by magnitude, at equal MFLOPs.

    python -m studies.pruning --out runs/pruning --write docs/pruning.md

Prunes a model in 1, 3 and 5 rounds by both methods, with several seeds, and trains what is left
from scratch. Magnitude pruning removes units until it has the multiply-accumulates that the masks
left in the same round. Differences are those of two trainings with one seed, and on the synthetic
log their log losses are expected ones, by the true click probabilities of the test rows. The folder
gets `pruning.parquet`, `pruning.md` and `pruning.svg`; a study that was stopped continues with its
first unfinished round.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from hw import ReRAM
from nasrec_opt._files import atomic_write, read_text
from nasrec_opt._recipe import min_count
from nasrec_opt.data import Dataset, generate_synthetic, prepare
from nasrec_opt.errors import StudyError
from nasrec_opt.lowering import lower
from nasrec_opt.pipeline import Reporter, RunFolder
from nasrec_opt.pruning import METHODS, PruneConfig, prune
from nasrec_opt.retrain import RetrainConfig, RetrainedModel, log_losses, predict, retrain
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet
from studies._command import execute
from studies._page import fill, markdown
from studies._setup import true_probabilities
from studies._statistics import paired_difference

SHOWN = (1, 3, 5)  # rounds, those of the paper's table
NAMES = {"mask": "masks", "magnitude": "magnitude"}
MODEL = Path(__file__).with_suffix(".json")  # the best model of a run of the quickstart
COST_BITS = 8  # of the model on the accelerator

Rows = Sequence[Mapping[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    parser = argparse.ArgumentParser(prog="studies.pruning", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/pruning"), help="folder of the results")
    add("--data", type=Path, help="a log in Criteo's layout (default: synthetic)")
    add("--rows", type=int, default=100_000, help="rows of the synthetic log")
    add("--seeds", type=int, default=5, help="seeds of each training")
    add("--genotype", type=Path, default=MODEL, help=f"a model in JSON (default: {MODEL.name})")
    add("--epochs", type=int, help="maximum number of epochs (default: what suits the log)")
    add("--write", type=Path, metavar="PAGE.md", help="page whose tables and plot to make anew")
    return execute("pruning", run, parser.parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Train what is missing, and write tables and plot."""
    if options.seeds < 1:
        raise StudyError(f"seeds: expected 1 or more, got {options.seeds}")
    if options.write and not options.write.is_file():
        raise StudyError(f"write: expected a page that exists, got {options.write}")
    how = RetrainConfig(epochs=options.epochs)
    if options.epochs is not None:  # then no more than these
        how = replace(how, least_steps=0)
    genotype = Genotype.from_json(read_text(options.genotype))
    with RunFolder(options.out).locked():
        dataset = log_of(options)
        rows: list[dict[str, Any]] = []
        for seed in range(options.seeds):
            training = replace(how, seed=seed)
            rows += trained(genotype, dataset, options.out / f"seed-{seed}", training, reporter)
        buffer = io.BytesIO()
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(buffer)
        tables, plot = {"losses": losses(rows), "savings": savings(rows)}, as_plot(rows)
        text = "\n".join(tables.values())
        contents = {"pruning.parquet": buffer.getvalue(), "pruning.md": text.encode()}
        files = {options.out / name: content for name, content in contents.items()}
        files[options.out / "pruning.svg"] = plot
        if options.write:
            files[options.write.with_suffix(".svg")] = plot
            files[options.write] = fill(read_text(options.write), tables).encode()
        for file, content in files.items():
            with atomic_write(file, "wb") as stream:
                stream.write(content)
    print(text)


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

    def figures(
        method: str, rounds: int, genotype: Genotype, model: RetrainedModel
    ) -> dict[str, Any]:
        found = {"method": method, "rounds": rounds, "seed": seed}
        found |= cost_of(genotype, dataset, model.path) | losses_of(model, dataset)
        reporter.end(f"{method}, {rounds} rounds: test log loss {found['log_loss']:.4f}")
        return found

    begin("the whole model")
    whole = retrain(genotype, dataset, out / "whole", training, progress=reporter.advance)
    yield figures("none", 0, genotype, whole)
    macs: list[int] | None = None  # the masks decide first
    for method in METHODS:
        rounds = prune(
            genotype, dataset, out / method, PruneConfig(method=method, rounds=max(SHOWN)),
            training=training, trained_after=SHOWN, macs=macs,
            begin=begin, progress=reporter.advance,
        )  # fmt: skip
        if len(rounds) < max(SHOWN):
            raise StudyError(f"seed {seed}: nothing is left to remove after round {len(rounds)}")
        macs = [found.macs for found in rounds]
        for found in rounds:
            if found.trained is not None:
                yield figures(method, found.number, found.genotype, found.trained)


def cost_of(genotype: Genotype, dataset: Dataset, folder: Path) -> dict[str, Any]:
    """What a model costs, as it is and on the default ReRAM accelerator at 8 bits."""
    workload = lower(genotype, dataset.features)
    cost = ReRAM().cost(lower(genotype.with_bits(COST_BITS), dataset.features))
    return {
        "macs": workload.macs,
        "parameters": workload.parameters,
        "bytes": (folder / "model" / "weights.safetensors").stat().st_size,
        "latency_us": cost.latency_ns * 1e-3,  # ns -> us
        "energy_uj": cost.energy_pj * 1e-6,  # pJ -> uJ
        "area_mm2": cost.area_mm2,
    }


def losses_of(model: RetrainedModel, dataset: Dataset) -> dict[str, Any]:
    """Log losses of a model; `log_loss`, the one that tables show, is expected where it can be."""
    found = {name: getattr(model, name) for name in ("validation_log_loss", "test_log_loss")}
    chance = true_probabilities(dataset, "test")
    if chance is None:
        return found | {"log_loss": model.test_log_loss}
    logits, _ = predict(Subnet.load(model.path / "model"), dataset.split("test"))
    return found | {"log_loss": float(log_losses(logits, chance).mean())}


def losses(rows: Rows) -> str:
    """Table 7: log losses of both methods at equal MFLOPs, and differences paired by seed."""
    head = ["model"]
    for method in METHODS:
        head += [f"{NAMES[method]}: MFLOPs", "log loss", "above the whole model"]
    whole = of(rows, "none", 0)
    line = ["whole"]
    for _ in METHODS:
        line += [f"{mean(whole, 'macs') * 1e-6:.3g} (100%)", spread(whole), ""]
    lines = [[*line, ""]]
    for rounds in reversed(SHOWN):
        line = [f"pruned, T = {rounds}"]
        for method in METHODS:
            found = of(rows, method, rounds)
            macs = mean(found, "macs")
            line.append(f"{macs * 1e-6:.3g} ({macs / mean(whole, 'macs'):.0%})")
            line += [spread(found), difference(found, whole)]
        one, other = (of(rows, method, rounds) for method in METHODS)
        lines.append([*line, difference(one, other)])
    return markdown([*head, f"{NAMES[METHODS[0]]} above {NAMES[METHODS[1]]}"], lines)


def savings(rows: Rows) -> str:
    """What both methods save, means over seeds."""
    head = ["model", "MFLOPs", "parameters", "file, kB", "latency, us", "energy, uJ", "area, mm2"]
    shown = [("whole", of(rows, "none", 0))]
    for rounds in SHOWN:
        for method in METHODS:
            shown.append((f"{NAMES[method]}, T = {rounds}", of(rows, method, rounds)))
    lines = [
        [
            name,
            f"{mean(found, 'macs') * 1e-6:.3g}",
            f"{mean(found, 'parameters'):,.0f}",
            f"{mean(found, 'bytes') * 1e-3:,.0f}",
            *(f"{mean(found, key):.3g}" for key in ("latency_us", "energy_uj", "area_mm2")),
        ]
        for name, found in shown
    ]
    return markdown(head, lines)


def as_plot(rows: Rows) -> bytes:
    """Log loss above that of the whole model, against MFLOPs, with 95 % intervals, as SVG."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    whole = of(rows, "none", 0)
    for method in METHODS:
        points = [(whole, of(rows, method, rounds)) for rounds in SHOWN]
        gaps = [paired_difference(loss(found), loss(base)) for base, found in points]
        axes.errorbar(
            [mean(whole, "macs") * 1e-6, *(mean(found, "macs") * 1e-6 for _, found in points)],
            [0.0, *(gap.mean for gap in gaps)],
            yerr=[0.0, *(gap.half_width or 0.0 for gap in gaps)],
            marker="o",
            capsize=3,
            label=NAMES[method],
        )
    axes.axhline(0, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="MFLOPs", ylabel="log loss above the whole model (nats)")
    axes.legend()
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pruning"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def of(rows: Rows, method: str, rounds: int) -> list[Mapping[str, Any]]:
    """The rows of one method after some rounds, by seed."""
    found = [row for row in rows if (row["method"], row["rounds"]) == (method, rounds)]
    return sorted(found, key=lambda row: int(row["seed"]))


def loss(rows: Rows) -> list[float]:
    """Their log losses."""
    return [float(row["log_loss"]) for row in rows]


def mean(rows: Rows, key: str) -> float:
    """The mean of a column."""
    return float(np.mean([row[key] for row in rows]))


def spread(rows: Rows) -> str:
    """Mean and standard deviation of the log loss over the seeds."""
    values = loss(rows)
    if len(values) < 2:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


def difference(rows: Rows, others: Rows) -> str:
    """The mean difference in log loss of pairs with one seed, with its 95 % interval."""
    return paired_difference(loss(rows), loss(others)).in_words()


if __name__ == "__main__":
    sys.exit(main())
