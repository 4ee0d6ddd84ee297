"""Keys for parameter values: values that Optuna treats as equal have the same key.

Choices may be lists or dicts, which have no hash. A storage returns tuples as lists, keys of dicts
as text, and NaN as another NaN, which equals nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping
from numbers import Real
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

EXACT = 2**53  # up to which a float holds every integer
_FLOATS = 32  # floats on each side, among which an integer of a stepped range is looked for


def key_of(value: Any) -> Hashable:
    """A key that is the same for all equal values, in memory or read from a storage.

    Example:
        >>> key_of([400, {"dropout": 0.5}]) == key_of((400.0, {"dropout": 0.5}))
        True
    """
    if isinstance(value, Mapping):
        return ("dict", frozenset((_text(name), key_of(v)) for name, v in value.items()))
    if isinstance(value, list | tuple):
        return ("list", *map(key_of, value))
    if isinstance(value, Real) and value != value:
        return ("nan",)
    try:
        hash(value)
    except TypeError:
        return ("object", repr(value))
    found: Hashable = value
    return found


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value is one of the distribution's."""
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (TypeError, ValueError, OverflowError):  # a categorical without that choice
        return False


def spellings(distribution: BaseDistribution, value: Any) -> list[Any]:
    """The value in the distribution's spelling, in a list; an empty list if it is not there."""
    if not isinstance(distribution, CategoricalDistribution):
        return [value] if contains(distribution, value) else []
    if contains(distribution, value):
        return [distribution.choices[int(distribution.to_internal_repr(value))]]
    key = key_of(value)
    return [choice for choice in distribution.choices if key_of(choice) == key][:1]


def is_plain(distribution: BaseDistribution) -> bool:
    """Whether every storage returns the values unchanged: numbers, text and None."""
    return not isinstance(distribution, CategoricalDistribution) or all(
        choice is None or isinstance(choice, bool | int | float | str)
        for choice in distribution.choices
    )


def as_stored(distribution: IntDistribution, value: int) -> int:
    """The value that a storage returns for this one: storages keep all numbers as floats."""
    if abs(value) <= EXACT:
        return value
    below = above = float(value)
    for _ in range(_FLOATS):
        for found in (below, above):
            if distribution._contains(found):
                return int(found)
        below, above = math.nextafter(below, -math.inf), math.nextafter(above, math.inf)
    return value  # a range whose step no float meets


def has_grid(distribution: FloatDistribution) -> bool:
    """Whether there are steps, and not more of them than a float can count."""
    low, high, step = distribution.low, distribution.high, distribution.step
    return step is not None and math.isfinite((high - low) / step)


def _text(name: Any) -> str:
    """A key of a dict as JSON has it."""
    return name if isinstance(name, str) else json.dumps(name, default=str)
