"""A synthetic click log in Criteo's layout, with planted interactions and known Bayes log loss.

The click is drawn from a known probability. The log loss of that probability is the lowest that any
model can expect. `_world` defines what the probability depends on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._dataset import Dataset
from nasrec_opt.data._prepare import prepare
from nasrec_opt.data._split import SPLITS, split_of
from nasrec_opt.data._world import SPARSE, Rows, World
from nasrec_opt.errors import DataError

Progress = Callable[[int, int | None], None]
CHUNK_ROWS = 50_000
SPLIT_SEED = 0
MIN_ROWS = 100
PROBABILITIES = "probabilities.npy"


def generate_synthetic(
    out: Path | str, *, rows: int = 120_000, seed: int = 0, progress: Progress | None = None
) -> Dataset:
    """Write a synthetic log in Criteo's raw format and prepare it like any other.

    Each split's folder also holds the true probabilities of its rows, `probabilities.npy`.

    Args:
        out: Folder of the dataset.
        rows: Rows of the log, at least 100; 100,000 suffice to learn the interactions.
        seed: Seed of everything but the split, which has seed 0.
        progress: Called with (done, total), in arbitrary units.

    Returns:
        The dataset; `bayes_log_loss` has the log loss of the true probabilities on each split.

    Raises:
        DataError: `rows` is below 100, `seed` below 0, or `out` exists and is not a dataset.
    """
    if rows < MIN_ROWS:
        raise DataError(f"rows: expected {MIN_ROWS} or more, got {rows}")
    if seed < 0:
        raise DataError(f"seed: expected 0 or more, got {seed}")
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / f"synthetic-{rows}-{seed}.txt"
        probabilities, labels = write_log(source, rows, seed)

        def annotate(folder: Path) -> dict[str, Any]:
            split = split_of(0, rows, SPLIT_SEED)
            losses = -np.where(labels == 1, np.log(probabilities), np.log1p(-probabilities))
            for i, name in enumerate(SPLITS):
                np.save(folder / name / PROBABILITIES, probabilities[split == i])
            bayes = {name: float(losses[split == i].mean()) for i, name in enumerate(SPLITS)}
            return {"bayes_log_loss": bayes}

        return prepare(source, out, seed=SPLIT_SEED, progress=progress, annotate=annotate)


def write_log(
    path: Path, rows: int, seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int8]]:
    """Write the raw log; returns the true probability and the label of each row."""
    world = World(np.random.default_rng([seed, 0]))
    names = [_names(field) for field in range(len(SPARSE))]
    probabilities, labels = np.empty(rows), np.empty(rows, np.int8)
    with path.open("wb") as stream:
        for number, first in enumerate(range(0, rows, CHUNK_ROWS), start=1):
            rng = np.random.default_rng([seed, number])
            drawn = world.draw(rng, min(CHUNK_ROWS, rows - first))
            chunk = slice(first, first + len(drawn.odds))
            probabilities[chunk] = 1 / (1 + np.exp(-drawn.odds))
            labels[chunk] = rng.random(len(drawn.odds)) < probabilities[chunk]
            frame = _frame(labels[chunk], drawn, names)
            frame.write_csv(stream, separator="\t", include_header=False)
    return probabilities, labels


def _frame(labels: npt.NDArray[np.int8], rows: Rows, names: list[pl.Series]) -> pl.DataFrame:
    """Rows in Criteo's columns."""
    columns = [pl.Series("label", labels)]
    for i, column in enumerate(rows.dense.T, start=1):
        columns.append(pl.Series(f"I{i}", column).fill_nan(None).cast(pl.Int64))
    for i, (column, values) in enumerate(zip(rows.sparse.T, names, strict=True), start=1):
        index = pl.Series(column).replace(-1, None)
        columns.append(values.gather(index).alias(f"C{i}"))
    return pl.DataFrame(columns)


def _names(field: int) -> pl.Series:
    """Eight hex digits for each value of a column: its number, scrambled one to one."""
    numbers = (np.arange(SPARSE[field].num_values, dtype=np.uint64) << np.uint64(5)) + np.uint64(
        field
    )
    scrambled = numbers * np.uint64(2654435761) % np.uint64(2**32)
    return pl.Series([f"{number:08x}" for number in scrambled.tolist()])
