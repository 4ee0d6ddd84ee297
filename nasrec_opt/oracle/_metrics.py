"""Log loss, paired differences and AUC, exactly, from logits."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nasrec_opt.oracle._protocol import Difference, Evaluation

FloatArray = npt.NDArray[np.float64]


def score(logits: npt.ArrayLike, labels: npt.ArrayLike) -> Evaluation:
    """Compute the log loss with its standard error, and the AUC.

    Args:
        logits: Log odds of a click, `[rows]`.
        labels: 0 or 1, `[rows]`.

    Returns:
        Log loss in nats, and AUC, which is None if all labels are equal.
    """
    losses = log_losses(logits, labels)
    return Evaluation(float(losses.mean()), auc(logits, labels), _mean_error(losses), len(losses))


def difference(losses: FloatArray, others: FloatArray) -> Difference:
    """Compare the log losses of two models on the same rows.

    Args:
        losses: Log loss of each row, nats, `[rows]`.
        others: Log loss of the other model on the same rows, nats, `[rows]`.

    Returns:
        The mean paired difference with its standard error.

    Example:
        >>> difference(log_losses([2.0, -1.0], [1, 0]), log_losses([0.0, 0.0], [1, 0])).log_loss
        -0.473...
    """
    paired = losses - others
    return Difference(float(paired.mean()), _mean_error(paired), len(paired))


def _mean_error(values: FloatArray) -> float | None:
    """Standard error of the mean, or None for a single value."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None


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


def auc(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float | None:
    """Area under the ROC curve.

    The share of (positive, negative) pairs in the right order; a tie counts half.

    Args:
        scores: Any increasing function of the probability, `[rows]`.
        labels: 0 or 1, `[rows]`.

    Returns:
        0 to 1, or None if all labels are equal, where it is not defined.

    References:
        Hanley and McNeil 1982: the area is the rank sum statistic of Mann and Whitney.
    """
    given = np.asarray(scores)
    order = np.argsort(given, kind="stable")
    ordered = given[order]
    positive = np.asarray(labels)[order] > 0.5
    # For each run of equal scores: positives and negatives in it, and negatives below it.
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    positives = np.add.reduceat(positive, starts, dtype=np.int64)
    negatives = np.add.reduceat(~positive, starts, dtype=np.int64)
    below = np.cumsum(negatives) - negatives
    pairs = int(positives.sum()) * int(negatives.sum())
    if not pairs:
        return None
    return int((positives * (2 * below + negatives)).sum()) / (2 * pairs)
