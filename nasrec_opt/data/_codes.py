"""Codes of categories while a log is read: its text is parsed, and its values are hashed, once.

Ids follow counts, which are known only after the last row. So rows are first kept as codes, which
number the values of a column in the order in which they appear; a look-up in an array turns codes
into ids afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._encoding import bin_integers, fixed_ids, quantile_ids
from nasrec_opt.data._schema import Schema
from nasrec_opt.data._statistics import Statistics
from nasrec_opt.data._vocabulary import FIRST, MISSING, RARE, Counter, FixedIds, Vocabulary

NO_VALUE = 0  # code of a missing value; the first value has code 1
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
        self._books = [pl.Categories.random(physical=pl.UInt32) for _ in names]
        # Polars forgets the codes of a book when no series of it is left.
        self._kept = [pl.Series(dtype=pl.Categorical(book)) for book in self._books]
        self._counts = [np.zeros(1, np.int64) for _ in names]

    def encode(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Replace text by codes, `UInt32`; all columns at once, on all of polars' threads.

        Args:
            frame: Has the columns as String with nulls, and any others.
        """
        return frame.with_columns(
            (pl.col(name).cast(kept.dtype).to_physical() + 1).fill_null(NO_VALUE)
            for name, kept in zip(self._names, self._kept, strict=True)
        )

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

    def finish(self, min_count: int) -> Iterator[tuple[Vocabulary, Ids]]:
        """Make the vocabularies; the values of each column are forgotten on the way.

        Args:
            min_count: Training rows that a value needs for an id.

        Yields:
            For each column, values from the most frequent down, ties in order of the values; and
            the id of each code, `[codes]`.
        """
        for place, book in enumerate(self._books):
            values = book.to_series()
            counts = np.zeros(len(values) + 1, np.int64)
            known = self._counts[place][: len(counts)]
            counts[: len(known)] = known
            self._counts[place], self._kept[place] = known[:0], self._kept[place].cast(pl.String)
            codes = np.arange(1, len(counts), dtype=np.uint32)
            table = pl.DataFrame({"value": values, "count": counts[1:], "code": codes})
            kept = table.filter(pl.col("count") >= max(min_count, 1)).sort(
                ["count", "value"], descending=[True, False]
            )
            ids = np.full(len(counts), RARE, np.int32)
            ids[NO_VALUE] = MISSING
            ids[kept["code"].to_numpy()] = np.arange(FIRST, FIRST + len(kept), dtype=np.int32)
            yield Vocabulary(kept.select("value", "count")), ids


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

    def encode(self, values: pl.Series) -> Ids:
        """Ids of integers with nulls, `[rows]`."""
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
    """

    def __init__(
        self,
        schema: Schema,
        statistics: Statistics,
        book: CodeBook,
        bins: Sequence[Counter],
        min_count: int,
    ) -> None:
        self.vocabularies: list[Vocabulary | FixedIds] = []
        self._columns: list[tuple[str, Callable[[pl.Series], Ids]]] = []
        coded, edges = book.finish(min_count), iter(statistics.edges)
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
            self._add(name, vocabulary, partial(_bin_ids, IntegerIds(vocabulary)))

    def encode(self, frame: pl.DataFrame) -> Ids:
        """Ids of rows with codes, `[rows, columns]`."""
        ids = np.empty((len(frame), len(self._columns)), np.int32)
        for place, (name, encode) in enumerate(self._columns):
            ids[:, place] = encode(frame[name])
        return ids

    def _add(
        self, name: str, vocabulary: Vocabulary | FixedIds, encode: Callable[[pl.Series], Ids]
    ) -> None:
        self.vocabularies.append(vocabulary)
        self._columns.append((name, encode))


def _coded_ids(ids: Ids, codes: pl.Series) -> Ids:
    found: Ids = ids[codes.to_numpy()]
    return found


def _quantile_ids(edges: npt.NDArray[np.float64], values: pl.Series) -> Ids:
    ids: Ids = quantile_ids(edges, values.to_numpy())
    return ids


def _bin_ids(known: IntegerIds, values: pl.Series) -> Ids:
    return known.encode(bin_integers(values))
