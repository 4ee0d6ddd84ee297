"""How values are written: ranks become eight hex digits, or numbers, one to one."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from nasrec_opt.data._counter_random import key_of

IntArray = npt.NDArray[np.int64]
DIGITS = 8


def hex_text(name: str, ranks: IntArray) -> pl.Series:
    """Eight hex digits for each value, null where it is missing (-1).

    Args:
        name: Of the column; columns write their values differently, the same in every log.
        ranks: Of the values, below 2**32, `[rows]`.
    """
    words = _scrambled(name, ranks)
    digits = np.empty((len(ranks), 2), np.uint32)
    digits[:, 0] = _four_digits()[words >> np.uint32(16)]
    digits[:, 1] = _four_digits()[words & np.uint32(0xFFFF)]
    offsets = np.arange(0, DIGITS * len(ranks) + 1, DIGITS, dtype=np.int64)
    is_there = ranks >= 0
    valid = None if is_there.all() else pa.py_buffer(np.packbits(is_there, bitorder="little"))
    array = pa.LargeStringArray.from_buffers(
        len(ranks), pa.py_buffer(offsets), pa.py_buffer(digits), valid
    )
    return pl.Series(name, array)


def _scrambled(name: str, ranks: IntArray) -> npt.NDArray[np.uint32]:
    """A permutation of the numbers of 32 bits."""
    words = ranks.astype(np.uint32)
    words ^= np.uint32(int(key_of(0, name)) & 0xFFFFFFFF)
    words *= np.uint32(0x9E3779B1)
    words ^= words >> np.uint32(15)
    words *= np.uint32(0x85EBCA77)
    words ^= words >> np.uint32(13)
    return words


@cache
def _four_digits() -> npt.NDArray[np.uint32]:
    """The ASCII bytes of all numbers of four hex digits."""
    text = "".join(f"{number:04x}" for number in range(1 << 16))
    return np.frombuffer(text.encode(), np.uint32)
