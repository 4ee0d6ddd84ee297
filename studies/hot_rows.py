"""What on-chip memory for the most frequent embedding rows is worth on a log.

    python -m studies.hot_rows criteo=runs/criteo/dataset other=DATASET
    python -m studies.hot_rows criteo=DATASET --write docs/codesign.md

A table for prepared datasets: how many reads a memory of each size answers, and what one sample of
a design then costs. The design is the searched one of `studies/pim_claims.jsonl`, whose model is
costed for the columns of the dataset; its own memory gene, if it has one, is replaced.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hw import Lookup, Popularity, ReRAM
from nasrec_opt._files import atomic_write
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.lowering import configure, lower
from nasrec_opt.pipeline import Reporter
from nasrec_opt.space import Genotype, HardwareGene
from studies._command import execute
from studies._page import fill, markdown
from studies.pim_claims import read_designs

DESIGNS = Path(__file__).with_name("pim_claims.jsonl")
SIZES_KIB = (0, 16, 64, 256, 1024, 4096)
HEAD = (
    "log", "training rows", "embedding rows", "KiB on chip", "reads that hit", "us", "uJ",
    "of them embedding rows", "mm2",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.hot_rows", description=__doc__.splitlines()[0]
    )
    parser.add_argument("logs", nargs="+", metavar="NAME=DATASET", help="prepared datasets")
    parser.add_argument("--designs", type=Path, default=DESIGNS, help="the first is costed")
    parser.add_argument("--write", type=Path, metavar="PAGE.md", help="page that gets the table")
    return execute("hot_rows", run, parser.parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Cost the design for each log and each size."""
    design = read_designs(options.designs)[0][0]
    lines = []
    for log in options.logs:
        name, separator, folder = log.partition("=")
        if not separator:
            raise StudyError(f"expected NAME=DATASET, got {log!r}")
        reporter.begin(name, folder)
        lines += rows_of(name, Dataset.open(folder), design)
        reporter.end("counted")
    table = markdown(HEAD, lines)
    print(table, end="")
    if options.write:
        page = fill(options.write.read_text(encoding="utf-8"), {"hot rows": table})
        with atomic_write(options.write) as stream:
            stream.write(page)


def rows_of(name: str, dataset: Dataset, design: Genotype) -> list[list[str]]:
    """The lines of one log: a size each."""
    counts = dataset.row_counts()
    popularity = Popularity.of(counts)
    workload = lower(design, dataset.features)
    [lookup] = (o for o in workload.operations if isinstance(o, Lookup) and o.dim > 1)
    rows_per_kib = 8192 // (lookup.dim * lookup.value_bits)
    gene = design.hardware or HardwareGene()
    lines = []
    for kib in SIZES_KIB:
        accelerator = configure(ReRAM(popularity=popularity), replace(gene, hot_rows_kib=kib))
        cost = accelerator.cost(workload)
        [memory] = (c for c in cost.components if c.name == "memory")
        lines.append([
            name, f"{dataset.split('train').num_rows:,}", f"{len(counts):,}", f"{kib:,}",
            f"{float(popularity.share(kib * rows_per_kib)):.0%}", f"{cost.latency_ns / 1e3:.2f}",
            f"{cost.energy_pj / 1e6:.3f}", f"{memory.energy_pj / cost.energy_pj:.0%}",
            f"{cost.area_mm2:.2f}",
        ])  # fmt: skip
    return lines


if __name__ == "__main__":
    sys.exit(main())
