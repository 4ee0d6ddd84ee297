"""What trained models teach of the others: a ridge regression from scores to trained log losses.

A supernet's score is biased, for example toward small models. What the bias goes with is cheap to
know (MACs, depth, widths, operators), and a few trained models say how much.
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
LEAST_TRUTHS = 4  # below, a correction would be made of nothing


@dataclass(frozen=True, slots=True)
class Correction:
    """A fitted correction.

    Args:
        mean: Where the features are 0 to the regression, `[features]`.
        scale: What a unit of it is, `[features]`; infinite of a feature that all candidates share.
        weights: Log loss for each such unit, `[features]`.
        intercept: Mean trained log loss.
        covariance: Of the weights, in units of `residual` squared, `[features, features]`.
        residual: Root mean square of the leave-one-out errors, nats.
        penalty: Of the ridge; chosen by leave-one-out errors.
        truths: Number of trained models behind it.
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
            log_losses: What they came to, all after equal training.

        Returns:
            The correction, or None of fewer than four trained models.
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
        """Log losses that the models would be trained to.

        Args:
            features: As given to `fit`, `[candidates, features]`.

        Returns:
            Log losses, and standard errors of what is known of them on average, `[candidates]`
            each; a single model lies `residual` around that.
        """
        x = (features - self.mean) / self.scale
        variance = 1 / self.truths + np.einsum("ij,jk,ik->i", x, self.covariance, x)
        return self.intercept + x @ self.weights, self.residual * np.sqrt(variance)


def corrected_tau(
    features: FloatArray, trained: Sequence[int], log_losses: Sequence[float]
) -> float | None:
    """Kendall's tau of corrected scores with trained log losses, of models left out of the fit.

    Each pair of models is ordered by a correction that has seen neither, nor let them choose its
    penalty. To leave out one model at a time would not do: a correction that knows nothing predicts
    the mean of the others, which is the lower, the higher the one left out is, and so has tau -1.

    Args:
        features: As for `Correction.fit`, as for the others.
        trained: Which candidates were trained.
        log_losses: What they came to.

    Returns:
        Tau, or None of fewer than six models, or where all came to the same.

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
        -1 to 1, or None where all values of one of them are equal.
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
    return errors / (1 - leverage)


def _choose_penalty(x: FloatArray, y: FloatArray) -> float:
    return min(PENALTIES, key=lambda penalty: float(np.sum(_left_out(x, y, penalty) ** 2)))
