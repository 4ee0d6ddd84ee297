"""Small logs that the tests of this folder write, and datasets as something to compare."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from nasrec_opt.data import Dataset, Schema

GOOD = "0\t" + "\t".join(["1"] * 13) + "\t" + "\t".join(["0a1b2c3d"] * 26)
SMALL = Schema(label="y", dense=("a", "b"), sparse=("u", "v"))
Table = list[dict[str, str]]


def good_lines(count: int) -> list[str]:
    """Criteo's layout, both classes."""
    return [str(i % 2) + GOOD[1:] for i in range(count)]


def small_table(rows: int, seed: int) -> Table:
    """Rows of `SMALL` and one column more: skewed values, missing fields, negative numbers."""
    rng = np.random.default_rng(seed)
    table = []
    for i in range(rows):
        values = rng.zipf(1.6, 2) % 40
        table.append(
            {
                "y": str(i % 2 if i < 2 else rng.integers(2)),
                "a": "" if rng.random() < 0.2 else str(rng.integers(-3, 50)),
                "u": "" if rng.random() < 0.1 else f"ü{values[0]}",
                "extra": "x",
                "v": f"v {values[1]}",
                "b": f"{rng.normal(0, 9):.3f}",
            }
        )
    return table


def write_csv(path: Path, table: Table, *, separator: str = ",", end: str = "\n") -> Path:
    """A header line and the rows."""
    lines = [separator.join(table[0]), *(separator.join(row.values()) for row in table)]
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def write_parquet(path: Path, table: Table) -> Path:
    """The same rows with numbers as numbers."""
    frame = pl.DataFrame(table).with_columns(pl.all().replace("", None))
    frame.with_columns(pl.col("y").cast(pl.Int32), pl.col("a", "b").cast(pl.Float64)).write_parquet(
        path, row_group_size=97
    )
    return path


def arrays(dataset: Dataset) -> dict[str, np.ndarray]:
    """Everything that a dataset reads as."""
    found = {}
    for name in ("train", "validation", "test"):
        batch = dataset.split(name).rows(slice(None))
        found |= {
            f"{name}/{key}": value for key, value in batch._asdict().items() if value is not None
        }
    return found


def content(folder: Path) -> dict[str, object]:
    """Every file of a dataset folder, but for the name of the log that it was made of."""
    files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    found: dict[str, object] = {name: path.read_bytes() for name, path in files.items()}
    meta = json.loads(files["dataset.json"].read_text())
    kept = {k: v for k, v in meta.items() if k not in ("source", "made_of")}
    return found | {"dataset.json": kept}
