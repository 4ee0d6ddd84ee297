"""Quantiles, mean and deviation of a column of any length, in bounded memory.

Numbers are counted with their eleven leading bits, so 0.1 % apart; whole numbers up to 2048 are
exact. Counts of chunks add up to those of the whole column, so the size of chunks changes nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
_CUT = np.int64(42)  # of the 52 bits of a number behind the leading one, ten are kept


class Sketch:
    """Counts of the rounded values of one column.

    Example:
        >>> sketch = Sketch()
        >>> sketch.add(np.array([1.0, 2.0, 3.0, np.nan, 4.0]))
        >>> sketch.edges(2), sketch.mean_and_deviation()[0]
        (array([3.]), 2.5)
    """

    def __init__(self) -> None:
        self._keys = np.empty(0, np.int64)
        self._counts = np.empty(0, np.int64)

    def add(self, numbers: FloatArray) -> None:
        """Count numbers; NaN is not counted."""
        known = numbers[~np.isnan(numbers)] + 0.0  # no negative zero
        keys, counts = np.unique(known.view(np.int64) >> _CUT, return_counts=True)
        keys, counts = np.append(self._keys, keys), np.append(self._counts, counts)
        self._keys, place = np.unique(keys, return_inverse=True)
        self._counts = np.zeros(len(self._keys), np.int64)
        np.add.at(self._counts, place, counts)

    def edges(self, bins: int) -> FloatArray:
        """Numbers at which a new bin begins, such that bins have about equally many rows.

        Args:
            bins: Number of bins.

        Returns:
            Ascending, `[bins - 1]` at most: a number that fills several bins makes one.
        """
        values, counts = self._sorted()
        if not len(values):
            return np.empty(0)
        below = np.cumsum(counts) - counts  # rows with a smaller number
        wanted = np.arange(1, bins) * (counts.sum() / bins)
        found = np.unique(np.minimum(np.searchsorted(below, wanted), len(values) - 1))
        kept: FloatArray = values[found[found > 0]]
        return kept

    def mean_and_deviation(self) -> tuple[float, float]:
        """Mean and standard deviation; 0 and 1 where they say nothing."""
        values, counts = self._sorted()
        if not len(values):
            return 0.0, 1.0
        scale = float(np.abs(values).max()) or 1.0  # squares of huge numbers would overflow
        share = counts / counts.sum()
        mean = float(share @ (values / scale))
        deviation = float(np.sqrt(share @ (values / scale - mean) ** 2))
        return mean * scale, deviation * scale or 1.0

    def _sorted(self) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        values = (self._keys << _CUT).view(np.float64)
        order = np.argsort(values)
        return values[order], self._counts[order]
