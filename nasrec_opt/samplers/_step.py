"""Another value of a distribution, near one or anywhere, in a bounded number of draws."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from nasrec_opt.samplers._draw import draw
from nasrec_opt.samplers._values import EXACT, as_stored, contains, has_grid

_STEP = 0.1  # standard deviation of a step, as a share of the range
_FAR = 3.0  # standard deviations; values farther away are not reached by steps
_TRIES = 1000  # draws of one value, before a neighbour is taken


def step(distribution: BaseDistribution, value: Any, rng: np.random.Generator) -> Any:
    """A value near another: a normal step of a tenth of the range, in the logarithm where asked.

    A value without an order is drawn again, as in `draw`. The result may equal the value.
    """
    if not isinstance(distribution, IntDistribution | FloatDistribution):
        return draw(distribution, rng)
    return _moved(distribution, value, rng.normal())


def has_choice(distribution: BaseDistribution) -> bool:
    """Whether there are two values or more that Optuna can tell apart."""
    if isinstance(distribution, CategoricalDistribution):
        return any(distribution.to_internal_repr(choice) != 0 for choice in distribution.choices)
    if isinstance(distribution, IntDistribution):
        ends = (as_stored(distribution, end) for end in (distribution.low, distribution.high))
        return len(set(ends)) == 2
    return not distribution.single()


def other(
    distribution: BaseDistribution, value: Any, rng: np.random.Generator, *, near: bool
) -> Any:
    """Another value, by `step` or by `draw`; the same value if the distribution has no other.

    If steps or draws hardly ever lead to another value, a neighbour is taken. With two values, for
    example, a step would have to be five standard deviations long.

    Args:
        distribution: Has the value.
        value: What the result differs from.
        rng: Source of at most some thousand draws.
        near: Whether to take a step.
    """
    now = _place(distribution, value)
    if not (near and _is_far_from_others(distribution, value)):
        for _ in range(_TRIES):
            found = step(distribution, value, rng) if near else draw(distribution, rng)
            if _place(distribution, found) != now:
                return found
    others = list(_neighbours(distribution, value))
    return others[rng.integers(len(others))] if others else value


def _place(distribution: BaseDistribution, value: Any) -> float:
    """A key that distinguishes values; on a grid of floats, two may be the same point."""
    if isinstance(distribution, FloatDistribution) and has_grid(distribution):
        assert distribution.step is not None
        place: int = round((value - distribution.low) / distribution.step)
        return place
    found: float = distribution.to_internal_repr(value)
    return found


def _is_far_from_others(distribution: BaseDistribution, value: Any) -> bool:
    """Whether not even a long step leads to another value."""
    if not isinstance(distribution, IntDistribution | FloatDistribution):
        return False
    now = _place(distribution, value)
    moved = (_moved(distribution, value, far) for far in (-_FAR, _FAR))
    return all(_place(distribution, found) == now for found in moved)


def _neighbours(distribution: BaseDistribution, value: Any) -> Iterator[Any]:
    """The next values of a number, on both sides; all other choices of a categorical."""
    now = _place(distribution, value)
    if isinstance(distribution, CategoricalDistribution):
        for place, choice in enumerate(distribution.choices):
            if place != now and distribution.to_internal_repr(choice) == place:
                yield choice
        return
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    for sign in (-1, 1):
        found = _next(distribution, value, sign)
        if not contains(distribution, found):  # floats round integers of 2**53 or more
            found = distribution.low if sign < 0 else distribution.high
        if _place(distribution, found) != now:
            yield found


def _next(distribution: IntDistribution | FloatDistribution, value: Any, sign: int) -> Any:
    """The value that follows a number, upwards or downwards; it may be beyond the range."""
    low, high, step = distribution.low, distribution.high, distribution.step
    further = math.nextafter(value, sign * math.inf)
    if isinstance(distribution, IntDistribution):
        found = value + sign * distribution.step
        if abs(value) >= EXACT:
            found = max(found, int(further)) if sign > 0 else min(found, int(further))
        return as_stored(distribution, found)
    if step is None or not has_grid(distribution):
        return further
    found = min(low + step * (round((value - low) / step) + sign), high)
    return further if found == value else found  # where a step is too small to change a float


def _moved(distribution: IntDistribution | FloatDistribution, value: Any, deviations: float) -> Any:
    """A value so many standard deviations of a step away, or the end of the range on the way."""
    low, high = distribution.low, distribution.high
    if distribution.log:
        ratio = high / low
        width = math.log(ratio) if math.isfinite(ratio) else math.log(high) - math.log(low)
        exponent = math.log(value) + _STEP * width * deviations
        moved = high if exponent >= math.log(high) else math.exp(exponent)
    else:
        width = high - low
        scale = _STEP * width if math.isfinite(width) else _STEP * high - _STEP * low
        moved = value + scale * deviations
    if distribution.step is not None:
        steps = (moved - low) / distribution.step
        moved = low + distribution.step * round(steps) if math.isfinite(steps) else moved
    moved = min(max(moved, low), high)
    if isinstance(distribution, IntDistribution):
        return as_stored(distribution, int(moved))
    return float(moved)
