"""Categories as a fixed number of ids, the same in every version and on every machine.

`hashed` is the 64-bit FNV-1a hash of the value in UTF-8, mixed by the last step of MurmurHash3
(without it, the low bits of the hash would depend on the low bits of the text alone), modulo the
number of ids. `remainders` is what published pipelines do with the hexadecimal values of their
logs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

_OFFSET, _PRIME = 0xCBF29CE484222325, 0x100000001B3  # of FNV-1a, 64 bits
_MASK = 2**64 - 1
_FACTORS = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)  # of MurmurHash3's last step
_FEW = 16  # values of which the rest is hashed one by one


def hashed(values: pl.Series, size: int) -> pl.Series:
    """Ids 0 to `size` - 1 of text, as text; null where the value is missing."""
    ids = _mixed(_fnv1a(values)) % np.uint64(size)
    return _as_text(pl.Series(ids), values)


def hashed_text(text: str, size: int) -> str:
    """The same for one text."""
    mixed = _slowly(_OFFSET, text.encode())
    for factor in _FACTORS:
        mixed = (mixed ^ mixed >> 33) * factor & _MASK
    return str((mixed ^ mixed >> 33) % size)


def remainders(values: pl.Series, divisors: Sequence[int], base: int) -> pl.Series:
    """What is left of integers after division by each divisor in turn, as text.

    Args:
        values: Digits, with nulls.
        divisors: Integers, 1 or more.
        base: 16 for hexadecimal digits; 10 for decimal ones, or else hexadecimal ones.

    Returns:
        Text; null where the value is missing or no integer.
    """
    decimal = values.cast(pl.UInt64, strict=False) if base == 10 else None
    numbers = values.str.to_integer(base=16, dtype=pl.UInt64, strict=False)
    # What is no integer of 64 bits in decimal digits may still be a longer one, or negative.
    is_plain = values.str.contains(r"^[0-9a-fA-F]{1,16}$").fill_null(False)
    numbers = numbers.set(~is_plain, None)
    if decimal is not None:
        numbers = decimal.zip_with(decimal.is_not_null(), numbers)
    left = numbers.fill_null(0).to_numpy().copy()
    for divisor in divisors:
        left %= np.uint64(divisor)
    found = pl.Series(left).set(numbers.is_null(), None).cast(pl.String)
    rest = values.filter(numbers.is_null() & values.is_not_null()).unique()
    if len(rest):
        others = [remainder(text, divisors, base) for text in rest]
        slow = values.replace_strict(rest, pl.Series(others, dtype=pl.String), default=None)
        found = found.zip_with(numbers.is_not_null(), slow)
    return found.rename(values.name)


def remainder(text: str, divisors: Sequence[int], base: int) -> str | None:
    """The same for one text."""
    for chosen in (10, 16) if base == 10 else (16,):
        try:
            number = int(text, chosen)
        except ValueError:
            continue
        if not text.lstrip("+-").isalnum():  # Python's underscores and spaces
            return None
        for divisor in divisors:
            number %= divisor
        return str(number)
    return None


def _as_text(ids: pl.Series, values: pl.Series) -> pl.Series:
    return ids.set(values.is_null(), None).cast(pl.String).rename(values.name)


def _fnv1a(values: pl.Series) -> npt.NDArray[np.uint64]:
    """FNV-1a of each text: all first bytes, then all second ones, the longest texts in front."""
    array = values.fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    if not len(array) or data is None:
        return np.full(len(array), _OFFSET, np.uint64)
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    text = np.frombuffer(data, np.uint8)
    lengths = np.diff(ends)
    order = np.argsort(-lengths, kind="stable")
    starts, shrinking = ends[:-1][order], -lengths[order]
    found = np.full(len(array), _OFFSET, np.uint64)
    prime, place = np.uint64(_PRIME), 0
    active = int(np.searchsorted(shrinking, -place))  # texts longer than `place`
    while active > _FEW:
        found[:active] ^= text[starts[:active] + place]
        found[:active] *= prime
        place += 1
        active = int(np.searchsorted(shrinking, -place))
    for i in range(active):
        rest = text[starts[i] + place : starts[i] - shrinking[i]]
        found[i] = _slowly(int(found[i]), rest.tobytes())
    hashes = np.empty_like(found)
    hashes[order] = found
    return hashes


def _slowly(found: int, text: bytes) -> int:
    for byte in text:
        found = (found ^ byte) * _PRIME & _MASK
    return found


def _mixed(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finalizer of MurmurHash3."""
    for factor in _FACTORS:
        hashes = (hashes ^ hashes >> np.uint64(33)) * np.uint64(factor)
    return hashes ^ hashes >> np.uint64(33)
