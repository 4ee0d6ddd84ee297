"""Conversion of NumPy's numbers to Python's, which JSON, storages and messages need."""

from __future__ import annotations

from typing import Any

import numpy as np

_PLAIN = frozenset({int, float, bool, str, type(None)})


def plain(value: Any) -> Any:
    """The same value without NumPy: scalars, arrays of no dimension, tuples and lists of them."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    for of_numpy, own in ((np.bool_, bool), (np.integer, int), (np.floating, float)):
        if isinstance(value, of_numpy):
            return own(value)
    if type(value) in (tuple, list):
        return type(value)(map(plain, value))
    return value


def put_plain(instance: Any) -> None:
    """Make every field of a frozen dataclass plain; for the beginning of `__post_init__`."""
    for name in instance.__dataclass_fields__:
        value = getattr(instance, name)
        if type(value) not in _PLAIN:
            object.__setattr__(instance, name, plain(value))
