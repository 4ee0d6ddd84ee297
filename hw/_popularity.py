"""How often the rows of embedding tables are read, which decides what on-chip memory is worth.

Click logs are skewed: a few values make up most of a column. A memory that holds the rows of the
most frequent values answers that share of the reads (RecNMP; Ke et al., ISCA 2020, section III).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hw._arrays import Count, FloatArray
from hw.errors import DescriptionError


@dataclass(frozen=True, slots=True)
class Popularity:
    """The share of all reads that go to the most frequent rows of all tables together.

    Args:
        rows: Numbers of rows, ascending from 1 or more; the last is that of all rows ever read.
        shares: The share of the reads that go to as many of the most frequent rows, 0 to 1.

    Raises:
        DescriptionError: The lists are empty or differ in length, rows do not ascend, or shares are
            no cumulative shares.

    Example:
        >>> popularity = Popularity.of([70, 20, 5, 5])
        >>> round(float(popularity.share(1)), 2), round(float(popularity.share(2)), 2)
        (0.7, 0.9)
    """

    rows: tuple[int, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        rows = tuple(int(count) for count in self.rows)
        shares = tuple(float(share) for share in self.shares)
        if not rows or len(rows) != len(shares):
            raise DescriptionError(
                f"popularity: expected as many shares as numbers of rows, got {len(shares)} and "
                f"{len(rows)}"
            )
        if rows[0] < 1 or any(a >= b for a, b in pairwise(rows)):
            raise DescriptionError("popularity: rows: expected ascending numbers from 1")
        if not all(a <= b for a, b in zip((0.0, *shares), (*shares, 1.0), strict=True)):
            raise DescriptionError("popularity: shares: expected ascending shares from 0 to 1")
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "shares", shares)

    @classmethod
    def of(cls, counts: npt.ArrayLike) -> Popularity:
        """The popularity of rows that were read so often; some tens of numbers describe it.

        Args:
            counts: How often each row of all tables was read, in any order; 0 or more.

        Returns:
            Its exact shares for 1, 2, 4, 8 ... rows and for all.

        Raises:
            DescriptionError: A count is negative, or none is positive.
        """
        given = np.asarray(counts).ravel()
        if given.size and given.min() < 0:
            raise DescriptionError(f"popularity: expected counts from 0, got {given.min()}")
        read = np.sort(given[given > 0])[::-1]
        if not len(read):
            raise DescriptionError("popularity: expected rows that were read, got none")
        rows = sorted({*(1 << power for power in range(len(read).bit_length())), len(read)})
        below = np.cumsum(read, dtype=np.float64)[np.array(rows) - 1]
        return cls(tuple(rows), tuple((below / below[-1]).tolist()))

    def share(self, rows: Count) -> FloatArray:
        """The share of the reads that go to the most frequent rows.

        Args:
            rows: How many rows, 0 or more; a number, or an array of any shape.

        Returns:
            Shares from 0 to 1 of the same shape. Between the numbers of rows that are known it is
            their straight line, which is no more than the true share.
        """
        return np.asarray(np.interp(rows, (0, *self.rows), (0.0, *self.shares)))
