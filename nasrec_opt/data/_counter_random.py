"""Random numbers that are functions of a key and a row or a value, with no state between them.

A generated log draws everything by these. So a row does not depend on which rows are drawn with it,
and the effect of a value needs no table of all values.
"""

from __future__ import annotations

import hashlib
from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
FloatArray = npt.NDArray[np.float64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # of SplitMix64
LEVELS = 1 << 16  # of a normal number
LAST = 1e-7  # probability beyond the largest normal number, about 5.2


def key_of(seed: int, *names: str) -> np.uint64:
    """A key of 64 bits for one stream of numbers."""
    text = "/".join((str(seed), *names))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def hashed(key: np.uint64, values: npt.NDArray[np.integer]) -> Words:
    """64 random bits for each value.

    Args:
        key: Of the stream.
        values: Integers; equal ones get equal bits.

    Returns:
        A new array of the same shape.

    References:
        SplitMix64: Steele, Lea, Flood 2014.
    """
    words = values.astype(np.uint64)
    words *= GOLDEN
    words += key
    shifted = words >> np.uint64(30)
    words ^= shifted
    words *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(words, np.uint64(27), out=shifted)
    words ^= shifted
    words *= np.uint64(0x94D049BB133111EB)
    np.right_shift(words, np.uint64(31), out=shifted)
    words ^= shifted
    return words


def uniform(key: np.uint64, values: npt.NDArray[np.integer]) -> FloatArray:
    """A uniform number from 0 to below 1 for each value."""
    words = hashed(key, values)
    words >>= np.uint64(11)
    return np.multiply(words, 2.0**-53, dtype=np.float64)


class Quantiles:
    """Numbers of a distribution, drawn by interpolation in a table of its quantiles.

    Args:
        table: Quantiles at equal steps from 0 to 1.
    """

    def __init__(self, table: FloatArray) -> None:
        self.table = table
        self._steps = np.diff(table)

    def at(self, uniform: FloatArray) -> FloatArray:
        """The quantile at each number from 0 to below 1."""
        places = uniform * len(self._steps)
        cells = places.astype(np.int64)
        places -= cells
        places *= self._steps[cells]
        places += self.table[cells]
        return places


@cache
def normal_quantiles() -> Quantiles:
    """Of the standard normal distribution."""
    inverse = NormalDist().inv_cdf
    shares = np.linspace(0, 1, LEVELS + 1).clip(LAST, 1 - LAST)
    return Quantiles(np.array([inverse(share) for share in shares.tolist()]))


def normal(words: Words, part: int) -> FloatArray:
    """A standard normal number from 16 bits of each word.

    Args:
        words: Of `hashed`.
        part: Which 16 bits, 0 to 3; different parts are independent.
    """
    return np.asarray(_levels()[(words >> np.uint64(16 * part)) & np.uint64(LEVELS - 1)])


@cache
def _levels() -> FloatArray:
    return normal_quantiles().at((np.arange(LEVELS) + 0.5) / LEVELS)
