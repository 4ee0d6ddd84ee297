"""Vocabularies: the values of a column and how often they occur in the training rows.

Ids are consecutive integers: 0 is rare or unseen, 1 is missing, then values from the most frequent
down. So a higher threshold can be applied later with one comparison: ids from a cut-off on become
0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.errors import DataError

RARE, MISSING, FIRST = 0, 1, 2
_SEEDS = 16  # parts of the hash; the first one is enough
MERGE_ROWS = 1 << 17  # fewest pending rows at which counts are merged


class Counter:
    """Counts the values of one column, chunk by chunk; memory follows the number of values."""

    def __init__(self) -> None:
        self._total = pl.DataFrame(schema={"value": pl.String, "count": pl.Int64})
        self._pending: list[pl.DataFrame] = []
        self._pending_rows = 0

    def add(self, values: pl.Series) -> None:
        """Count one chunk; missing values are not counted."""
        counted = values.drop_nulls().alias("value").value_counts()
        self._pending.append(_own(counted.with_columns(pl.col("count").cast(pl.Int64))))
        self._pending_rows += len(counted)
        if self._pending_rows > max(MERGE_ROWS, len(self._total)):
            self._merge()

    @property
    def num_values(self) -> int:
        """Number of values seen."""
        self._merge()
        return len(self._total)

    def finish(self, min_count: int) -> Vocabulary:
        """The vocabulary of values seen at least `min_count` times; ties in order of the values."""
        self._merge()
        kept = self._total.filter(pl.col("count") >= min_count)
        return Vocabulary(kept.sort(["count", "value"], descending=[True, False]))

    def _merge(self) -> None:
        parts = pl.concat([self._total, *self._pending])
        self._total = _own(parts.group_by("value").agg(pl.col("count").sum()))
        self._pending, self._pending_rows = [], 0


def _own(counted: pl.DataFrame) -> pl.DataFrame:
    """A copy of the values; the originals would keep the text of whole chunks in memory."""
    values = counted["value"].to_arrow(compat_level=pl.CompatLevel.oldest())
    return counted.with_columns(pl.Series("value", values))


class Vocabulary:
    """Values and counts of one column, most frequent first.

    Args:
        table: Columns `value` and `count`.

    Raises:
        DataError: A value occurs twice.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        self.table = table
        # A chunk is looked up in sorted hashes of the values, built once: a vocabulary may hold
        # millions of values, and a hash table of them for each chunk would cost more than parsing.
        for self._seed in range(_SEEDS):
            hashes = self._hash(table["value"])
            self._order = np.argsort(hashes, kind="stable")
            self._hashes = hashes[self._order]
            if not (self._hashes[1:] == self._hashes[:-1]).any():
                return
            # Two values share a hash; this happens once in ten billion vocabularies of 60,000
            # values.
        raise DataError("vocabulary: expected each value once, got one twice")

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
            return np.where(values.is_null().to_numpy(), MISSING, RARE).astype(np.int32)
        hashes = self._hash(values)
        at = self._order[np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)]
        # Unseen values may share a hash with a known one: only equal values count.
        is_known = (self.table["value"].gather(at) == values).fill_null(False).to_numpy()
        ids = np.where(is_known, at + FIRST, RARE).astype(np.int32)
        ids[values.is_null().to_numpy()] = MISSING
        return ids

    def _hash(self, values: pl.Series) -> npt.NDArray[np.uint64]:
        return values.hash(seed=self._seed).to_numpy()
