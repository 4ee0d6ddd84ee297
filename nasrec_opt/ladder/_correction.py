"""Correction of scores: a ridge regression from scores and features to trained log losses.

A supernet's score is biased, for example toward small models. The bias depends on features that are
cheap to compute (MACs, depth, widths, operators), and a few trained models show how strongly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]

PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
LEAST_TRUTHS = 4  # with fewer trained models, a correction is meaningless


@dataclass(frozen=True, slots=True)
class Correction:
    """A fitted correction.

    Args:
        mean: Mean that is subtracted from each feature, `[features]`.
        scale: Divisor of each feature, `[features]`; infinite if all candidates share its value.
        weights: Weights of the scaled features, nats, `[features]`.
        intercept: Mean trained log loss, nats.
        covariance: Of the weights, in units of `residual` squared, `[features, features]`.
        residual: Root mean square of the leave-one-out errors, nats.
        penalty: Penalty of the ridge regression, chosen by leave-one-out errors.
        truths: Number of trained models that it was fitted to.
    """

    mean: FloatArray
    scale: FloatArray
    weights: FloatArray
    intercept: float
    covariance: FloatArray
    residual: float
    penalty: float
    truths: int

    @classmethod
    def fit(
        cls, features: FloatArray, trained: Sequence[int], log_losses: Sequence[float]
    ) -> Correction | None:
        """Fit a correction.

        Args:
            features: Of all candidates, the score first, `[candidates, features]`.
            trained: Which of them were trained.
            log_losses: Their log losses, all after equally long training.

        Returns:
            The correction, or None with fewer than four trained models.
        """
        if len(trained) < LEAST_TRUTHS:
            return None
        scaled, scale = _scaled(features)
        x, y = scaled[list(trained)], np.asarray(log_losses, dtype=np.float64)
        penalty = _choose_penalty(x, y)
        weights, inverse = _ridge(x, y, penalty)
        residual = math.sqrt(float(np.mean(_left_out(x, y, penalty) ** 2)))
        return cls(
            mean=features.mean(axis=0) + x.mean(axis=0) * np.where(np.isinf(scale), 0.0, scale),
            scale=scale,
            weights=weights,
            intercept=float(y.mean()),
            covariance=inverse,
            residual=residual,
            penalty=penalty,
            truths=len(y),
        )

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Predict the log losses of models after training.

        Args:
            features: As given to `fit`, `[candidates, features]`.

        Returns:
            Log losses, and the standard errors of these means, `[candidates]` each; a single
            model deviates from its mean by `residual`.
        """
        x = (features - self.mean) / self.scale
        variance = 1 / self.truths + np.einsum("ij,jk,ik->i", x, self.covariance, x)
        return self.intercept + x @ self.weights, self.residual * np.sqrt(variance)


def corrected_tau(
    features: FloatArray, trained: Sequence[int], log_losses: Sequence[float]
) -> float | None:
    """Kendall's tau of corrected scores with trained log losses, of models left out of the fit.

    Each pair of models is ordered by a correction that was fitted, penalty included, without both
    of them. Leaving out one model at a time would be biased: a correction that has learned nothing
    predicts the mean of the others, which is lower when the omitted model is higher, so tau is -1.

    Args:
        features: As for `Correction.fit`.
        trained: Which candidates were trained.
        log_losses: Their log losses.

    Returns:
        Tau, or None with fewer than six models, or if all log losses are equal.

    References:
        Airola et al. 2011: leave-pair-out cross-validation, without bias where leave-one-out has
        one.
    """
    if len(trained) < LEAST_TRUTHS + 2:
        return None
    x, y = _scaled(features)[0][list(trained)], np.asarray(log_losses, dtype=np.float64)
    orders = []
    for i, j in combinations(range(len(y)), 2):
        if y[i] != y[j]:
            others_x, others_y = np.delete(x, [i, j], axis=0), np.delete(y, [i, j])
            weights, _ = _ridge(others_x, others_y, _choose_penalty(others_x, others_y))
            orders.append(float(np.sign((x[i] - x[j]) @ weights) * np.sign(y[i] - y[j])))
    return sum(orders) / len(orders) if orders else None


def kendall_tau(one: npt.ArrayLike, other: npt.ArrayLike) -> float | None:
    """Compute Kendall's tau-b of two rankings.

    Args:
        one: A value of each model, `[models]`.
        other: Another value of each model, `[models]`.

    Returns:
        -1 to 1, or None if all values of one ranking are equal.
    """
    from scipy.stats import kendalltau

    if len(np.unique(one)) < 2 or len(np.unique(other)) < 2:
        return None
    return float(kendalltau(one, other).statistic)


def _scaled(features: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Features with mean 0 and spread 1 over the candidates, and the spread."""
    spread = features.std(axis=0)
    scale = np.where(spread > 1e-12, spread, np.inf)
    return (features - features.mean(axis=0)) / scale, scale


def _ridge(x: FloatArray, y: FloatArray, penalty: float) -> tuple[FloatArray, FloatArray]:
    """Weights of centred features, and the inverse of their penalised Gram matrix."""
    centred = x - x.mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred + penalty * np.eye(x.shape[1]))
    return inverse @ centred.T @ (y - y.mean()), inverse


def _left_out(x: FloatArray, y: FloatArray, penalty: float) -> FloatArray:
    """Error of each model's prediction without it, `[models]` (Allen's PRESS)."""
    weights, inverse = _ridge(x, y, penalty)
    centred = x - x.mean(axis=0)
    errors = (y - y.mean()) - centred @ weights
    leverage = 1 / len(y) + np.einsum("ij,jk,ik->i", centred, inverse, centred)
    left_out: FloatArray = errors / (1 - leverage)
    return left_out


def _choose_penalty(x: FloatArray, y: FloatArray) -> float:
    return min(PENALTIES, key=lambda penalty: float(np.sum(_left_out(x, y, penalty) ** 2)))
