"""Comparison of two models on the same rows: by how much one is better, with its error."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from nasrec_opt.retrain._metrics import log_losses


@dataclass(frozen=True, slots=True)
class Comparison:
    """A paired difference: losses of two models on one row go together.

    Args:
        difference: Mean over the rows of the model's log loss minus the other's, nats; below 0, the
            model is better.
        standard_error: Standard error of that mean, or None for a single row.
        rows: Number of rows that both were scored on.
    """

    difference: float
    standard_error: float | None
    rows: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Convert to JSON values.

        Returns:
            The fields by name.
        """
        return asdict(self)


def compare(
    logits: npt.ArrayLike, other_logits: npt.ArrayLike, labels: npt.ArrayLike
) -> Comparison:
    """Compare a model with another one on the same rows.

    Args:
        logits: Log odds of the model, `[rows]`.
        other_logits: Log odds of the other one, on the same rows, `[rows]`.
        labels: 0 or 1, `[rows]`.

    Returns:
        The mean paired difference of the log losses in nats, below 0 if the model is better, with
        its standard error.

    Example:
        >>> compare([2.0, -2.0, 1.0], [0.0, 0.0, 0.0], [1, 0, 1]).difference < 0
        True
    """
    paired = log_losses(logits, labels) - log_losses(other_logits, labels)
    rows = len(paired)
    error = float(np.std(paired, ddof=1)) / math.sqrt(rows) if rows > 1 else None
    return Comparison(float(paired.mean()), error, rows)
