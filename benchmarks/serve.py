"""Raw rows encoded by `Preprocessor` against a loop over dictionaries, and predicted by a model.

    python -m benchmarks.serve [--rows 20000] [--repeats 5]

On one thread, over a synthetic log in Criteo's layout, dense columns binned as well. The naive side
keeps a dict for each column and encodes value by value; both give the same ids, which is shown
first. Predicting raw rows is held against the same model on encoded rows. The sides take turns;
figures are medians in rows a second of this process's CPU, ratio = ours / baseline, spread = its
quartiles over repeats.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import polars as pl
import torch

from nasrec_opt import Predictor, SearchSpace, Subnet
from nasrec_opt.data import Inputs, Preprocessor, prepare
from nasrec_opt.data._synthetic import write_log

ONE = 200  # single rows of a repeat
Row = dict[str, Any]
Work = Callable[[], object]


def main() -> None:
    """Print rates for one row and for a batch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the log")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        source, out = Path(temporary) / "log.txt", Path(temporary) / "dataset"
        write_log(source, options.rows, 0)
        prepare(source, out)
        ours = Preprocessor.load(out, binned_dense=True)
        naive = Naive(out, ours)
    table = read(options.rows, ours)
    rows = table.to_dicts()
    show_equal(ours.transform(table), naive(rows))
    model = SearchSpace.nasrec_small(num_blocks=4).sample(np.random.default_rng(0))
    predictor = Predictor(ours, Subnet(model, ours.features))
    inputs, few = ours.transform(table), rows[:ONE]
    alone = [Inputs(inputs.dense[i : i + 1], inputs.sparse[i : i + 1]) for i in range(ONE)]
    cases: dict[str, tuple[Work, Work, int]] = {
        "encode a frame, naively": (
            lambda: ours.transform(table),
            lambda: naive(rows),
            len(rows),
        ),
        "encode a list of dicts, naively": (
            lambda: ours.transform(rows),
            lambda: naive(rows),
            len(rows),
        ),
        "encode one row, naively": (
            lambda: [ours.transform(row) for row in few],
            lambda: [naive([row]) for row in few],
            ONE,
        ),
        "predict a frame, model on encoded rows": (
            lambda: predictor.predict(table),
            lambda: predictor.logits(inputs),
            len(rows),
        ),
        "predict one row, model on an encoded row": (
            lambda: [predictor.predict(row) for row in few],
            lambda: [predictor.logits(row) for row in alone],
            ONE,
        ),
    }
    print(f"{'what':44}{'ours':>12}{'baseline':>12}{'ratio':>8}  spread")
    for what, (work, baseline, count) in cases.items():
        pairs = [(rate(work, count), rate(baseline, count)) for _ in range(options.repeats)]
        print(describe(what, pairs))


class Naive:
    """What `Preprocessor` does, value by value.

    Args:
        folder: The dataset.
        ours: Knows the columns.
    """

    def __init__(self, folder: Path, ours: Preprocessor) -> None:
        self._schema = ours.schema
        files = sorted((folder / "vocabularies").glob("*.parquet"))
        tables = [pl.read_parquet(file)["value"].to_list() for file in files]
        self._ids = [{value: i for i, value in enumerate(t, start=2)} for t in tables]
        self._minima = [float(least) for least in ours._minima]

    def __call__(self, rows: list[Row]) -> Inputs:
        """Encode rows."""
        dense, sparse = [], []
        for row in rows:
            numbers = [row[name] for name in self._schema.dense]
            texts = [row[name] for name in self._schema.sparse] + [bin_of(n) for n in numbers]
            pairs = zip(self._ids, texts, strict=True)
            sparse.append([1 if text is None else ids.get(text, 0) for ids, text in pairs])
            logs = zip(numbers, self._minima, strict=True)
            dense.append([0.0 if n is None else math.log1p(max(n, m) - m) for n, m in logs])
        return Inputs(np.array(dense, np.float32), np.array(sparse, np.int32))


def bin_of(number: int | None) -> str | None:
    """The bin of a dense value as text."""
    if number is None:
        return None
    return str(number if number < 0 else math.floor(math.log1p(number) ** 2))


def read(rows: int, ours: Preprocessor) -> pl.DataFrame:
    """The synthetic log as a frame."""
    types = {n: pl.String if n in ours.schema.sparse else pl.Int64 for n in ours.schema.columns}
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "log.txt"
        write_log(source, rows, 0)
        return pl.read_csv(source, separator="\t", has_header=False, schema=types)


def show_equal(ours: Inputs, naive: Inputs) -> None:
    """Both sides give the same ids, and dense values that differ by rounding alone."""
    np.testing.assert_array_equal(ours.sparse, naive.sparse)
    np.testing.assert_allclose(ours.dense, naive.dense, rtol=1e-6)


def rate(work: Work, rows: int) -> float:
    """Rows per second of processor time."""
    began = time.process_time()
    work()
    return rows / (time.process_time() - began)


def describe(what: str, pairs: list[tuple[float, float]]) -> str:
    """A line of the table from pairs of rates."""
    ours, naive = (median(side) for side in zip(*pairs, strict=True))
    low, middle, high = quantiles([own / other for own, other in pairs], n=4)
    return f"{what:44}{ours:12,.0f}{naive:12,.0f}{middle:7.2f}x  {low:.2f} to {high:.2f}"


if __name__ == "__main__":
    main()
