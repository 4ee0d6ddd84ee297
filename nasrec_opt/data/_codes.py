"""Codes of categories while a log is read: its text is parsed, and its values are hashed, once.

Ids follow counts, which are known only after the last row. So rows are first kept as codes, which
number the values of a column in the order in which they appear; a look-up in an array turns codes
into ids afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._encoding import bin_integers, fixed_ids, quantile_ids
from nasrec_opt.data._schema import Schema
from nasrec_opt.data._statistics import Statistics
from nasrec_opt.data._vocabulary import (
    FIRST,
    MISSING,
    RARE,
    Counter,
    FixedIds,
    Vocabulary,
    by_count,
)

NO_VALUE = 0  # code of a missing value; the first value has code 1
MOST_IN_TABLE = 1 << 16  # integers from the smallest to the largest that are looked up directly
BLOCK_ROWS = 1 << 11  # rows whose ids stay in a processor's cache while columns are joined
DENSE_COUNTS = 4  # codes for each row up to which counting all codes beats counting row by row
Ids = npt.NDArray[np.int32]


class CodeBook:
    """Values of text columns and their codes, with the number of training rows of each.

    Memory holds each value once, some 100 bytes for one of 8 characters, with its count.

    Args:
        names: Columns that are coded.

    Example:
        >>> book = CodeBook(["site"])
        >>> coded = book.encode(pl.DataFrame({"site": ["b", None, "a", "b"]}))
        >>> coded["site"].to_list()
        [1, 0, 2, 1]
        >>> book.count(coded)
        >>> [(vocabulary, ids)] = book.finish(min_count=2)
        >>> vocabulary.table["value"].to_list(), ids[coded["site"]].tolist()
        (['b'], [2, 1, 0, 2])
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        books = [pl.Categories.random(physical=pl.UInt32) for _ in names]
        # Polars forgets the codes of a book when no series of it is left.
        self._kept = [pl.Series(dtype=pl.Categorical(book)) for book in books]
        self._most = [NO_VALUE for _ in names]  # largest code of each column
        self._counts = [np.zeros(1, np.int64) for _ in names]

    def encode(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Replace text by codes, `UInt32`; all columns at once, on all of polars' threads.

        Args:
            frame: Has the columns as String with nulls, and any others.
        """
        coded = frame.with_columns(
            (pl.col(name).cast(kept.dtype).to_physical() + 1).fill_null(NO_VALUE)
            for name, kept in zip(self._names, self._kept, strict=True)
        )
        most = coded.select(pl.col(self._names).max()).row(0) if self._names else ()
        self._most = [max(before, now or 0) for before, now in zip(self._most, most, strict=True)]
        return coded

    def count(self, train: pl.DataFrame) -> None:
        """Count training rows towards the ids.

        Args:
            train: Rows with codes.
        """
        for place, name in enumerate(self._names):
            codes, counts = train[name].to_numpy(), self._counts[place]
            size = int(codes.max(initial=0)) + 1
            if size > len(counts):
                counts = np.zeros(max(size, 2 * len(counts)), np.int64)
                counts[: len(self._counts[place])] = self._counts[place]
                self._counts[place] = counts
            if size <= DENSE_COUNTS * len(codes):
                counts[:size] += np.bincount(codes, minlength=size)
            else:
                np.add.at(counts, codes, 1)

    def num_values(self) -> dict[str, int]:
        """Number of values that training rows have, by column."""
        counts = zip(self._names, self._counts, strict=True)
        return {name: int(np.count_nonzero(count[1:])) for name, count in counts}

    def finish(
        self, min_count: int, max_values: int | None = None
    ) -> Iterator[tuple[Vocabulary, Ids]]:
        """Make the vocabularies; the values of each column are forgotten on the way.

        Args:
            min_count: Training rows that a value needs for an id.
            max_values: Most values of a column that have an id, or None for any number.

        Yields:
            For each column, values from the most frequent down, ties in order of the values; and
            the id of each code, `[codes]`.
        """
        for place, most in enumerate(self._most):
            counts = self._counts[place]
            codes = 1 + np.flatnonzero(counts[1:] >= max(min_count, 1))
            values = texts_of(codes - 1, self._kept[place].dtype)
            table = pl.DataFrame({"value": values, "count": counts[codes], "code": codes})
            self._counts[place], self._kept[place] = counts[:0], self._kept[place].cast(pl.String)
            kept = by_count(table).head(max_values or len(table))
            ids = np.full(most + 1, RARE, np.int32)
            ids[NO_VALUE] = MISSING
            ids[kept["code"].to_numpy()] = np.arange(FIRST, FIRST + len(kept), dtype=np.int32)
            yield Vocabulary(kept.select("value", "count")), ids


class Book(Protocol):
    """What codes values and counts them: `CodeBook`, or `SpilledCodeBook`."""

    def encode(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Replace text by codes."""
        ...

    def count(self, train: pl.DataFrame) -> None:
        """Count training rows of each encoded frame, in the order of the frames."""
        ...

    def num_values(self) -> dict[str, int]:
        """Number of values that training rows have, by column."""
        ...

    def finish(
        self, min_count: int, max_values: int | None = None
    ) -> Iterator[tuple[Vocabulary, Ids]]:
        """Make the vocabularies, and the ids of codes."""
        ...


class IntegerIds:
    """Finds the ids of integers, such as the bins of a dense column.

    Args:
        vocabulary: Their values as text.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        values = vocabulary.table["value"].cast(pl.Int64).to_numpy()
        order = np.argsort(values)
        # One more at the end, which is nobody's: every value has a place.
        self._known = np.append(values[order], 0)
        self._ids = np.append(order + FIRST, RARE).astype(np.int32)
        self._table: Ids | None = None
        if len(values) and int(values.max()) - int(values.min()) < MOST_IN_TABLE:
            # By value: below the smallest, each in between, above the largest, missing.
            self._least = int(values.min())
            self._table = np.full(int(values.max()) - self._least + 4, RARE, np.int32)
            self._table[values - self._least + 1] = np.arange(FIRST, FIRST + len(values))
            self._table[-1] = MISSING

    def encode(self, values: pl.Series) -> Ids:
        """Ids of integers with nulls, `[rows]`."""
        if self._table is not None:
            last = len(self._table) - 1
            places = values.clip(self._least - 1, self._least + last - 2) - (self._least - 1)
            found: Ids = self._table[places.fill_null(last).to_numpy()]
            return found
        numbers = values.fill_null(0).to_numpy()
        at = np.searchsorted(self._known[:-1], numbers)
        ids = np.where(self._known[at] == numbers, self._ids[at], RARE)
        if values.null_count():
            ids[values.is_null().to_numpy()] = MISSING
        return ids


class CodedIds:
    """Vocabularies of all categorical columns, and the ids of coded rows.

    Args:
        schema: The columns, resolved.
        statistics: Of the training rows.
        book: Has counted them; its values are forgotten.
        bins: Have counted the bins of the dense features.
        min_count: Training rows that a value needs for an id.
        max_values: Most values of a column that have an id, or None for any number.
    """

    def __init__(
        self,
        schema: Schema,
        statistics: Statistics,
        book: Book,
        bins: Sequence[Counter],
        *,
        min_count: int,
        max_values: int | None,
    ) -> None:
        self.vocabularies: list[Vocabulary | FixedIds] = []
        self._columns: list[tuple[str, Callable[[pl.Series], Ids]]] = []
        coded, edges = book.finish(min_count, max_values), iter(statistics.edges)
        for name in schema.sparse_features:
            if name in schema.quantile_features:
                known = next(edges)
                self._add(name, FixedIds(len(known) + 1), partial(_quantile_ids, known))
            elif name in schema.sizes:
                self._add(name, FixedIds(schema.sizes[name]), fixed_ids)
            else:
                vocabulary, ids = next(coded)
                self._add(name, vocabulary, partial(_coded_ids, ids))
        for name, counter in zip(schema.dense_features, bins, strict=True):
            vocabulary = counter.finish(min_count)
            if max_values is not None:
                vocabulary = vocabulary.cut(FIRST + max_values)
            self._add(name, vocabulary, partial(_bin_ids, IntegerIds(vocabulary)))

    def encode(self, frame: pl.DataFrame) -> Ids:
        """Ids of rows with codes, `[rows, columns]`."""
        ids = np.empty((len(frame), len(self._columns)), np.int32)
        columns = [encode(frame[name]) for name, encode in self._columns]
        for first in range(0, len(frame), BLOCK_ROWS):
            block = slice(first, first + BLOCK_ROWS)
            for place, column in enumerate(columns):
                ids[block, place] = column[block]
        return ids

    def _add(
        self, name: str, vocabulary: Vocabulary | FixedIds, encode: Callable[[pl.Series], Ids]
    ) -> None:
        self.vocabularies.append(vocabulary)
        self._columns.append((name, encode))


def texts_of(numbers: npt.NDArray[np.integer[Any]], dtype: pl.DataType) -> pl.Series:
    """The values of a book by number, from 0."""
    given = pl.Series(numbers.astype(np.uint32))
    # Earlier versions of polars cast; later ones refuse to, and have a method.
    number = pl.lit(given)
    value = number.cat.to(dtype) if hasattr(number.cat, "to") else number.cast(dtype)
    return pl.select(value.cast(pl.String)).to_series()


def _coded_ids(ids: Ids, codes: pl.Series) -> Ids:
    found: Ids = ids[codes.to_numpy()]
    return found


def _quantile_ids(edges: npt.NDArray[np.float64], values: pl.Series) -> Ids:
    ids: Ids = quantile_ids(edges, values.to_numpy())
    return ids


def _bin_ids(known: IntegerIds, values: pl.Series) -> Ids:
    return known.encode(bin_integers(values))
