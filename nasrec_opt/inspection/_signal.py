"""What a column alone says about the click: click rates of its values, shrunk to the overall one.

Rates are learned on training rows and judged on validation rows, so that a column of many values
gains nothing from knowing its training rows by heart.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt.inspection._figures import Signal

LEAST_PRIOR = 1.0  # rows: no rate is 0 or 1
FloatArray = npt.NDArray[np.floating[Any]]


def overall_rate(rows: int, clicks: int) -> float:
    """The click rate as a probability that is neither 0 nor 1."""
    return (clicks + 0.5) / (rows + 1)


def shrunk_rates(
    rows: npt.NDArray[np.integer[Any]], clicks: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.float32]:
    """Estimate the click rate of each value.

    The rates are taken to be spread around the overall one by a beta law, whose width the method of
    moments finds: values of few rows are drawn to the overall rate, the more so the less the values
    differ beyond chance.

    Args:
        rows: Training rows of each value, `[values]`.
        clicks: Clicks among them, `[values]`.

    Returns:
        Probabilities within (0, 1), `[values]`.
    """
    total = int(rows.sum())
    rate = overall_rate(total, int(clicks.sum()))
    prior = _prior_rows(rows, clicks, total, rate)
    if math.isinf(prior):
        return np.full(len(rows), rate, np.float32)
    return ((clicks + prior * rate) / (rows + prior)).astype(np.float32)


def _prior_rows(
    rows: npt.NDArray[np.integer[Any]],
    clicks: npt.NDArray[np.integer[Any]],
    total: int,
    rate: float,
) -> float:
    """How many rows of the overall rate each value is given."""
    is_there = rows > 0
    counts, found = rows[is_there].astype(np.float64), clicks[is_there].astype(np.float64)
    spread = float(((found - rate * counts) ** 2 / counts).sum())
    excess = spread - (len(counts) - 1) * rate * (1 - rate)
    width = total - float((counts**2).sum()) / max(total, 1)
    if excess <= 0 or width <= 0:
        return math.inf
    return max(rate * (1 - rate) * width / excess - 1, LEAST_PRIOR)


class Judge:
    """Sums up the log loss of a column's rates on validation rows.

    Args:
        rate: The overall click rate of the training rows.
    """

    def __init__(self, rate: float) -> None:
        self._logs = -math.log(1 - rate), -math.log(rate)
        self._rows = 0.0
        self._loss = self._constant = self._squares = 0.0

    def add(
        self, probabilities: FloatArray, labels: FloatArray, times: FloatArray | None = None
    ) -> None:
        """Add rows.

        Args:
            probabilities: Of a click, `[rows]`.
            labels: 0 or 1, `[rows]`.
            times: How many rows each stands for, `[rows]`, or None for one.
        """
        likely = np.abs(probabilities + (labels - 1))  # p of a click, 1 - p otherwise
        loss = -np.log(np.maximum(likely, 1e-7))
        constant = self._logs[0] + labels * (self._logs[1] - self._logs[0])
        gain = constant - loss
        weights = np.ones_like(loss) if times is None else times
        self._rows += float(weights.sum())
        self._loss += float(loss @ weights)
        self._constant += float(constant @ weights)
        self._squares += float(gain**2 @ weights)

    def finish(self) -> Signal:
        """What the column says."""
        if not self._rows:
            return Signal(share=0.0, standard_error=0.0, log_loss=0.0, constant_log_loss=0.0)
        loss, constant = self._loss / self._rows, self._constant / self._rows
        variance = max(self._squares / self._rows - (constant - loss) ** 2, 0.0)
        return Signal(
            share=1 - loss / constant,
            standard_error=math.sqrt(variance / self._rows) / constant,
            log_loss=loss,
            constant_log_loss=constant,
        )
