"""One raw row encoded in the shipped formats: value by value, against the code for tables.

    python -m benchmarks.rows [--rows 5000] [--repeats 9]

A log of each format is generated and prepared; then single rows of it are encoded, on one thread.
`Preprocessor.transform` reads few rows value by value. The baseline is the same call where this is
switched off, so that a row goes the way of a table. Both are shown equal first. A row is a dict of
text and numbers, a dict in which whole numbers among the categories are integers (as from JSON), or
a data frame of one row.

The sides take turns in one process; figures are medians of milliseconds of its CPU for a call,
ratio = baseline / ours, spread = its quartiles over repeats.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks._turns import compared, turn
from nasrec_opt.data import GeneratedLog, LogKind, Preprocessor, generate_log, prepare
from nasrec_opt.data._few_rows import FewRows, LeftToTables
from nasrec_opt.options import Layout

CALLS = 20  # rows of a turn
FORMATS: tuple[tuple[LogKind, Layout], ...] = (
    ("criteo", "default"),
    ("criteo", "published"),
    ("avazu", "default"),
    ("avazu", "published"),
    ("kdd2012", "default"),
    ("kdd2012", "published"),
)


class Never(FewRows):
    """Reads no rows."""

    def columns(self, values: Any) -> Any:
        """Leave all rows to the code for tables."""
        raise LeftToTables


def main() -> None:
    """Print the time of one row of each format."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5000, help="rows of each log")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    print("| one row | ours | as a table | ratio | spread |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        logs: dict[LogKind, GeneratedLog] = {}
        for kind, layout in FORMATS:
            if kind not in logs:
                logs[kind] = generate_log(folder / kind, like=kind, rows=options.rows)
            log, out = logs[kind], folder / f"{kind}-{layout}"
            prepare(log.file, out, format=kind, layout=layout, users=log.users)
            ours, tables = Preprocessor.load(out), Preprocessor.load(out)
            tables._few_rows = Never(tables.schema)
            frame = pl.read_csv(
                log.file,
                separator=ours.schema.separator,
                has_header=not ours.schema.columns,
                new_columns=ours.schema.columns or None,
                infer_schema=False,
            ).with_columns(pl.col(ours.schema.dense).cast(pl.Float64))
            for what, calls in held(frame[:CALLS], ours):
                for call in calls:
                    for one, other in zip(
                        ours.transform(call), tables.transform(call), strict=True
                    ):
                        np.testing.assert_array_equal(one, other)
                turns = [
                    (turn(ours.transform, calls), turn(tables.transform, calls))
                    for _ in range(options.repeats)
                ]
                print(describe(f"{kind}, {layout}: {what}", turns), flush=True)


def held(frame: pl.DataFrame, preprocessor: Preprocessor) -> Iterator[tuple[str, list[Any]]]:
    """Single rows, in all that may hold them."""
    rows = [frame[place : place + 1] for place in range(len(frame))]
    dicts = [row.to_dicts()[0] for row in rows]
    yield "dict", dicts
    texts = set(preprocessor.schema.sparse)
    whole = [{k: as_integer(v) if k in texts else v for k, v in row.items()} for row in dicts]
    if whole != dicts:
        yield "dict with integers", whole
    yield "polars", rows
    yield "pandas", [row.to_pandas() for row in rows]


def as_integer(text: str | None) -> str | int | None:
    """A category as JSON has it."""
    return int(text) if text is not None and text.isdecimal() and len(text) < 16 else text


def describe(what: str, turns: list[tuple[float, float]]) -> str:
    """A line of the table from pairs of times."""
    ours, tables, low, ratio, high = compared(turns)
    return f"| {what} | {ours:.2g} | {tables:.2g} | {ratio:.0f} | {low:.0f} to {high:.0f} |"


if __name__ == "__main__":
    main()
