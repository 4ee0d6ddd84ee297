"""What a generated log is made of: columns, their popularity, what is missing together.

Everything about a row is a function of the seed and the number of the row. `_criteo_like`,
`_avazu_like` and `_kdd2012_like` say which columns there are and how they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._counter_random import key_of, uniform
from nasrec_opt.data._popularity import Popularity

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MISSING = -1
SMALL_VOCABULARY = 300  # values of a column; 100,000 rows suffice to learn them


class GeneratedRows(NamedTuple):
    """Rows of a generated log without their clicks.

    Args:
        numbers: Row numbers in the log, from 0, `[rows]`.
        time: Place in the log, 0 for its first row to 1 for its end, `[rows]`.
        dense: The numbers that are written, NaN where they are missing, `[num_dense, rows]`.
        standard: The numbers as standard normals, 0 where they are missing, `[num_dense, rows]`.
        sparse: Values of each column by their rank, 0 for the most frequent one, -1 where they are
            missing, `[num_sparse, rows]`.
    """

    numbers: IntArray
    time: FloatArray
    dense: FloatArray
    standard: FloatArray
    sparse: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A categorical column.

    Args:
        name: In the log, or of what it stands for.
        shares: Of the values at some ranks, from 1 on, where the column is not missing.
        distinct: Rows, and distinct values among them; the larger number of rows first.
        follows: Column whose value determines this one's, or empty.
        order: Whether frequent values follow from frequent ones, or from any; `mirrored` columns
            have their most frequent value where the other one has not.
    """

    name: str
    shares: Mapping[int, float]
    distinct: tuple[tuple[float, int], ...]
    follows: str = ""
    order: Literal["same", "hashed", "mirrored"] = "same"


RANKS = (1, 2, 3, 4, 6, 10, 30, 100)  # of the shares that `logged_column` takes


def logged_column(rows: float, name: str, values: int, *shares: float, **options: str) -> Column:
    """Make a column from the size of a public log.

    Args:
        rows: Of the public log.
        name: Of the column.
        values: Distinct values among these rows.
        shares: Of the values at the ranks `RANKS`.
        options: Further fields of `Column`.
    """
    head = dict(zip(RANKS, shares, strict=False))
    return Column(name=name, shares=head, distinct=((rows, values),), **options)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Columns that are missing together.

    Args:
        columns: Their names.
        share: Of the rows in which they are missing.
        given: A column above which changes that share where it is missing, or empty.
        share_given: The share there.
        by: A column whose value decides, or empty: each row does.
    """

    columns: tuple[str, ...]
    share: float
    given: str = ""
    share_given: float = 0.0
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """A second file with a line for each user of the log.

    Args:
        file: Its name.
        column: Column whose values are the users.
        frame: The table to write, from the log's draw and users by their rank.
    """

    file: str
    column: str
    frame: Callable[[Draw, IntArray], pl.DataFrame]


Numbers = Callable[[int, IntArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A kind of log.

    Args:
        name: As in `--like`.
        file: Name of the log's file as text.
        dense: Names of the numeric columns.
        columns: The categorical columns; one that follows another comes after it.
        missing: What is missing, and together.
        least: Smallest value of each numeric column.
        draw_numbers: Numbers and the standard normals behind them, from a seed and row numbers.
        clock: Name of a column that is the hour of the day, or empty.
        pairs: Columns with planted interactions.
        triples: Columns with planted interactions of third order.
        slopes: Effects of the numeric columns on the log odds; None: drawn.
        click_rate: Share of clicks.
        frame: The table to write, from rows and their clicks.
        separator: Of the text.
        has_header: Whether its first line names the columns.
        shows: How often each row was shown; None: once.
        users: The log's second file; None: it has none.
    """

    name: str
    file: str
    dense: tuple[str, ...]
    least: tuple[int, ...]
    columns: tuple[Column, ...]
    missing: tuple[Missing, ...] = ()
    draw_numbers: Numbers
    clock: str = ""
    pairs: tuple[tuple[str, ...], ...]
    triples: tuple[tuple[str, ...], ...]
    slopes: tuple[float, ...] | None = None
    click_rate: float
    frame: Callable[[int, GeneratedRows, IntArray], pl.DataFrame]
    separator: str = "\t"
    has_header: bool = False
    shows: Callable[[GeneratedRows], IntArray] | None = None
    users: Users | None = None
    index: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        index = {column.name: i for i, column in enumerate(self.columns)}
        object.__setattr__(self, "index", index)


class Draw:
    """Draws rows of a log; any of them, in any order.

    Args:
        layout: Kind of the log.
        seed: Of everything.
        rows: Of the whole log.
        drift: Share of the popularity that has moved to other values at the end of the log, 0 to 1.
        is_small: Whether vocabularies are shortened.
    """

    def __init__(
        self, layout: Layout, *, seed: int, rows: int, drift: float, is_small: bool
    ) -> None:
        self._layout, self.seed, self._rows, self._drift = layout, seed, rows, drift
        fitted = [Popularity.fit(column.shares, *column.distinct) for column in layout.columns]
        self.popularity = [p.shortened(SMALL_VOCABULARY) if is_small else p for p in fitted]

    def rows(self, numbers: IntArray) -> GeneratedRows:
        """Draw the rows of these numbers."""
        layout = self._layout
        time = numbers / self._rows
        sparse = self._values(numbers, time)
        dense, standard = layout.draw_numbers(self.seed, numbers)
        missing: dict[str, BoolArray] = {}
        for group in layout.missing:
            decisive = sparse[layout.index[group.by]] if group.by else numbers
            is_missing = self.is_missing(group, decisive)
            if group.given:
                otherwise = self.is_missing(group, decisive, group.share_given)
                is_missing = np.where(missing[group.given], otherwise, is_missing)
            missing |= dict.fromkeys(group.columns, is_missing)
        for name, is_missing in missing.items():
            if name in layout.index:
                sparse[layout.index[name]][is_missing] = MISSING
            else:
                place = layout.dense.index(name)
                dense[place][is_missing], standard[place][is_missing] = np.nan, 0.0
        return GeneratedRows(numbers, time, dense, standard, sparse)

    def is_missing(
        self, group: Missing, decisive: IntArray, share: float | None = None
    ) -> BoolArray:
        """Whether the columns of a group are missing, by row numbers or by what decides."""
        key = key_of(self.seed, "missing", *group.columns)
        return uniform(key, decisive) < (group.share if share is None else share)

    def following(self, name: str, leaders: IntArray) -> IntArray:
        """Values of a column of order `hashed` from those of the column that it follows."""
        chosen = uniform(key_of(self.seed, "value", name), leaders)
        return self.popularity[self._layout.index[name]].ranks(chosen)

    def num_values(self, name: str) -> int:
        """Size of a column's vocabulary."""
        return self.popularity[self._layout.index[name]].num_values

    def _values(self, numbers: IntArray, time: FloatArray) -> IntArray:
        layout = self._layout
        sparse = np.empty((len(layout.columns), len(numbers)), np.int64)
        drawn: dict[str, FloatArray] = {}  # by column, the numbers that gave its values
        middles: dict[str, FloatArray] = {}  # the same for values, whatever the row
        for i, (column, popularity) in enumerate(zip(layout.columns, self.popularity, strict=True)):
            leader = column.follows
            if column.name == layout.clock:
                sparse[i] = hour_of_day(time)
                continue
            if column.order == "hashed":
                sparse[i] = self.following(column.name, sparse[layout.index[leader]])
                continue
            if not leader:
                chosen = uniform(key_of(self.seed, "value", column.name), numbers)
                drawn[column.name] = chosen
            elif column.order == "mirrored":
                chosen = (1 - 2.0**-53) - drawn[leader]
            else:
                if leader not in middles:
                    place = layout.index[leader]
                    middles[leader] = self.popularity[place].uniform(sparse[place])
                chosen = middles[leader]
            sparse[i] = popularity.ranks(chosen)
            if self._drift and (not leader or column.order == "mirrored"):
                self._move(sparse[i], popularity.num_values, column.name, numbers, time)
        return sparse

    def _move(
        self, ranks: IntArray, num_values: int, name: str, numbers: IntArray, time: FloatArray
    ) -> None:
        """Give a growing part of each value's rows, but the top value's, to another value."""
        others = num_values - 1
        if others < 2:
            return
        coin = uniform(key_of(self.seed, "moved", name), numbers)
        moved = np.flatnonzero((coin < self._drift * time) & (ranks > 0))
        ranks[moved] = 1 + (ranks[moved] - 1 + others // 2) % others


HOURS = 240  # ten days


def hours(time: FloatArray) -> IntArray:
    """Hour since the log's first midnight at each place in the log; nights have few rows."""
    hour = np.arange(HOURS) % 24
    weights = np.cumsum(1 + 0.8 * np.sin((hour - 8) / 24 * 2 * np.pi))
    places = np.searchsorted(weights, time * weights[-1], side="right")
    return np.asarray(np.minimum(places, HOURS - 1))


def hour_of_day(time: FloatArray) -> IntArray:
    """0 to 23."""
    return hours(time) % 24
