"""Rows that are there more than once, within a split and across splits, by 64-bit hashes.

Two different rows of 20 million share a hash with a probability of one in 100,000. A log of more
rows than `MOST_ROWS` is judged by the rows whose hash is in a part of all hashes: equal rows are
all in the part, or all outside of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

MOST_ROWS = 1 << 25  # hashes in memory: 256 MiB

Keys = npt.NDArray[np.uint64]
ONE = np.uint64(1)


class Copies(NamedTuple):
    """Shares of the rows of a split, as `SplitFigures` has them."""

    copies: float
    known_inputs: float
    agreement: float | None


def keys_of(
    dense: npt.NDArray[np.float32], sparse: npt.NDArray[np.int32], labels: npt.NDArray[Any]
) -> Keys:
    """Hash rows: 63 bits of the inputs, and the label as the last bit.

    Args:
        dense: `[rows, num_dense]`.
        sparse: `[rows, columns]`.
        labels: 0 or 1, `[rows]`.

    Returns:
        `[rows]`.
    """
    inputs = np.concatenate([dense.view(np.int32), sparse], axis=1)
    width = inputs.shape[1] * inputs.itemsize
    rows = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(inputs), [None, pa.py_buffer(inputs)]
    )
    hashes = pl.Series("rows", rows).hash(seed=0).to_numpy()
    return (hashes & ~ONE) | labels.astype(np.uint64)


class Hashes:
    """The hashes of the rows of all splits.

    Args:
        num_rows: Rows of all splits together.
    """

    def __init__(self, num_rows: int) -> None:
        self._parts = 1
        while num_rows > MOST_ROWS * self._parts:
            self._parts *= 2
        self._keys: dict[str, list[Keys]] = {}

    @property
    def share(self) -> float:
        """Share of all hashes that are kept."""
        return 1 / self._parts

    def add(self, split: str, keys: Keys) -> None:
        """Add rows of a split."""
        if self._parts > 1:
            keys = keys[(keys >> ONE) % np.uint64(self._parts) == 0]
        self._keys.setdefault(split, []).append(keys)

    def finish(self) -> dict[str, Copies]:
        """Find copies; the training rows come first. The hashes are gone afterwards."""
        known: Keys = np.empty(0, np.uint64)
        found = {}
        for place, split in enumerate(list(self._keys)):
            keys = np.concatenate(self._keys.pop(split))
            keys.sort()
            if place:
                found[split] = _against(keys, known)
            else:
                found[split], known = _within(keys)
        return found


def _within(keys: Keys) -> tuple[Copies, Keys]:
    """Copies of earlier rows of the same split; and each row once, ascending."""
    if not len(keys):
        return Copies(0.0, 0.0, None), keys
    once = keys[np.append(True, keys[1:] != keys[:-1])]
    inputs = 1 + int(np.count_nonzero((once[1:] | ONE) != (once[:-1] | ONE)))
    return Copies(1 - len(once) / len(keys), 1 - inputs / len(keys), None), once


def _against(keys: Keys, known: Keys) -> Copies:
    if not len(keys) or not len(known):
        return Copies(0.0, 0.0, None)
    same, other = _are_in(keys, known), _are_in(keys ^ ONE, known)
    one_label = np.count_nonzero(same ^ other)
    agreement = np.count_nonzero(same & ~other) / one_label if one_label else None
    return Copies(float(same.mean()), float((same | other).mean()), agreement)


def _are_in(keys: Keys, known: Keys) -> npt.NDArray[np.bool_]:
    places = np.minimum(known.searchsorted(keys), len(known) - 1)
    return np.equal(known[places], keys)
