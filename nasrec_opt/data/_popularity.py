"""How often the values of a column occur, and how their number grows with the rows of a log.

The head of the column is given: shares at a few ranks, a power law between them. The tail is a
power law whose exponent and length are fitted, so that two numbers of rows have the wanted numbers
of distinct values. Values are drawn through a table of quantiles, whatever the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from nasrec_opt.data._counter_random import Quantiles

FloatArray = npt.NDArray[np.float64]
RankArray = npt.NDArray[np.int64]

CELLS = 1 << 16  # equally likely, of the table of quantiles
GRID = 200  # ranks at which a tail is integrated
MAX_VALUES = 1 << 32  # eight hex digits
STEEPEST = 8.0  # exponent of a tail
LEAST_TAIL = 1e-5  # share of all rows
STEPS = 40  # maximum, to find a root


class Popularity:
    """Popularity of the values of one column; values are ranks from 0, the most frequent first.

    Args:
        head: Shares of the first ranks.
        num_values: Size of the vocabulary.
        exponent: Of the tail.
    """

    def __init__(self, head: FloatArray, num_values: int, exponent: float) -> None:
        self.num_values = num_values
        self._tail = _Tail(head, num_values, exponent)
        self._quantiles = Quantiles(self._table())

    @classmethod
    def fit(cls, shares: Mapping[int, float], *distinct: tuple[float, int]) -> Popularity:
        """Find the tail that gives the wanted numbers of distinct values.

        Args:
            shares: Of the values at some ranks, from 1 on.
            distinct: Rows, and the distinct values to expect in them; the larger number of rows
                first. Without a second one, the tail has the exponent 1.
        """
        head = _interpolated(shares)
        (rows, values), *rest = distinct
        if values <= len(head):
            return cls(head, values, 1.0)

        def with_exponent(exponent: float) -> _Tail:
            log_size = _root(
                lambda log: _Tail(head, round(math.exp(log)), exponent).distinct(rows) - values,
                math.log(values),
                math.log(MAX_VALUES),
                tolerance=1e-4 * values,
            )
            return _Tail(head, round(math.exp(log_size)), exponent)

        exponent = 1.0
        if rest:
            (few_rows, few_values), *_ = rest
            exponent = _root(
                lambda e: few_values - with_exponent(e).distinct(few_rows),
                0.0,
                STEEPEST,
                tolerance=1e-4 * few_values,
            )
        return cls(head, with_exponent(exponent).num_values, exponent)

    def shortened(self, num_values: int) -> Popularity:
        """The same head with a vocabulary of at most `num_values`, and a tail of exponent 1."""
        head = self._tail.head
        return self if self.num_values <= num_values else Popularity(head, num_values, 1.0)

    def ranks(self, uniform: FloatArray) -> RankArray:
        """The value at each uniform number from 0 to below 1."""
        return self._quantiles.at(uniform).astype(np.int64)

    def uniform(self, ranks: RankArray) -> FloatArray:
        """The middle of the uniform numbers at which each value is drawn."""
        places = np.interp(ranks + 0.5, self._quantiles.table, np.arange(CELLS + 1.0))
        return np.asarray(np.minimum(places / CELLS, 1 - 2.0**-53))

    def sample(self) -> RankArray:
        """Equally likely values: the one in the middle of each cell of the table."""
        return self.ranks((np.arange(CELLS) + 0.5) / CELLS)

    def distinct(self, rows: float) -> float:
        """Distinct values to expect in this many rows."""
        return self._tail.distinct(rows)

    def _table(self) -> FloatArray:
        """Where each cell begins on the axis of ranks, and where the last one ends."""
        wanted = np.linspace(0, 1, CELLS + 1)
        cumulated = np.concatenate([[0], np.cumsum(self._tail.head)])
        table = np.interp(wanted, cumulated, np.arange(len(cumulated)))
        is_tail = (wanted > cumulated[-1]) & (self._tail.mass > 0)
        table[is_tail] = self._tail.quantile((wanted[is_tail] - cumulated[-1]) / self._tail.mass)
        table[-1] = self.num_values
        return np.minimum(table, np.nextafter(self.num_values, 0))


class _Tail:
    """The values below the head: a density on the axis of ranks that falls as a power."""

    def __init__(self, head: FloatArray, num_values: int, exponent: float) -> None:
        self.num_values = num_values
        head = head[:num_values]
        self.mass = max(1 - head.sum(), LEAST_TAIL) if num_values > len(head) else 0.0
        self.head = head * (1 - self.mass) / head.sum()
        self._begin, self._end = float(len(self.head)), float(num_values)
        self._power = 1 - exponent if abs(1 - exponent) > 1e-6 else 1e-6

    def quantile(self, share: FloatArray) -> FloatArray:
        """Rank below which a share of the tail lies."""
        low, high = self._begin**self._power, self._end**self._power
        return np.asarray((low + share * (high - low)) ** (1 / self._power))

    def distinct(self, rows: float) -> float:
        """Distinct values to expect, of head and tail."""
        found = float((-np.expm1(rows * np.log1p(-self.head))).sum())
        if not self.mass:
            return found
        edges = np.geomspace(self._begin, self._end, GRID + 1)
        shares = np.diff(edges**self._power)
        shares *= self.mass / shares.sum()
        widths = np.diff(edges)
        return found + float((widths * -np.expm1(-rows * shares / widths)).sum())


def _interpolated(shares: Mapping[int, float]) -> FloatArray:
    """Shares of all ranks down to the last one, by a power law between the given ones."""
    ranks = np.arange(1, max(shares) + 1)
    given, logs = np.log(list(shares)), np.log(list(shares.values()))
    return np.exp(np.interp(np.log(ranks), given, logs))


def _root(rising: Callable[[float], float], low: float, high: float, *, tolerance: float) -> float:
    """Where a rising function crosses 0, by false position, or the end that is nearer to 0."""
    below, above = rising(low), rising(high)
    if below >= 0 or above <= 0:
        return low if below >= 0 else high
    for _ in range(STEPS):
        middle = (low * above - high * below) / (above - below)
        value = rising(middle)
        if abs(value) <= tolerance:
            break
        if value < 0:
            low, below, above = middle, value, above / 2  # Illinois: the other end loses weight
        else:
            high, above, below = middle, value, below / 2
    return middle
