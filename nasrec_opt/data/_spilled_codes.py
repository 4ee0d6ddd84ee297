"""Codes of categories with the values on disk, so that memory follows the values that are kept.

Each frame has codes of its own, and its values are written to a file. Afterwards the values of one
column at a time are counted, as many at once as memory may hold: those whose hashes are in a range,
in one pass over the file for each range. Only the most frequent ones of all ranges are kept. So
counts, and the order of values, are those of a table of all values.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl

from nasrec_opt.data._codes import Ids, texts_of
from nasrec_opt.data._spool import Spool
from nasrec_opt.data._vocabulary import Counter, Lookup, Vocabulary, by_count

LARGEST_HASH = 2**64 - 1
LEAST_AT_ONCE = 1 << 20  # values of a column that are counted at once, if no more are kept
VALUE = pl.col("value")


class SpilledCodeBook(ExitStack):
    """A `CodeBook` that keeps the values on disk; a context manager.

    A code is the place of a value in the file of its column, so a value has one in each frame.

    Args:
        names: Columns that are coded.
        folder: Where the files are; they are removed at the end.
        max_values: Most values of a column that have an id.
        at_once: Most values of a column that are counted at once; None means as many as are kept,
            but not fewer than a million. It changes nothing in the result.
    """

    def __init__(
        self, names: Sequence[str], folder: Path, max_values: int, *, at_once: int | None = None
    ) -> None:
        super().__init__()
        self._names, self._max_values = list(names), max_values
        self._at_once = at_once or max(max_values, LEAST_AT_ONCE)
        self._scratch = Path(
            self.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix=".values-"))
        )
        # In both files, all columns of the first frame come first, then those of the next.
        self._values = self.enter_context(Spool(self._scratch / "values"))
        self._counts = self.enter_context(Spool(self._scratch / "counts"))
        self._ends = [[0] * len(self._names)]  # codes of each column before each frame
        self._num_counted = 0
        self._found: list[tuple[pl.DataFrame, int]] | None = None

    def encode(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Replace text by codes, `UInt32`; the first code of a frame is that of a missing value.

        Args:
            frame: Has the columns as String with nulls, and any others.
        """
        books = [pl.Categorical(pl.Categories.random(physical=pl.UInt32)) for _ in self._names]
        coded = frame.select(
            pl.col(name).cast(book) for name, book in zip(self._names, books, strict=True)
        )
        largest = coded.select(pl.all().to_physical().max()).row(0) if self._names else ()
        ends, columns = [], []
        for values, start, last in zip(coded.get_columns(), self._ends[-1], largest, strict=True):
            codes = values.to_physical()
            texts = texts_of(np.arange(0 if last is None else last + 1), values.dtype)
            self._values.append(pl.DataFrame({"value": pl.concat([MISSING, texts])}))
            columns.append((codes + (start + 1)).fill_null(start))
            ends.append(start + 1 + len(texts))
        self._ends.append(ends)
        return frame.with_columns(columns)

    def count(self, train: pl.DataFrame) -> None:
        """Count training rows towards the ids.

        Args:
            train: Rows with codes, of the frame after that of the last call.
        """
        starts, ends = self._ends[self._num_counted : self._num_counted + 2]
        for name, start, end in zip(self._names, starts, ends, strict=True):
            counts = np.bincount(train[name].to_numpy() - np.uint32(start), minlength=end - start)
            self._counts.append(pl.DataFrame({"count": counts}))
        self._num_counted += 1

    def num_values(self) -> dict[str, int]:
        """Number of values that training rows have, by column."""
        return {name: number for name, (_, number) in zip(self._names, self._tables(), strict=True)}

    def finish(
        self, min_count: int, max_values: int | None = None
    ) -> Iterator[tuple[Vocabulary, Ids]]:
        """Make the vocabularies, and files of the ids of all codes.

        Args:
            min_count: Training rows that a value needs for an id.
            max_values: Most values of a column that have an id, at most as many as are kept.

        Yields:
            For each column, values from the most frequent down, ties in order of the values; and
            the id of each code, `[codes]`.
        """
        for place, (table, _) in enumerate(self._tables()):
            vocabulary = Vocabulary(table.head(max_values or len(table))).at_least(min_count)
            lookup, path = Lookup([vocabulary]), self._scratch / f"ids-{place}"
            with path.open("wb") as file:
                for values in self._values.frames(place, len(self._names)):
                    file.write(lookup.encode(values["value"])[:, 0].data)
            yield vocabulary, np.memmap(path, np.int32, "r") if self._num_counted else NO_IDS

    def _tables(self) -> list[tuple[pl.DataFrame, int]]:
        """The values that are kept and their counts, and the number of all values, by column."""
        if self._found is None:
            self._found = [self._most_frequent(place) for place in range(len(self._names))]
        return self._found

    def _most_frequent(self, place: int) -> tuple[pl.DataFrame, int]:
        """The values of a column that are kept, and the number of all."""
        kept, number, low = Counter().table, 0, 0
        while low <= LARGEST_HASH:
            table, high = self._counted(place, low)
            number += len(table)
            kept = by_count(pl.concat([kept, table])).head(self._max_values)
            low = high + 1
        return kept, number

    def _counted(self, place: int, low: int) -> tuple[pl.DataFrame, int]:
        """Counts of the values whose hashes are `low` or more, and up to which hash they are."""
        counter, high = Counter(), LARGEST_HASH
        width = len(self._names)
        frames = zip(
            self._values.frames(place, width), self._counts.frames(place, width), strict=True
        )
        for values, counts in frames:
            table = pl.concat([values, counts], how="horizontal").drop_nulls()
            counter.merge(table.filter((pl.col("count") > 0) & _is_between(low, high)))
            while high > low and len(counter) > self._at_once < len(counter.table):
                high = low + (high - low) // 2
                counter.keep(_is_between(low, high))
        return counter.table, high


MISSING = pl.Series("value", [None], dtype=pl.String)
NO_IDS = np.ones(1, np.int32)


def _is_between(low: int, high: int) -> pl.Expr:
    return VALUE.hash().is_between(pl.lit(low, pl.UInt64), pl.lit(high, pl.UInt64))
