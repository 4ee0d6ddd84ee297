"""Log loss, paired differences and AUC, exactly, from logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt._weights import mean_of, standard_error
from nasrec_opt.oracle._protocol import Difference, Evaluation

FloatArray = npt.NDArray[np.float64]


def score(
    logits: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> Evaluation:
    """Compute the log loss with its standard error, and the AUC.

    Args:
        logits: Log odds of a click, `[rows]`.
        labels: 0 or 1, `[rows]`.
        weights: Of the rows, `[rows]`, or None where each counts once.

    Returns:
        Log loss in nats, and AUC, which is None if all labels are equal.

    Raises:
        DataError: No weight is above 0.
    """
    losses = log_losses(logits, labels)
    area, error = auc(logits, labels, weights), standard_error(losses, weights)
    return Evaluation(mean_of(losses, weights), area, error, len(losses))


def difference(
    losses: FloatArray, others: FloatArray, weights: npt.ArrayLike | None = None
) -> Difference:
    """Compare the log losses of two models on the same rows.

    Args:
        losses: Log loss of each row, nats, `[rows]`.
        others: Log loss of the other model on the same rows, nats, `[rows]`.
        weights: Of the rows, `[rows]`, or None where each counts once.

    Returns:
        The mean paired difference with its standard error.

    Raises:
        DataError: No weight is above 0.

    Example:
        >>> difference(log_losses([2.0, -1.0], [1, 0]), log_losses([0.0, 0.0], [1, 0])).log_loss
        -0.473...
    """
    paired = losses - others
    return Difference(mean_of(paired, weights), standard_error(paired, weights), len(paired))


def log_losses(logits: npt.ArrayLike, labels: npt.ArrayLike) -> FloatArray:
    """Compute the log loss of each row without forming a probability that could round to 0 or 1.

    Args:
        logits: Log odds of a click, `[rows]`.
        labels: 0 or 1, `[rows]`.

    Returns:
        Log losses in nats, `[rows]`.
    """
    z, y = np.asarray(logits, np.float64), np.asarray(labels, np.float64)
    return np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))


def auc(
    scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float | None:
    """Area under the ROC curve.

    The share of (positive, negative) pairs in the right order; a tie counts half, and a pair as
    often as the product of its weights.

    Args:
        scores: Any increasing function of the probability, `[rows]`.
        labels: 0 or 1, `[rows]`.
        weights: Of the rows, `[rows]`, or None where each counts once.

    Returns:
        0 to 1, or None if all labels of a weight above 0 are equal, where it is not defined.

    References:
        Hanley and McNeil 1982: the area is the rank sum statistic of Mann and Whitney.
    """
    given = np.asarray(scores)
    order = np.argsort(given, kind="stable")
    ordered = given[order]
    positive = np.asarray(labels)[order] > 0.5
    classes: list[npt.NDArray[Any]] = [positive, ~positive]
    if weights is not None:
        classes = [is_one * np.asarray(weights, np.float64)[order] for is_one in classes]
    # For each run of equal scores: positives and negatives in it, and negatives below it.
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    dtype = np.int64 if weights is None else np.float64
    positives, negatives = (np.add.reduceat(counts, starts, dtype=dtype) for counts in classes)
    below = np.cumsum(negatives) - negatives
    pairs = positives.sum().item() * negatives.sum().item()  # exact: integers of Python
    if not pairs:
        return None
    return float((positives * (2 * below + negatives)).sum().item() / (2 * pairs))
