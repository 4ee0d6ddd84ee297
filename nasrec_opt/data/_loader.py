"""Batches of a split, shuffled in windows that are read front to back.

Chunks of consecutive rows are drawn in random order into a window, and the window's rows are
shuffled. If the split fits into one window, this is a full shuffle. Otherwise it is close to one,
without random reads over the whole file. No row is handled one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nasrec_opt.errors import DataError

if TYPE_CHECKING:
    from nasrec_opt.data._dataset import Batch, Batched

CHUNK_ROWS = 1 << 13
WINDOW_CHUNKS = 64


class Loader:
    """One epoch of a split.

    Args:
        split: The rows.
        batch_size: Rows of a batch.
        seed: Seed of the order; None means the order of the file.
        start_step: Number of batches to skip, without reading them.
        drop_last: Whether a last, shorter batch is left out.

    Raises:
        DataError: `batch_size`, `seed` or `start_step` is out of range.
    """

    def __init__(
        self,
        split: Batched,
        batch_size: int,
        *,
        seed: int | None = None,
        start_step: int = 0,
        drop_last: bool = False,
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size: expected 1 or more, got {batch_size}")
        if start_step < 0:
            raise DataError(f"start_step: expected 0 or more, got {start_step}")
        if seed is not None and seed < 0:
            raise DataError(f"seed: expected 0 or more, got {seed}")
        self._split = split
        self._batch_size = batch_size
        self._seed = seed
        self._start_step = start_step
        rows = split.num_rows
        self._steps = rows // batch_size if drop_last else -(-rows // batch_size)

    def __len__(self) -> int:
        """Batches of the whole epoch, those left out by `start_step` included."""
        return self._steps

    def __iter__(self) -> Iterator[Batch]:
        """The batches from `start_step` on."""
        size, rows = self._batch_size, self._split.num_rows
        if self._seed is None:
            for step in range(self._start_step, self._steps):
                yield self._split.rows(slice(step * size, min(rows, (step + 1) * size)))
            return
        step, start = self._start_step, 0
        rest = np.empty(0, np.int64)  # rows of the previous window that did not fill a batch
        for window in self._windows(self._seed):
            available = start + len(rest) + len(window)
            if min(available, rows) <= step * size and available < rows:
                used = (available - start) // size * size  # a window that start_step skips whole
                rest = np.concatenate([rest, window])[used:]
                start += used
                continue
            order = np.concatenate([rest, window])
            while step < self._steps and ((step + 1) * size <= available or available == rows):
                yield self._split.rows(order[step * size - start : (step + 1) * size - start])
                step += 1
            used = step * size - start
            rest, start = order[used:], start + used

    def _windows(self, seed: int) -> Iterator[npt.NDArray[np.int64]]:
        """Row numbers, window by window; each window has a stream of its own."""
        rows = self._split.num_rows
        starts = np.arange(0, rows, CHUNK_ROWS)
        starts = np.random.default_rng([seed, 0]).permutation(starts)
        for number, first in enumerate(range(0, len(starts), WINDOW_CHUNKS), start=1):
            chosen = starts[first : first + WINDOW_CHUNKS]
            window = np.concatenate(
                [np.arange(start, min(rows, start + CHUNK_ROWS)) for start in chosen]
            )
            yield np.random.default_rng([seed, number]).permutation(window)
