"""The 80/10/10 split of the rows, at random or by time.

The one at random takes of every ten consecutive rows eight, one and one. It depends only on the
seed and the row number. So chunks, threads and machines agree, and no memory grows with the log.
The one by time takes the oldest rows for training and the latest for the test.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nasrec_opt.errors import DataError

SPLITS = ("train", "validation", "test")
GROUP = 10  # rows among which 8, 1 and 1 are drawn
BLOCK = 10_000  # rows that share a random stream
TIMES = 1 << 20  # different times that are counted; with more, neighbours share a count
IntArray = npt.NDArray[np.int64]


class Splitter(Protocol):
    """Says to which split rows belong."""

    def split(self, first_row: int, count: int, times: IntArray | None) -> npt.NDArray[np.int8]:
        """Split of each row of a range: 0 train, 1 validation, 2 test."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """What a dataset says of it."""
        ...


class RandomSplit:
    """The split at random.

    Args:
        seed: Its seed.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def split(self, first_row: int, count: int, times: IntArray | None) -> npt.NDArray[np.int8]:
        """Split of each row of a range."""
        return split_of(first_row, count, self._seed)

    def to_dict(self) -> dict[str, Any]:
        """The seed."""
        return {"seed": self._seed}


class TimeSplit:
    """The split by time: rows of one time stay together.

    Args:
        seed: Kept for the description; it changes nothing.
        column: The column of the time.
        cuts: First time of the validation and of the test rows, seconds since 1970.
    """

    def __init__(self, seed: int, column: str, cuts: tuple[int, int]) -> None:
        self._seed = seed
        self._column = column
        self._cuts = cuts

    def split(self, first_row: int, count: int, times: IntArray | None) -> npt.NDArray[np.int8]:
        """Split of each row, by its time."""
        if times is None:
            raise DataError("time: expected a time for each row, got none")
        return np.searchsorted(np.array(self._cuts), times, side="right").astype(np.int8)

    def to_dict(self) -> dict[str, Any]:
        """The column and the times of the cuts."""
        return {"seed": self._seed, "time": {"column": self._column, "cuts": list(self._cuts)}}


class TimeCounter:
    """Counts the rows of each time, to find the cuts of a `TimeSplit`."""

    def __init__(self) -> None:
        self._shift = 0  # times are counted in units of 2**shift seconds
        self._times = np.empty(0, np.int64)
        self._counts = np.empty(0, np.int64)

    def add(self, times: IntArray) -> None:
        """Count some rows; the order of rows changes nothing."""
        found, counts = np.unique(times >> self._shift, return_counts=True)
        self._merge(np.append(self._times, found), np.append(self._counts, counts))
        while len(self._times) > TIMES:
            self._shift += 1
            self._merge(self._times >> 1, self._counts)

    def cuts(self, where: str) -> tuple[int, int]:
        """First time of the validation rows and of the test rows.

        Args:
            where: The log and the column, for the error.

        Raises:
            DataError: There are fewer than three times.
        """
        count = len(self._times)
        if count < len(SPLITS):
            raise DataError(f"{where}: expected at least {len(SPLITS)} times, got {count}")
        ends = np.cumsum(self._counts) / self._counts.sum()
        first = min(int(np.abs(ends - 0.8).argmin()) + 1, count - 2)
        second = max(min(int(np.abs(ends - 0.9).argmin()) + 1, count - 1), first + 1)
        starts = self._times << self._shift
        return int(starts[first]), int(starts[second])

    def _merge(self, times: IntArray, counts: IntArray) -> None:
        self._times, place = np.unique(times, return_inverse=True)
        self._counts = np.zeros(len(self._times), np.int64)
        np.add.at(self._counts, place, counts)


def split_of(first_row: int, count: int, seed: int) -> npt.NDArray[np.int8]:
    """Split of each row of a range: 0 train, 1 validation, 2 test.

    Args:
        first_row: Number of the first row, from 0.
        count: Number of rows.
        seed: Seed of the split.

    Returns:
        `[count]`.
    """
    blocks = range(first_row // BLOCK, -(-(first_row + count) // BLOCK))
    drawn = [_block(block, seed) for block in blocks]
    if not drawn:
        return np.empty(0, np.int8)
    start = first_row - blocks.start * BLOCK
    return np.concatenate(drawn)[start : start + count]


def evenly_spaced(available: int, wanted: int | None) -> npt.NDArray[np.int64]:
    """Choose row numbers evenly spread over a split.

    So every part of a log that is in time order counts.

    Args:
        available: Rows of the split.
        wanted: Maximum number of rows, or None for all of them.

    Returns:
        Row numbers, ascending, `[min(available, wanted)]`.
    """
    count = available if wanted is None else min(wanted, available)
    return np.arange(count) * available // max(count, 1)


def _block(block: int, seed: int) -> npt.NDArray[np.int8]:
    ranks = np.tile(np.arange(GROUP, dtype=np.int8), (BLOCK // GROUP, 1))
    ranks = np.random.default_rng([seed, block]).permuted(ranks, axis=1).reshape(-1)
    return np.maximum(ranks - 7, 0).astype(np.int8)  # 0 to 7 train, 8 validation, 9 test
