"""Array types of the formulas, and the division that they share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Count = Any  # an int, or an int64 array with one entry for each operation


def divide_up(value: Count, divisor: Count) -> Count:
    """The quotient, rounded up."""
    return -(-value // divisor)
