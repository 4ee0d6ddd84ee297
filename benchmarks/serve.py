"""Raw rows encoded and predicted: ours in torch, ONNX Runtime and int8, against DeepFM.

    python -m benchmarks.serve [--rows 20000] [--repeats 9]

On one thread, over a synthetic log in Criteo's layout, dense columns binned as well. The naive
encoder keeps a dict for each column and encodes value by value. DeepFM is that of deepctr-torch,
run by the adapter of `nasrec_opt.baselines`. Ours is a NASRec-Small genotype of four blocks: of
many samples, the one whose multiply-accumulates are nearest to DeepFM's. It is in floating point;
int8 is the same architecture at 8 bits. Nothing is trained. Both sides read raw rows by
`Preprocessor`, and a call has one row or 1,000. Equal ids of both encoders, and equal answers of
torch and ONNX Runtime, are shown first.

The sides take turns in one process; figures are medians of milliseconds of its CPU for a call,
ratio = baseline / ours, spread = its quartiles over repeats.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported

import argparse
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from benchmarks._turns import compared, turn
from nasrec_opt import Genotype, Predictor, SearchSpace, Subnet
from nasrec_opt.baselines import BaselineOptions, baseline_spec
from nasrec_opt.data import Batch, Inputs, Preprocessor, prepare
from nasrec_opt.data._synthetic import write_log
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering import count_many, lower
from nasrec_opt.serving import OnnxPredictor, export, export_int8

BATCH = 1000  # rows of a call
CALLS = {1: 100, BATCH: 4}  # calls of a turn, by rows
SAMPLES = 1000  # genotypes among which the one of DeepFM's size is found
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A line of the table.

    Args:
        what: Its first column.
        ours: Takes one of `calls`.
        baseline: Takes one of `others`.
        calls: What a turn of ours goes through.
        others: What a turn of the baseline goes through, as many.
    """

    what: str
    ours: Callable[[Any], object]
    baseline: Callable[[Any], object]
    calls: list[Any]
    others: list[Any]


def main() -> None:
    """Print the time of one row and of a batch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the log")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        source, run = Path(temporary) / "log.txt", Path(temporary) / "run"
        write_log(source, options.rows, 0)
        prepare(source, run / "dataset")
        encoder = Preprocessor.load(run / "dataset", binned_dense=True)
        table = read(source, encoder)
        naive = Naive(run / "dataset", encoder)
        deepfm = DeepFM(encoder)
        models = make_models(encoder, run, deepfm.macs(table[:1]))
        show_equal(encoder, naive, models, table)
    print(f"{'milliseconds of a call':46}{'ours':>9}{'baseline':>10}{'ratio':>8}  spread")
    for case in cases(encoder, naive, models, deepfm, table):
        turns = [(turn(case.ours, case.calls), turn(case.baseline, case.others))
                 for _ in range(options.repeats + 1)]  # fmt: skip
        print(describe(case.what, turns[1:]), flush=True)  # the first warms up


def cases(
    encoder: Preprocessor,
    naive: Naive,
    models: dict[str, Any],
    deepfm: DeepFM,
    table: pl.DataFrame,
) -> list[Case]:
    """All lines: what is encoded, predicted from raw rows, and predicted from encoded ones."""
    found = []
    for size, count in CALLS.items():
        frames = [table[i * size : (i + 1) * size] for i in range(count)]
        dicts = [frame.to_dicts() for frame in frames]
        rows = f"{size:,} row{'s' if size > 1 else ''}"
        found += [
            Case(f"{rows}, encoded, against dicts", encoder.transform, naive, dicts, dicts),
            Case(f"{rows} as a frame, encoded", encoder.transform, naive, frames, dicts),
        ]
        for name, model in models.items():
            against = f"{name}, against DeepFM"
            encoded = [encoder.transform(part) for part in dicts]
            found += [
                Case(f"{rows}, {against}", model.predict, deepfm.predict, dicts, dicts),
                Case(f"{rows}, encoded, {against}", model.logits, deepfm.answer, encoded, encoded),
            ]
    return found


def make_models(encoder: Preprocessor, run: Path, macs: float) -> dict[str, Any]:
    """An architecture of so many multiply-accumulates, in all that can run it."""
    genotype = nearest(encoder.features, macs)
    own = lower(genotype, encoder.features).macs
    print(f"multiply-accumulates of a row: {own:,} (ours), {macs:,.0f} (DeepFM)")
    predictor = Predictor(encoder, Subnet(genotype.with_bits(32), encoder.features))
    export(predictor, run / "onnx")
    Subnet(genotype.with_bits(8), encoder.features).save(run / "retrained" / "eight" / "model")
    print(export_int8(run / "retrained" / "eight" / "model", run / "int8").in_words())
    return {
        "torch": predictor,
        "ONNX Runtime": OnnxPredictor.load(run / "onnx", thread_count=1),
        "int8": OnnxPredictor.load(run / "int8", thread_count=1),
    }


def nearest(features: FeatureSpec, macs: float) -> Genotype:
    """Of many samples, the genotype whose multiply-accumulates are nearest to a number."""
    space, rng = SearchSpace.nasrec_small(num_blocks=4), np.random.default_rng(0)
    samples = [space.sample(rng) for _ in range(SAMPLES)]
    return samples[int(np.argmin(np.abs(count_many(samples, features).macs - macs)))]


class DeepFM:
    """The model of deepctr-torch behind our encoding.

    Args:
        encoder: Reads raw rows.
    """

    def __init__(self, encoder: Preprocessor) -> None:
        spec = baseline_spec("deepfm")
        spec.load()  # without the package, one sentence
        assert spec.build is not None
        self._encoder = encoder
        self._network = spec.build(encoder.features, BaselineOptions(), 0)
        self._network.module.eval()

    def predict(self, rows: Any) -> object:
        """Answer raw rows."""
        return self.answer(self._encoder.transform(rows))

    def answer(self, inputs: Inputs) -> object:
        """Answer encoded rows."""
        labels = np.zeros(len(inputs.dense), np.float32)  # not read
        return self._network.click_probabilities(Batch(*inputs, labels))

    def macs(self, row: pl.DataFrame) -> float:
        """Multiply-accumulates of a row."""
        inputs = self._encoder.transform(row)
        return 1e6 * self._network.mflops(Batch(*inputs, np.zeros(1, np.float32)))


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
        self._minima = [float(least) for least in ours._statistics.minima]

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


def read(source: Path, encoder: Preprocessor) -> pl.DataFrame:
    """The log as a frame."""
    schema = encoder.schema
    types = {n: pl.String if n in schema.sparse else pl.Int64 for n in schema.columns}
    return pl.read_csv(source, separator="\t", has_header=False, schema=types)


def show_equal(
    encoder: Preprocessor, naive: Naive, models: dict[str, Any], table: pl.DataFrame
) -> None:
    """Both encoders give the same ids, and torch and ONNX Runtime the same answers."""
    ours, theirs = encoder.transform(table), naive(table.to_dicts())
    np.testing.assert_array_equal(ours.sparse, theirs.sparse)
    np.testing.assert_allclose(ours.dense, theirs.dense, rtol=1e-6)
    torch_answers, onnx_answers = (models[n].predict(table) for n in ("torch", "ONNX Runtime"))
    np.testing.assert_allclose(torch_answers, onnx_answers, atol=1e-5)


def describe(what: str, turns: list[tuple[float, float]]) -> str:
    """A line of the table from pairs of times."""
    ours, baseline, low, ratio, high = compared(turns)
    return f"{what:46}{ours:9.3g}{baseline:10.3g}{ratio:7.2f}x  {low:.2f} to {high:.2f}"


if __name__ == "__main__":
    main()
