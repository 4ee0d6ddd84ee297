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

from nasrec_opt._plain import plain
from nasrec_opt.errors import StudyError
from nasrec_opt.samplers._values import as_stored, has_grid


def stream(seed: int, number: int, name: str) -> np.random.Generator:
    """The random stream of one draw: the same after a resume and in any process."""
    return np.random.default_rng([seed, number, zlib.crc32(name.encode())])


def check_seed(seed: int) -> int:
    """The seed as a plain integer.

    Raises:
        StudyError: The seed is negative, or not an integer.
    """
    found: int = plain(seed)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise StudyError(f"seed: expected an integer from 0, got {seed!r}")
    return found


def draw(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    """A value of the distribution: uniform, or uniform in the logarithm where it asks for that."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    if isinstance(distribution, IntDistribution):
        return _draw_int(distribution, rng)
    if isinstance(distribution, FloatDistribution):
        return _draw_float(distribution, rng)
    raise StudyError(f"distribution: expected one of Optuna's own, got {distribution!r}")


def _draw_int(distribution: IntDistribution, rng: np.random.Generator) -> int:
    low, high, step = distribution.low, distribution.high, distribution.step
    if not distribution.log:
        return as_stored(distribution, low + step * _below((high - low) // step + 1, rng))
    # Half a unit more on both sides gives the ends their whole share.
    value = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
    return as_stored(distribution, min(max(round(value), low), high))


def _draw_float(distribution: FloatDistribution, rng: np.random.Generator) -> float:
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is not None and has_grid(distribution):
        return min(low + step * _below(round((high - low) / step) + 1, rng), high)
    if distribution.log:
        return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
    if not math.isfinite(high - low):
        share = rng.random()
        return low * (1.0 - share) + high * share
    return float(rng.uniform(low, high))


def _below(count: int, rng: np.random.Generator) -> int:
    """An integer from 0, less than a count of any size."""
    if count <= np.iinfo(np.int64).max:
        return int(rng.integers(count))
    return min(int(rng.random() * float(count)), count - 1)
