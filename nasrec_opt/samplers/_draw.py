"""Random values of any of Optuna's distributions, from a seed, a number and a name alone."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from nasrec_opt.errors import StudyError

_STEP = 0.1  # standard deviation of a step, as a share of the range


def stream(seed: int, number: int, name: str) -> np.random.Generator:
    """The random stream of one draw: the same after a resume and in any process."""
    return np.random.default_rng([seed, number, zlib.crc32(name.encode())])


def check_seed(seed: int | None) -> None:
    """Refuse what no stream can be derived from.

    Raises:
        StudyError: The seed is negative, or no integer.
    """
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise StudyError(f"seed: expected an integer from 0, got {seed!r}")


def check_counts(**counts: int) -> None:
    """Refuse what is not a count.

    Raises:
        StudyError: A value is no integer from 1; the sentence begins with its name.
    """
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise StudyError(f"{name}: expected a positive integer, got {count!r}")


def draw(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    """A value of the distribution: uniform, or uniform in the logarithm where it asks for that."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    if isinstance(distribution, IntDistribution):
        return _draw_int(distribution, rng)
    if isinstance(distribution, FloatDistribution):
        return _draw_float(distribution, rng)
    raise StudyError(f"distribution: expected one of Optuna's own, got {distribution!r}")


def step(distribution: BaseDistribution, value: Any, rng: np.random.Generator) -> Any:
    """A value near another: a normal step of a tenth of the range, in the logarithm where asked.

    What has no order is drawn anew, as `draw` does it. The value may come out as it was.
    """
    if not isinstance(distribution, IntDistribution | FloatDistribution):
        return draw(distribution, rng)
    low, high = distribution.low, distribution.high
    if distribution.log:
        width = math.log(high / low)
        moved = math.exp(math.log(value) + rng.normal(scale=_STEP * width))
    else:
        moved = value + rng.normal(scale=_STEP * (high - low))
    if distribution.step is not None:
        moved = low + distribution.step * round((moved - low) / distribution.step)
    moved = min(max(moved, low), high)
    return int(moved) if isinstance(distribution, IntDistribution) else float(moved)


def _draw_int(distribution: IntDistribution, rng: np.random.Generator) -> int:
    low, high, step = distribution.low, distribution.high, distribution.step
    if not distribution.log:
        return low + step * int(rng.integers((high - low) // step + 1))
    # Half a unit more on both sides gives the ends their whole share.
    value = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
    return min(max(round(value), low), high)


def _draw_float(distribution: FloatDistribution, rng: np.random.Generator) -> float:
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is not None:
        return min(low + step * int(rng.integers(round((high - low) / step) + 1)), high)
    if distribution.log:
        return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
    return float(rng.uniform(low, high))
