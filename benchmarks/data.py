"""The loader against a loop over rows and against training; preparing against a loop over lines.

    python -m benchmarks.data [--rows 120000] [--batch-size 512] [--repeats 5]

On one thread, over a synthetic log in Criteo's layout. The naive loader shuffles row numbers and
copies row by row; the naive preparation splits lines, counts and looks up in dicts, and keeps what
it made in memory. Both are shown equal to ours first, up to the order of rows. Training is
NASRec-Small's, a sampled subnet a step, batches at hand. The sides take turns; figures are medians
in thousands of rows a second of this process's CPU, ratio = ours / baseline, spread = its quartiles
over repeats.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported

import argparse
import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import torch

from nasrec_opt import SearchSpace, Supernet
from nasrec_opt.data import Batch, Dataset, Split, prepare
from nasrec_opt.data._split import split_of
from nasrec_opt.data._synthetic import write_log
from nasrec_opt.supernet import SingleOperatorAnyConnection, SliceAdagrad, train_step

STEPS = 4  # of training, a repeat
NUM_DENSE = 13
Arrays = list[np.ndarray]


def main() -> None:
    """Print rates of loading and preparing, each beside its baseline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=120_000, help="rows of the log")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        source, out = Path(temporary) / "log.txt", Path(temporary) / "dataset"
        write_log(source, options.rows, 0)
        dataset = prepare(source, out)
        split = dataset.split("train")
        show_equal(split, naive_prepare(source))
        loads = measure(
            options.repeats,
            lambda: sum(len(b.labels) for b in split.batches(options.batch_size, seed=0)),
            lambda: sum(len(b.labels) for b in naive_batches(split, options.batch_size)),
        )
        step = training_step(dataset, options.batch_size)
        trains = measure(
            options.repeats,
            lambda: sum(len(b.labels) for b in split.batches(options.batch_size, seed=0)),
            lambda: sum(step(number) for number in range(STEPS)),
        )
        prepares = measure(
            max(2, options.repeats // 2),
            lambda: sum(prepare(source, out).meta["rows"].values()),
            lambda: len(naive_prepare(source)[0]) * 10 // 8,
        )
    print(f"{'what':44}{'ours':>9}{'baseline':>10}{'ratio':>8}  spread")
    print(describe("loader, rows copied one by one", loads))
    print(describe("loader, a training step's consumption", trains))
    print(describe("prepare, line by line with dicts", prepares))


def show_equal(split: Split, naive: Arrays) -> None:
    """Both preparations give the same rows, and both loaders all of them."""
    for ours, theirs in zip(split.rows(slice(None)), naive, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    for batches in (split.batches(512, seed=0), naive_batches(split, 512)):
        total = sum(batch.sparse.sum(axis=0, dtype=np.int64) for batch in batches)
        np.testing.assert_array_equal(total, split.rows(slice(None)).sparse.sum(axis=0))


def naive_batches(split: Split, batch_size: int) -> Iterator[Batch]:
    """Batches of shuffled rows, put together row by row."""
    dense, sparse, labels, _ = split.rows(slice(None))
    order = list(range(split.num_rows))
    np.random.default_rng(0).shuffle(order)
    for begin in range(0, len(order), batch_size):
        rows = [(dense[i], sparse[i], labels[i]) for i in order[begin : begin + batch_size]]
        yield Batch(*(np.stack(column) for column in zip(*rows, strict=True)))


def naive_prepare(source: Path) -> Arrays:
    """Training rows: dense, sparse and labels."""
    rows = [line.rstrip("\n").split("\t") for line in source.open()]
    split = split_of(0, len(rows), 0).tolist()
    counters = [Counter() for _ in range(26 + NUM_DENSE)]
    minima = [0] * NUM_DENSE
    for part, row in zip(split, rows, strict=True):
        row += [bin_of(text) for text in row[1 : 1 + NUM_DENSE]]
        if part == 0:
            for counter, value in zip(counters, row[1 + NUM_DENSE :], strict=True):
                counter[value] += 1
            for i, text in enumerate(row[1 : 1 + NUM_DENSE]):
                if text:
                    minima[i] = min(minima[i], int(text))
    vocabularies = [vocabulary(counter) for counter in counters]
    found: tuple[list, list, list] = ([], [], [])
    for part, row in zip(split, rows, strict=True):
        ids = [v.get(x, 0) for v, x in zip(vocabularies, row[1 + NUM_DENSE :], strict=True)]
        logs = [
            math.log1p(max(int(text), least) - least) if text else 0.0
            for text, least in zip(row[1 : 1 + NUM_DENSE], minima, strict=True)
        ]
        if part == 0:
            for values, value in zip(found, (logs, ids[:26], float(row[0])), strict=True):
                values.append(value)
    return [np.array(values) for values in found]


def bin_of(text: str) -> str:
    """The bin of a dense value as text, by Criteo's transformation; empty where it is missing."""
    if not text:
        return ""
    value = int(text)
    return str(value if value < 0 else math.floor(math.log1p(value) ** 2))


def vocabulary(counter: Counter) -> dict[str, int]:
    """Ids of values, the most frequent first; 1 is that of a missing value."""
    counter.pop("", None)
    ordered = sorted(counter, key=lambda value: (-counter[value], value))
    return {"": 1} | {value: number for number, value in enumerate(ordered, start=2)}


def training_step(dataset: Dataset, batch_size: int) -> Callable[[int], int]:
    """A step of training on the first rows; returns how many."""
    space = SearchSpace.nasrec_small(max_inputs=4)
    supernet = Supernet(space, dataset.features)
    optimizer, strategy = SliceAdagrad(supernet), SingleOperatorAnyConnection(space)
    batch = [torch.from_numpy(x) for x in dataset.split("train").rows(slice(0, batch_size))]

    def step(number: int) -> int:
        genotype = strategy.sample(np.random.default_rng(number), 1.0)
        train_step(supernet, optimizer, batch, genotype, learning_rate=0.01)
        return batch_size

    step(0)
    return step


def measure(
    repeats: int, ours: Callable[[], int], baseline: Callable[[], int]
) -> list[tuple[float, float]]:
    """Rows a second of both sides, in turns."""
    return [(rate(ours), rate(baseline)) for _ in range(repeats)]


def rate(run: Callable[[], int]) -> float:
    """Rows per second of processor time; `run` returns its number of rows."""
    began = time.process_time()
    rows = run()
    return rows / (time.process_time() - began)


def describe(what: str, pairs: list[tuple[float, float]]) -> str:
    """A line of the table from pairs of rates, ours and the baseline's."""
    ours, baseline = (median(side) for side in zip(*pairs, strict=True))
    low, middle, high = quantiles([own / theirs for own, theirs in pairs], n=4)
    return (
        f"{what:44}{ours / 1e3:9,.0f}{baseline / 1e3:10,.1f}{middle:7.1f}x  {low:.1f} to {high:.1f}"
    )


if __name__ == "__main__":
    main()
