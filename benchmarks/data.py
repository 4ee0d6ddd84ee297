"""The loader against a loop over rows and against training; preparing against pandas and loops.

    python -m benchmarks.data [--rows 120000] [--batch-size 512] [--repeats 5]
                              [--only loader|prepare|wait|memory]

Over a generated log in Criteo's layout, on one thread. The naive loader shuffles row numbers and
copies row by row; the naive preparation splits lines, counts and looks up in dicts. The other
preparation is what a notebook does: pandas reads the log, scikit-learn's `OrdinalEncoder` numbers
the categories and the bins of the numbers, fitted on the training rows, and numpy saves the arrays.
Splitting the same file into columns by polars alone is what no preparation can beat. All of them
are shown equal to ours first, up to the order of rows and ids. Training is NASRec-Small's, a
sampled subnet a step, batches at hand. The sides take turns; figures are medians in thousands of
rows a second of this process's CPU, ratio = ours / baseline, spread = its quartiles over repeats.

`--only wait` has the same training steps with batches of the loader and with one batch that stays
in memory, in turns, and says which share of a step is spent in the loader. `--only memory` runs
`nasrec-opt prepare` and prints what it takes; memory is the most without pages of mapped files,
which the system takes back when it needs them.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported

import argparse
import itertools
import math
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import pandas as pd
import polars as pl
import torch
from sklearn.preprocessing import OrdinalEncoder

from benchmarks._memory import Peak
from nasrec_opt import SearchSpace, Supernet
from nasrec_opt.data import Batch, Dataset, Split, generate_log, prepare
from nasrec_opt.data._split import split_of
from nasrec_opt.supernet import (
    SingleOperatorAnyConnection,
    SliceAdagrad,
    batch_tensors,
    train_step,
)

STEPS = 4  # of training, a repeat
WAITS = 40  # the same, where the loader is compared with a batch in memory
NUM_DENSE = 13
Arrays = list[np.ndarray]


def main() -> None:
    """Print rates of loading and preparing, each beside its baseline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=120_000, help="rows of the log")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--only", choices=("loader", "prepare", "wait", "memory"), help="measure one of them"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = generate_log(folder / "log", like="criteo", rows=options.rows).file
        if options.only == "memory":
            memory_line(source, folder / "dataset", options.rows)
            return
        dataset = prepare(source, folder / "dataset")
        if options.only == "wait":
            wait_line(dataset, options.batch_size, options.repeats)
            return
        print(f"{'what':44}{'ours':>9}{'baseline':>10}{'ratio':>8}  spread", flush=True)
        if options.only != "prepare":
            loader_lines(dataset, options.batch_size, options.repeats)
        if options.only != "loader":
            prepare_lines(source, dataset, folder, max(2, options.repeats // 2))


def loader_lines(dataset: Dataset, batch_size: int, repeats: int) -> None:
    """Print the loader's rates."""
    split = dataset.split("train")
    for batches in (split.batches(512, seed=0), naive_batches(split, 512)):
        total = sum(batch.sparse.sum(axis=0, dtype=np.int64) for batch in batches)
        np.testing.assert_array_equal(total, split.rows(slice(None)).sparse.sum(axis=0))

    def ours() -> int:
        return sum(len(b.labels) for b in split.batches(batch_size, seed=0))

    def naive() -> int:
        return sum(len(b.labels) for b in naive_batches(split, batch_size))

    describe("loader, rows copied one by one", measure(repeats, ours, naive))
    step = training_step(dataset, batch_size)
    held = split.rows(slice(0, batch_size))
    trains = measure(repeats, ours, lambda: sum(step(number, held) for number in range(STEPS)))
    describe("loader, a training step's consumption", trains)


def wait_line(dataset: Dataset, batch_size: int, repeats: int) -> None:
    """Print the share of a training step that waits for data."""
    split, step = dataset.split("train"), training_step(dataset, batch_size)
    loaded = iter(split.batches(batch_size, seed=0))
    held = itertools.repeat(split.rows(slice(0, batch_size)))
    turns = [
        [timed_steps(step, batches, repeat * WAITS) for batches in (loaded, held)]
        for repeat in range(repeats)
    ]
    own, without = (1e3 * median(sum(times) for times in side) for side in zip(*turns, strict=True))
    low, share, high = quantiles([loaded[0] / sum(loaded) for loaded, _ in turns], n=4)
    print(f"a step with the loader {own:.1f} ms, with a batch in memory {without:.1f} ms")
    print(f"of it in the loader {share:.2%}, {low:.2%} to {high:.2%}")


def timed_steps(
    step: Callable[[int, Batch], int], batches: Iterator[Batch], first: int
) -> tuple[float, float]:
    """Processor seconds of taking a batch, and of a step with it."""
    waiting = 0.0
    began = time.process_time()
    for number in range(first, first + WAITS):
        asked = time.process_time()
        batch = next(batches)
        waiting += time.process_time() - asked
        step(number, batch)
    whole = time.process_time() - began
    return waiting / WAITS, (whole - waiting) / WAITS


def memory_line(source: Path, out: Path, rows: int) -> None:
    """Print what `nasrec-opt prepare` takes."""
    command = [sys.executable, "-m", "nasrec_opt", "prepare", str(source), "--out", str(out)]
    settings = {k: v for k, v in os.environ.items() if k != "POLARS_MAX_THREADS"}
    with subprocess.Popen(command, env=settings) as process, Peak(process.pid) as peak:
        process.wait()
    assert process.returncode == 0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime
    disk = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    print(f"{rows:,} rows: {seconds:.1f} s of CPU time, {rows / seconds:,.0f} rows a second")
    mapped = used.ru_maxrss * 1024 / 1e6
    print(f"peak memory {peak.megabytes:,.0f} MB, with mapped files {mapped:,.0f} MB")
    print(f"disk {disk / 1e6:,.0f} MB")


def prepare_lines(source: Path, dataset: Dataset, folder: Path, repeats: int) -> None:
    """Print the rates of preparing."""
    split = dataset.split("train")
    for ours, theirs in zip(split.rows(slice(None)), naive_prepare(source), strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    show_same_values(split, pandas_prepare(source, folder))
    rows = sum(dataset.meta["rows"].values())

    def prepared() -> int:
        shutil.rmtree(dataset.path)  # else there is nothing to do
        prepare(source, dataset.path)
        return rows

    def naive() -> int:
        naive_prepare(source)
        return rows

    def pandas() -> int:
        pandas_prepare(source, folder)
        return rows

    describe("prepare, line by line with dicts", measure(repeats, prepared, naive))
    describe("prepare, pandas and scikit-learn", measure(repeats, prepared, pandas))
    limit = measure(repeats, prepared, lambda: len(columns_of(source)))
    describe("prepare, polars splitting the file alone", limit)


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


def pandas_prepare(source: Path, folder: Path) -> Arrays:
    """Training rows as a notebook makes them; arrays of all splits are saved."""
    numbers = [f"I{i}" for i in range(1, 14)]
    texts = [f"C{i}" for i in range(1, 27)]
    types = dict.fromkeys(numbers, float) | dict.fromkeys(texts, str)
    frame = pd.read_csv(source, sep="\t", header=None, names=["label", *types], dtype=types)
    split = split_of(0, len(frame), 0)
    given = frame[numbers].to_numpy()
    bins = np.where(given < 0, np.floor(given), np.floor(np.log1p(given.clip(0)) ** 2))
    least = np.minimum(np.nanmin(given[split == 0], axis=0), 0)
    dense = np.nan_to_num(np.log1p(np.maximum(given, least) - least)).astype(np.float32)
    values = frame[texts].fillna("")
    encoders = [
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.int32)
        for _ in range(2)
    ]
    columns = []
    for encoder, array in zip(encoders, (values, np.nan_to_num(bins, nan=-99)), strict=True):
        encoder.fit(array[split == 0])
        columns.append(encoder.transform(array) + 1)
    arrays = [dense, np.concatenate(columns, axis=1), frame["label"].to_numpy(np.uint8)]
    for part in range(3):
        for place, array in enumerate(arrays):
            np.save(folder / f"{part}_{place}.npy", array[split == part])
    return [array[split == 0] for array in arrays]


def columns_of(source: Path) -> pl.DataFrame:
    """The log split into columns, numbers as integers."""
    types = [pl.Int64] * (1 + NUM_DENSE) + [pl.String] * 26
    schema = {f"{place}": kind for place, kind in enumerate(types)}
    return pl.read_csv(source, separator="\t", has_header=False, schema=schema, quote_char=None)


def show_same_values(split: Split, others: Arrays) -> None:
    """Another preparation has the same numbers, and ids that tell the same values apart."""
    ours = split.rows(slice(None))
    np.testing.assert_allclose(ours.dense, others[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours.labels, others[2])
    for column in range(ours.sparse.shape[1]):
        pairs = np.stack([ours.sparse[:, column], others[1][:, column]])
        sizes = [len(np.unique(values)) for values in pairs]
        assert sizes == [np.unique(pairs, axis=1).shape[1]] * 2


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


def training_step(dataset: Dataset, batch_size: int) -> Callable[[int, Batch], int]:
    """A step of training on a batch; returns the number of its rows."""
    space = SearchSpace.nasrec_small(max_inputs=4)
    supernet = Supernet(space, dataset.features)
    optimizer, strategy = SliceAdagrad(supernet), SingleOperatorAnyConnection(space)
    device = supernet.final.bias.device

    def step(number: int, batch: Batch) -> int:
        genotype = strategy.sample(np.random.default_rng(number), 1.0)
        tensors = batch_tensors(batch, device)
        train_step(supernet, optimizer, tensors, genotype, learning_rate=0.01)
        return len(batch.labels)

    step(0, dataset.split("train").rows(slice(0, batch_size)))
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


def describe(what: str, pairs: list[tuple[float, float]]) -> None:
    """Print a line of the table from pairs of rates, ours and the baseline's."""
    ours, baseline = (median(side) for side in zip(*pairs, strict=True))
    low, middle, high = quantiles([own / theirs for own, theirs in pairs], n=4)
    rates = f"{ours / 1e3:9,.0f}{baseline / 1e3:10,.1f}"
    print(f"{what:44}{rates}{middle:7.2f}x  {low:.2f} to {high:.2f}", flush=True)


if __name__ == "__main__":
    main()
