"""The distribution of the synthetic log: popularity, missing values, click probabilities.

Shares, medians and tails follow the statistics of Criteo's log; long vocabularies are shortened so
that 120,000 rows suffice to learn from. The log odds of a click are a sum of effects of single
values, which a linear model finds, and of planted pairs and triples of fields, which it cannot:
they are products of two or three latent vectors, centred, so that no single field predicts them.
Every part has a fixed variance, whatever the seed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class DenseField(NamedTuple):
    """A numeric column: log-normal by its median and its 99th percentile."""

    median: float
    high: float


class SparseField(NamedTuple):
    """A categorical column: values of Zipf popularity."""

    num_values: int
    exponent: float


DENSE = tuple(
    DenseField(*pair)
    for pair in (
        (2, 39), (5, 2228), (6, 216), (5, 41), (2800, 345947), (32, 1318), (4, 218),
        (8, 48), (39, 1010), (1.4, 3), (2, 26), (0.7, 20), (5, 49),
    )
)  # fmt: skip
SPARSE = tuple(
    SparseField(*pair)
    for pair in (
        (120, 1.95), (200, 1.17), (400, 0.9), (300, 0.9), (60, 2.37), (12, 0.9), (200, 0.62),
        (80, 2.19), (3, 1.5), (250, 0.69), (200, 0.7), (350, 0.9), (150, 0.72), (26, 1.0),
        (180, 0.62), (320, 0.9), (10, 0.9), (120, 0.81), (60, 1.1), (4, 0.65), (350, 0.9),
        (12, 1.6), (14, 0.9), (200, 1.08), (30, 1.6), (200, 1.0),
    )
)  # fmt: skip
NEGATIVE = 1  # I2: a tenth of its values, down to -3
# Columns (from 0) that are missing together, and how often.
DENSE_MISSING: tuple[tuple[tuple[int, ...], float], ...] = (
    ((0, 9), 0.451), ((6, 8, 10), 0.043), ((2, 3, 5, 12), 0.215), ((11,), 0.765), ((4,), 0.027),
)  # fmt: skip
SPARSE_MISSING: tuple[tuple[tuple[int, ...], float], ...] = (
    ((2, 3, 11, 15, 20, 23), 0.034), ((18, 19, 24, 25), 0.442), ((21,), 0.761), ((5,), 0.121),
)  # fmt: skip
DETERMINED = (3, 11, 15, 20, 23)  # C4, C12, C16, C21 and C24 follow from C3
LEADER = 2

PAIRS = ((13, 16), (16, 22), (5, 22), (5, 13))
TRIPLES = ((5, 13, 22),)
LATENT = 2
CLICK_RATE = 0.256
# Variance of the log odds that each part makes.
DENSE_VARIANCE, SPARSE_VARIANCE, PAIR_VARIANCE, TRIPLE_VARIANCE = 0.35, 0.7, 0.5, 0.1
CALIBRATION_ROWS = 20_000


class Rows(NamedTuple):
    """Rows without their clicks; -1 is a missing value, NaN a missing number.

    Args:
        dense: Whole numbers, `[rows, 13]`.
        sparse: Values by their number in the column, `[rows, 26]`.
        odds: Log odds of a click, `[rows]`.
    """

    dense: FloatArray
    sparse: IntArray
    odds: FloatArray


class World:
    """Popularity and effects of values, drawn once.

    Args:
        rng: Source of the draws.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._shares = [_zipf(field) for field in SPARSE]
        self._cumulated = [np.cumsum(share) for share in self._shares]
        self._followers = {f: rng.permutation(SPARSE[LEADER].num_values) for f in DETERMINED}
        planted = {field for fields in (*PAIRS, *TRIPLES) for field in fields}
        scales = rng.gamma(1.0, 0.4, len(SPARSE))  # some columns matter much, most little
        scales[sorted(planted)] = 1.0
        scales *= np.sqrt(SPARSE_VARIANCE / (scales**2).sum())
        latent = [_standard(rng.normal(0, 1, (len(s), LATENT)), s) for s in self._shares]
        # The first latent entry is also the effect of the value alone: values that attract clicks
        # by themselves attract more in combination.
        self._effects = [scale * v[:, 0] for scale, v in zip(scales, latent, strict=True)]
        self._latent = {field: latent[field] for field in sorted(planted)}
        slopes = rng.normal(0, 1, len(DENSE))
        self._slopes = slopes * np.sqrt(DENSE_VARIANCE / (slopes**2).sum())
        self._terms = [
            (fields, self._scale(fields, variance / len(group)))
            for group, variance in ((PAIRS, PAIR_VARIANCE), (TRIPLES, TRIPLE_VARIANCE))
            for fields in group
        ]
        self._bias = 0.0
        self._bias = _bias(self.draw(rng, CALIBRATION_ROWS).odds)

    def draw(self, rng: np.random.Generator, count: int) -> Rows:
        """Draw `count` rows."""
        dense, standard = _draw_dense(rng, count)
        sparse = np.stack(
            [np.searchsorted(c, rng.random(count) * c[-1]) for c in self._cumulated], axis=1
        )
        for field, values in self._followers.items():
            sparse[:, field] = values[sparse[:, LEADER]] % SPARSE[field].num_values
        for fields, share in SPARSE_MISSING:
            sparse[np.ix_(np.flatnonzero(rng.random(count) < share), np.array(fields))] = -1
        odds = self._bias + np.where(np.isnan(standard), 0.0, standard) @ self._slopes
        for field, effects in enumerate(self._effects):
            odds += np.append(effects, 0.0)[sparse[:, field]]  # -1, missing, has no effect
        none = np.zeros((1, LATENT))
        vectors = {f: np.concatenate([v, none])[sparse[:, f]] for f, v in self._latent.items()}
        for fields, scale in self._terms:
            odds += scale * np.prod([vectors[f] for f in fields], axis=0).sum(axis=1)
        return Rows(dense, sparse, odds)

    def _scale(self, fields: tuple[int, ...], variance: float) -> float:
        """Factor that gives the product of centred latent vectors this variance."""
        product = np.ones((LATENT, LATENT))
        for field in fields:
            vectors = self._latent[field]  # [values, latent]
            product *= (vectors * self._shares[field][:, None]).T @ vectors
        return float(np.sqrt(variance / product.sum()))


def _draw_dense(rng: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
    """Whole numbers and the standard normals behind them."""
    standard = rng.normal(0, 1, (count, len(DENSE)))
    spread = np.array([np.log(field.high / field.median) / 2.326 for field in DENSE])
    dense = np.floor(np.exp(standard * spread) * [field.median for field in DENSE])
    is_negative = rng.random(count) < 0.1
    dense[:, NEGATIVE] = np.where(is_negative, -rng.integers(1, 4, count), dense[:, NEGATIVE])
    standard[is_negative, NEGATIVE] = np.nan  # says nothing about the click
    for fields, share in DENSE_MISSING:
        chosen = np.ix_(np.flatnonzero(rng.random(count) < share), np.array(fields))
        dense[chosen] = standard[chosen] = np.nan
    return dense, standard


def _zipf(field: SparseField) -> FloatArray:
    weights = 1.0 / np.arange(1, field.num_values + 1) ** field.exponent
    return np.asarray(weights / weights.sum(), np.float64)


def _standard(vectors: FloatArray, share: FloatArray) -> FloatArray:
    """Vectors with mean 0 and variance 1 over the rows, by column."""
    vectors = vectors - share @ vectors
    return vectors / np.sqrt(share @ vectors**2)


def _bias(odds: FloatArray) -> float:
    """The bias of the log odds that gives the click rate of the real log, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if (1 / (1 + np.exp(-odds - middle))).mean() < CLICK_RATE
            else (low, middle)
        )
    return (low + high) / 2
