"""Vocabularies: values of a column and how often the training rows have them.

Ids are dense integers: 0 = rare or unseen, 1 = missing, then values from the most frequent down. So
a higher threshold later on is one comparison: ids from a cut-off on become 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

RARE, MISSING, FIRST = 0, 1, 2
MERGE_ROWS = 1 << 20  # pending rows at which counts are merged, so that memory follows the values


class Counter:
    """Counts the values of one column, chunk by chunk."""

    def __init__(self) -> None:
        self._total: pl.DataFrame | None = None
        self._pending: list[pl.DataFrame] = []
        self._pending_rows = 0

    def add(self, values: pl.Series) -> None:
        """Count one chunk; missing values are not counted."""
        counted = values.drop_nulls().alias("value").value_counts()
        self._pending.append(counted.with_columns(pl.col("count").cast(pl.Int64)))
        self._pending_rows += len(counted)
        if self._pending_rows > MERGE_ROWS:
            self._merge()

    def finish(self, min_count: int) -> Vocabulary:
        """The vocabulary of values seen at least `min_count` times."""
        self._merge()
        assert self._total is not None
        kept = self._total.filter(pl.col("count") >= min_count)
        kept = kept.sort(["count", "value"], descending=[True, False])
        return Vocabulary(kept)

    def _merge(self) -> None:
        parts = [*([] if self._total is None else [self._total]), *self._pending]
        if parts:
            self._total = pl.concat(parts).group_by("value").agg(pl.col("count").sum())
        self._pending, self._pending_rows = [], 0


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Values and counts of one column, most frequent first.

    Args:
        table: Columns `value` and `count`.
    """

    table: pl.DataFrame

    @property
    def cardinality(self) -> int:
        """Number of ids, the two reserved ones included."""
        return FIRST + len(self.table)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Training rows of each value, descending, `[cardinality - 2]`."""
        return self.table["count"].to_numpy()

    def encode(self, values: pl.Series) -> npt.NDArray[np.int32]:
        """Ids of a chunk, `[rows]`."""
        if not len(self.table):
            ids = pl.Series(np.zeros(len(values), np.int32))
        else:
            ids = values.replace_strict(
                self.table["value"],
                np.arange(FIRST, self.cardinality, dtype=np.int32),
                default=RARE,
                return_dtype=pl.Int32,
            )
        encoded = ids.fill_null(RARE).to_numpy().astype(np.int32)
        encoded[values.is_null().to_numpy()] = MISSING
        return encoded
