"""Conversion of NumPy's numbers to Python's, which hashes and JSON need."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np


def integer(value: Any) -> int | None:
    """An integer of Python or NumPy as a Python integer; None for anything else, bools included.

    An array of no dimension is a number.
    """
    if type(value) is int:
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_, np.ndarray)):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def real(value: Any) -> float | None:
    """A number of Python or NumPy as a Python float; None for anything else."""
    if type(value) is float:
        return value
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    if isinstance(value, np.ndarray) and value.ndim == 0:
        is_number = value.dtype.kind in "iuf"
    return float(value) if is_number and not isinstance(value, bool) else None


def put_integers(instance: Any) -> None:
    """Convert NumPy's integers and bools in the fields of a frozen dataclass to Python's."""
    for name in instance.__dataclass_fields__:
        value = getattr(instance, name)
        if isinstance(value, np.bool_):
            object.__setattr__(instance, name, bool(value))
        elif type(value) is not int and (plain := integer(value)) is not None:
            object.__setattr__(instance, name, plain)
