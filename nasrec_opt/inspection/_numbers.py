"""Groups of the numbers of a dense column, and their values in the unit of the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt.inspection._figures import Bar, Weights

GROUPS = 32
HISTOGRAM = 40
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
EPSILON = float(np.finfo(np.float32).eps)
SAMPLE_ROWS = 1 << 18  # rows for quantiles: a rank is known to 0.1 %

FloatArray = npt.NDArray[np.floating[Any]]


class Numbers:
    """A dense column as a sample of its training rows shows it.

    Groups are found by a table of the upper 16 bits of a float32, which is much faster than a
    search among limits; so limits are rounded to these bits.

    Args:
        sample: Numbers as models read them, without missing ones, `[rows]`.
        restored: Turns them back into those of the log.
    """

    def __init__(
        self, sample: npt.NDArray[np.float32], restored: Callable[[FloatArray], FloatArray]
    ):
        self._sample = np.sort(sample)
        self._restored = restored
        limits = np.empty(0, np.uint16)
        if len(sample):
            codes = _order(_upper(self._sample))
            limits = codes[np.arange(1, GROUPS) * len(sample) // GROUPS]
            values, rows = np.unique(codes, return_counts=True)
            frequent = values[rows >= len(sample) / GROUPS]  # each is a group of its own
            limits = np.unique(np.concatenate([limits, frequent, frequent + np.uint16(1)]))
            limits = limits[(limits > codes[0]) & (limits <= codes[-1])]
        every = _order(np.arange(1 << 16, dtype=np.uint16))
        self._table = limits.searchsorted(every, side="right").astype(np.uint8)
        self.num_groups = len(limits) + 1

    def groups_of(self, upper: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
        """Group of each number, ascending from 0.

        Args:
            upper: The upper halves of the numbers, `[rows]`.
        """
        return self._table[upper]

    def quantiles(self) -> dict[str, float]:
        """Quantiles of the sample by name."""
        if not len(self._sample):
            return {}
        found = np.quantile(self._sample, QUANTILES, method="inverted_cdf")
        return {
            f"{share:.0%}": value
            for share, value in zip(QUANTILES, self.restored(found), strict=True)
        }

    def bars(
        self,
        rows: npt.NDArray[np.int64],
        clicks: npt.NDArray[np.int64],
        weights: Sequence[Weights],
    ) -> tuple[Bar, ...]:
        """The groups with their training rows; a group without a row in the sample is left out."""
        group = self.groups_of(_upper(self._sample))
        bars = []
        counts = zip(rows.tolist(), clicks.tolist(), weights, strict=True)
        for place, (count, clicked, weight) in enumerate(counts):
            first, last = group.searchsorted(place), group.searchsorted(place, side="right") - 1
            if first <= last:
                low, high = self.restored(self._sample[[first, last]])
                bars.append(Bar(low=low, high=high, rows=count, clicks=clicked, weights=weight))
        return tuple(bars)

    def histogram(self) -> tuple[Bar, ...]:
        """Rows of the sample in ranges of equal width on the scale of models."""
        if not len(self._sample):
            return ()
        counts, limits = np.histogram(self._sample.astype(np.float64), HISTOGRAM)
        if self._sample[0] == self._sample[-1]:
            counts, limits = np.array([len(self._sample)]), self._sample[[0, -1]]
        ends = self.restored(limits)
        return tuple(
            Bar(low=low, high=high, rows=count, clicks=0)
            for low, high, count in zip(ends, ends[1:], counts.tolist(), strict=False)
        )

    def restored(self, numbers: FloatArray) -> list[float]:
        """Numbers in the unit of the log, rounded to what float32 is good for."""
        numbers = np.asarray(numbers, np.float64)
        found = self._restored(numbers)
        nearest = self._restored(numbers + EPSILON * np.maximum(np.abs(numbers), EPSILON))
        digits = -np.ceil(np.log10(np.maximum(nearest - found, EPSILON**2))).astype(int)
        return [round(x, n) for x, n in zip(found.tolist(), digits.tolist(), strict=True)]


def upper_halves(dense: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The upper 16 bits of float32 numbers, a view where possible, `[rows, columns]`."""
    halves = dense.view(np.uint16)
    return halves[..., 1::2] if np.little_endian else halves[..., ::2]


def _upper(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    return upper_halves(np.ascontiguousarray(numbers, np.float32))


def _order(upper: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Bits that ascend with the number: negative floats ascend with what is not set."""
    return np.where(upper & 0x8000, ~upper, upper | 0x8000).astype(np.uint16)
