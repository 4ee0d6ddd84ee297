"""A Gaussian process over points of the unit cube.

It is written in NumPy alone, since a search asks it every few trials and must not wait. The kernel
is a Matern 5/2 with a relevance for each dimension. Relevances and noise are those of the largest
posterior density, found by a dozen steps of Rprop (Riedmiller and Braun 1993), which looks only at
the signs of the gradient. Their prior makes typical points be a correlation length apart in any
number of dimensions (Hvarfner et al. 2024, arXiv:2402.02229), so that many genes and few trials do
no harm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nasrec_opt.samplers._selection import FloatArray

_STEPS = 12  # of Rprop; 40 expect no better
_DEVIATION = 1.0  # of the prior of the logarithm of a relevance
_NOISE, _NOISE_DEVIATION = 0.01, 2.0  # median of its prior, and deviation in the logarithm
_NOISE_RANGE = (1e-5, 1e2)
_FIRST_STEP, _LARGEST_STEP = 0.3, 1.0
_FASTER, _SLOWER = 1.4, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """The covariance of the outcomes of two points.

    Args:
        relevance: Inverse square of the correlation length of each dimension, `[dimensions]`; 0
            where nothing is known of it.
        noise: Variance of an outcome that the point does not explain, beside a signal of 1.
    """

    relevance: FloatArray
    noise: float

    def between(self, ones: FloatArray, others: FloatArray) -> FloatArray:
        """Correlations, `[ones, others]`."""
        return _matern(_squared_distances(ones, others, self.relevance))[0]

    def among(self, points: FloatArray) -> FloatArray:
        """Correlations of what was observed, noise included, `[points, points]`."""
        found = self.between(points, points)
        found[np.diag_indices(len(points))] += self.noise
        return found


class Process:
    """A Gaussian process conditioned on observed outcomes.

    Args:
        kernel: As `fit_kernel` found it.
        points: What was observed, `[observed, dimensions]`.
        outcomes: The observed outcomes, with a standard deviation of about 1, `[observed]`.
    """

    def __init__(self, kernel: Kernel, points: FloatArray, outcomes: FloatArray) -> None:
        self._kernel = kernel
        self._points = points
        self._mean = float(outcomes.mean())
        self._whiten = np.linalg.inv(np.linalg.cholesky(kernel.among(points)))
        white = self._whiten @ (outcomes - self._mean)
        self._weights = self._whiten.T @ white
        self._signal = max(float(white @ white) / len(points), 1e-12)

    def draw(self, points: FloatArray, normal: FloatArray) -> FloatArray:
        """Draw joint outcomes of some points.

        Args:
            points: Where, `[points, dimensions]`.
            normal: Standard normal numbers, `[draws, points]`.

        Returns:
            `[draws, points]`.
        """
        shared = self._kernel.between(points, self._points)
        mean = self._mean + shared @ self._weights
        told = self._whiten @ shared.T
        left = self._kernel.between(points, points) - told.T @ told
        left[np.diag_indices(len(points))] += 1e-6  # points that are all but alike
        values, vectors = np.linalg.eigh(left)
        root = vectors * np.sqrt(np.maximum(values, 0.0) * self._signal)
        return np.asarray(mean + normal @ root.T)


def fit_kernel(points: FloatArray, outcomes: FloatArray) -> Kernel:
    """Fit a kernel: the one with the largest posterior density, given some outcomes.

    Args:
        points: `[points, dimensions]`, from 0 to 1.
        outcomes: `[points]`; their scale does not matter.
    """
    variance = points.var(axis=0)
    varies = variance > 0
    inside = points[:, varies]
    centred = outcomes - outcomes.mean()
    # Of two points drawn at random the squared distance has the mean of twice the variance.
    usual = -math.log(max(2.0 * float(variance.sum()), 1e-12))
    prior = np.append(np.full(inside.shape[1], usual), math.log(_NOISE))
    deviation = np.append(np.full(inside.shape[1], _DEVIATION), _NOISE_DEVIATION)
    now, best, best_value = prior, prior, math.inf
    step, before = np.full(len(prior), _FIRST_STEP), np.zeros(len(prior))
    for _ in range(_STEPS):
        value, gradient = _misfit(now, inside, centred)
        off = (now - prior) / deviation
        value += 0.5 * float(off @ off)
        if value < best_value:
            best, best_value = now, value
        gradient = gradient + off / deviation
        agreement = np.sign(gradient * before)
        step = np.where(
            agreement > 0, step * _FASTER, np.where(agreement < 0, step * _SLOWER, step)
        )
        step = np.minimum(step, _LARGEST_STEP)
        before = np.where(agreement < 0, 0.0, gradient)
        now = now - np.sign(before) * step
        now[-1] = np.clip(now[-1], *np.log(_NOISE_RANGE))
    relevance = np.zeros(points.shape[1])
    relevance[varies] = np.exp(best[:-1])
    return Kernel(relevance, float(np.exp(best[-1])))


def _misfit(
    logarithms: FloatArray, points: FloatArray, outcomes: FloatArray
) -> tuple[float, FloatArray]:
    """Negative logarithm of the likelihood, the signal's variance at its best, and its gradient."""
    relevance, noise = np.exp(logarithms[:-1]), math.exp(logarithms[-1])
    count = len(points)
    correlation, slope = _matern(_squared_distances(points, points, relevance))
    correlation[np.diag_indices(count)] += noise
    root = np.linalg.cholesky(correlation)
    whiten = np.linalg.inv(root)
    inverse = whiten.T @ whiten
    weights = inverse @ outcomes
    signal = max(float(outcomes @ weights) / count, 1e-12)
    value = 0.5 * count * math.log(signal) + float(np.log(np.diag(root)).sum())
    by_entry = 0.5 * (inverse - np.outer(weights, weights) / signal)
    by_distance = by_entry * slope
    # The sum of by_distance[a, b] * (x[a] - x[b])**2 over all pairs, for each dimension.
    by_relevance = 2.0 * (
        by_distance.sum(axis=1) @ points**2 - np.sum(points * (by_distance @ points), axis=0)
    )
    return value, np.append(by_relevance * relevance, np.trace(by_entry) * noise)


def _squared_distances(ones: FloatArray, others: FloatArray, relevance: FloatArray) -> FloatArray:
    ones, others = ones * np.sqrt(relevance), others * np.sqrt(relevance)
    squares = np.sum(ones**2, axis=1)[:, None] + np.sum(others**2, axis=1)
    return np.asarray(np.maximum(squares - 2.0 * ones @ others.T, 0.0))


def _matern(squared_distances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Matern 5/2 of unit length, and its derivative by the squared distance."""
    scaled = np.sqrt(5.0 * squared_distances)
    decay = np.exp(-scaled)
    return (1.0 + scaled + scaled**2 / 3.0) * decay, -5.0 / 6.0 * (1.0 + scaled) * decay
