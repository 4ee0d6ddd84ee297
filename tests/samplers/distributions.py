"""All of Optuna's distributions, small and awkward ones above all."""

from __future__ import annotations

import math
import warnings
from typing import Any

from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

NAN = float("nan")
PLAIN = st.sampled_from([None, True, False, 0, 1, 1.0, 2**53, "adam", "sgd", "", NAN, -0.5])
RICH = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
SPECIAL_INTS = [0, 1, -1, 63, 2**31, 2**53 - 2, 2**53, 2**60 + 1, 2**63 - 4, -(2**63)]
SPECIAL_FLOATS = [0.0, 1.0, 0.1, -3.7, 5e-324, 1e-300, 1e6, 2.0**53, 1e308, -1e308]


@st.composite
def integers(draw: Any) -> IntDistribution:
    values = draw(st.integers(1, 5))
    if draw(st.booleans()):
        low = draw(st.sampled_from([1, 2, 100, 2**53 - 1, 2**62]))
        return IntDistribution(low, low + values - 1, log=True)
    low = draw(st.sampled_from(SPECIAL_INTS) | st.integers(-(10**6), 10**6))
    step = draw(st.sampled_from([1, 2, 7, 64, 1000, 2**40]))
    rest = draw(st.integers(0, step - 1))  # a range that is no multiple of the step
    return IntDistribution(low, low + step * (values - 1) + rest, step=step)


@st.composite
def floats(draw: Any) -> FloatDistribution:
    low = draw(st.sampled_from(SPECIAL_FLOATS) | st.floats(-1e3, 1e3))
    values = draw(st.integers(1, 5))
    if draw(st.booleans()):
        step = draw(st.sampled_from([0.1, 0.25, 0.5, 1.0, 3.0, 1e-3]))
        rest = step * draw(st.sampled_from([0.0, 0.3, 0.99]))
        return as_stored(FloatDistribution(low, low + step * (values - 1) + rest, step=step))
    is_log = draw(st.booleans())
    low = abs(low) or 1e-9 if is_log else low
    if draw(st.booleans()):  # as many floats as values
        high = low
        for _ in range(values - 1):
            high = math.nextafter(high, math.inf)
    else:
        high = max(low, draw(st.sampled_from(SPECIAL_FLOATS)))
    return FloatDistribution(low, min(high, 1.7e308), log=is_log)


def as_stored(distribution: FloatDistribution) -> BaseDistribution:
    """The range that Optuna keeps: storing one may cut a step off its end, for want of a digit."""
    found: BaseDistribution = distribution
    for _ in range(4):
        found = json_to_distribution(distribution_to_json(found))
    return found


def categoricals(values: st.SearchStrategy[Any] = PLAIN) -> st.SearchStrategy[BaseDistribution]:
    return st.lists(values, min_size=1, max_size=5).map(CategoricalDistribution)


def quietly(build: Any) -> Any:
    """Optuna warns of a range that is no multiple of its step, and of choices that are lists."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build()


@st.composite
def distributions(draw: Any) -> BaseDistribution:
    kind = draw(st.sampled_from([integers(), floats(), categoricals(), categoricals(RICH)]))
    return quietly(lambda: draw(kind))
