"""Lines of a log that count several shows, as rows of one label each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._derived import SHOWS, WEIGHT
from nasrec_opt.data._schema import Schema


def rows_of_lines(
    frame: pl.DataFrame, split: npt.NDArray[np.int8], schema: Schema
) -> tuple[pl.DataFrame, npt.NDArray[np.int8]]:
    """Make rows of lines: those of one line are neighbours, and in the split of their line.

    Args:
        frame: Lines, as `derive` makes them.
        split: Split of each line.
        schema: The columns; where a line is a row, nothing changes.

    Returns:
        Rows with a label of 0 or 1, clicks first, and the split of each.
    """
    if not schema.counts_shows:
        return frame, split
    clicks, shows = frame[schema.label].to_numpy(), frame[SHOWS].to_numpy()
    counts = np.stack([clicks, shows - clicks], axis=1).ravel()  # of each line: clicks, others
    is_row = counts > 0
    repeats = counts if schema.count == "impression" else is_row.astype(np.int64)
    place = np.repeat(np.arange(len(counts)), repeats)
    rows = frame.drop(SHOWS)[place // 2].with_columns(
        pl.Series(schema.label, 1 - place % 2, dtype=pl.Int8)
    )
    if schema.count == "weight":
        rows = rows.with_columns(pl.Series(WEIGHT, counts[place], dtype=pl.Float64))
    return rows, split[place // 2]
