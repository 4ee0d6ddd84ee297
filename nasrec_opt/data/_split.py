"""The seeded 80/10/10 split: of every ten consecutive rows, eight, one and one, at random.

It depends only on the seed and the row number. So chunks, threads and machines agree, and no memory
grows with the log.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SPLITS = ("train", "validation", "test")
GROUP = 10  # rows among which 8, 1 and 1 are drawn
BLOCK = 10_000  # rows that share a random stream


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
