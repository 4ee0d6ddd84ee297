"""Vocabularies: the values of a column and how often they occur in the training rows.

Ids are consecutive integers: 0 is rare or unseen, 1 is missing, then values from the most frequent
down. So a higher threshold can be applied later with one comparison: ids from a cut-off on become
0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.errors import DataError

RARE, MISSING, FIRST = 0, 1, 2
_SEEDS = 16  # parts of the hash; the first one is enough
FEW = 1000  # values that Python encodes in less time than calls of polars take
MOST_IN_DICTS = 1 << 20  # values, which take about 125 MB in dicts
MERGE_ROWS = 1 << 17  # fewest pending rows at which counts are merged


class Counter:
    """Counts the values of one column, chunk by chunk; memory follows the number of values."""

    def __init__(self) -> None:
        self._total = pl.DataFrame(schema={"value": pl.String, "count": pl.Int64})
        self._pending: list[pl.DataFrame] = []
        self._pending_rows = 0

    def add(self, values: pl.Series) -> None:
        """Count one chunk of text or integers; missing values are not counted."""
        self.merge(counted(values))

    def merge(self, counts: pl.DataFrame) -> None:
        """Add what `counted` has found."""
        self._pending.append(_own(counts))
        self._pending_rows += len(counts)
        if self._pending_rows > max(MERGE_ROWS, len(self._total)):
            self._merge()

    def finish(self, min_count: int) -> Vocabulary:
        """The vocabulary of values seen at least `min_count` times; ties in order of the values."""
        return Vocabulary(by_count(self.table)).at_least(min_count)

    @property
    def table(self) -> pl.DataFrame:
        """Values and counts so far, in no order."""
        if self._pending:
            self._merge()
        return self._total

    def __len__(self) -> int:
        """Rows in memory, of which some may have the same value."""
        return len(self._total) + self._pending_rows

    def keep(self, chosen: pl.Expr) -> None:
        """Forget all other values."""
        self._total = _own(self.table.filter(chosen))

    def _merge(self) -> None:
        parts = pl.concat([self._total, *self._pending])
        self._total = _own(parts.group_by("value").agg(pl.col("count").sum()))
        self._pending, self._pending_rows = [], 0


def counted(values: pl.Series) -> pl.DataFrame:
    """Values of text or integers, without missing ones, as text, and the count of each."""
    counts = values.drop_nulls().alias("value").value_counts()
    return counts.with_columns(pl.col("value").cast(pl.String), pl.col("count").cast(pl.Int64))


def by_count(table: pl.DataFrame) -> pl.DataFrame:
    """Rows of values and counts, the most frequent first, ties in order of the values."""
    # Numbers are sorted in less time than text, which is compared only where they are equal.
    padded = (pl.col("value") + "\0" * 8).cast(pl.Binary).bin.slice(0, 8)
    begins = table.select(padded.bin.reinterpret(dtype=pl.UInt64, endianness="big"))
    numbers, counts = begins.to_series().to_numpy(), table["count"].to_numpy()
    order = np.argsort(numbers)
    order = order[np.argsort(-counts[order], kind="stable")]
    numbers, counts = numbers[order], counts[order]
    is_tie = (counts[1:] == counts[:-1]) & (numbers[1:] == numbers[:-1])
    places = np.flatnonzero(np.append(False, is_tie) | np.append(is_tie, False))
    tied = table[order[places]].with_columns(place=pl.Series(order[places]))
    order[places] = tied.sort(["count", "value"], descending=[True, False])["place"].to_numpy()
    return table[order]


def _own(counts: pl.DataFrame) -> pl.DataFrame:
    """A copy of the values; the originals would keep the text of whole chunks in memory."""
    values = counts["value"].to_arrow(compat_level=pl.CompatLevel.oldest())
    return counts.with_columns(pl.Series("value", values))


class Vocabulary:
    """Values and counts of one column, most frequent first.

    Args:
        table: Columns `value` and `count`.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        self.table = table

    @property
    def cardinality(self) -> int:
        """Number of ids, the two reserved ones included."""
        return FIRST + len(self.table)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Training rows of each value, descending, `[cardinality - 2]`."""
        return self.table["count"].to_numpy()

    def at_least(self, min_count: int) -> Vocabulary:
        """Keep the values that at least `min_count` training rows have."""
        return Vocabulary(self.table.filter(pl.col("count") >= min_count))

    def cut(self, cardinality: int) -> Vocabulary:
        """Keep the most frequent values, as many as have ids below `cardinality`."""
        return Vocabulary(self.table.head(max(cardinality - FIRST, 0)))


class FixedIds:
    """A column whose ids are numbers that need no vocabulary: hashes, remainders, bins.

    Args:
        size: Number of ids, without the two reserved ones.
    """

    def __init__(self, size: int) -> None:
        self.cardinality = FIRST + size
        self.counts = np.empty(0, np.int64)
        self.table = pl.DataFrame(schema={"value": pl.String, "count": pl.Int64})

    def at_least(self, min_count: int) -> FixedIds:
        """The same column: its ids have no counts."""
        return self

    def cut(self, cardinality: int) -> FixedIds:
        """The same column.

        Raises:
            DataError: It has another number of ids.
        """
        if cardinality != self.cardinality:
            raise DataError(
                f"columns: expected a model of {self.cardinality} ids of a hashed or binned column,"
                f" got {cardinality}: it was trained on another log"
            )
        return self


class Lookup:
    """Finds the ids of values in the vocabularies of several columns at once.

    Values are looked up in sorted hashes, built once: a vocabulary may hold millions of values, and
    a hash table of them for each chunk would cost more than parsing. All columns are looked up in
    one pass, so that a single row costs little more than a single value. A few rows are looked up
    in dicts, which are made when they are first needed, unless they would be too large.

    Args:
        vocabularies: One for each column.

    Raises:
        DataError: A vocabulary has a value twice.
    """

    def __init__(self, vocabularies: Sequence[Vocabulary]) -> None:
        tables = [vocabulary.table["value"] for vocabulary in vocabularies]
        # A null at the end, which equals no value.
        values = [table.cast(pl.String) for table in tables] + [pl.Series([None], dtype=pl.String)]
        self._values = pl.concat([value.alias("value") for value in values], rechunk=True)
        self._starts = np.cumsum([0, *map(len, tables)])
        for self._seed in range(_SEEDS):
            hashes = self._hash(self._values)
            columns = [self._sorted(hashes, column) for column in range(len(tables))]
            if not any((known[1:] == known[:-1]).any() for known, _ in columns):
                self._columns = columns
                return
            # Two values share a hash, once in ten billion vocabularies of 60,000.
        raise DataError("vocabulary: expected each value once, got one twice")

    def encode(self, values: pl.Series) -> npt.NDArray[np.int32]:
        """Find the ids of some rows.

        Args:
            values: Text with nulls, all rows of the first column, then those of the next, and so
                on, `[columns * rows]`.

        Returns:
            `[rows, columns]`.
        """
        rows = len(values) // len(self._columns)
        if len(values) <= FEW and self._starts[-1] <= MOST_IN_DICTS:
            listed = iter(values.to_list())
            few = [[ids.get(v, RARE) for v in islice(listed, rows)] for ids in self._dicts]
            return np.ascontiguousarray(np.array(few, np.int32).T)
        hashes = self._hash(values).reshape(len(self._columns), rows)
        at = np.empty(hashes.shape, np.int64)
        for place, asked, (known, order) in zip(at, hashes, self._columns, strict=True):
            place[:] = order[known.searchsorted(asked)]
        # Unseen values may share a hash with a known one: only equal values count.
        is_known = self._values[at.ravel()].eq_missing(values).to_numpy()
        ids = np.where(is_known.reshape(at.shape), at - self._starts[:-1, None] + FIRST, RARE)
        if values.null_count():
            ids[values.is_null().to_numpy().reshape(at.shape)] = MISSING
        return np.ascontiguousarray(ids.T, np.int32)

    @cached_property
    def _dicts(self) -> list[dict[str | None, int]]:
        """The id of each value, by column."""
        ends = zip(self._starts[:-1], self._starts[1:], strict=True)
        tables = [self._values[first:last].to_list() for first, last in ends]
        return [{v: i for i, v in enumerate(t, FIRST)} | {None: MISSING} for t in tables]

    def _sorted(
        self, hashes: npt.NDArray[np.uint64], column: int
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """Hashes of a column's values, ascending, and where each value is among all columns'.

        What is beyond the last hash is at the null.
        """
        first, last = self._starts[column : column + 2]
        order = first + np.argsort(hashes[first:last], kind="stable")
        return hashes[order], np.append(order, len(hashes) - 1)

    def _hash(self, values: pl.Series) -> npt.NDArray[np.uint64]:
        return values.hash(seed=self._seed).to_numpy()
