"""Comparison of two models on the same rows: by how much one is better, with its error."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy.typing as npt

from nasrec_opt._weights import mean_of, standard_error
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
    logits: npt.ArrayLike,
    other_logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
) -> Comparison:
    """Compare a model with another one on the same rows.

    Args:
        logits: Log odds of the model, `[rows]`.
        other_logits: Log odds of the other one, on the same rows, `[rows]`.
        labels: 0 or 1, `[rows]`.
        weights: Of the rows, `[rows]`, or None where each counts once.

    Returns:
        The mean paired difference of the log losses in nats, below 0 if the model is better, with
        its standard error.

    Raises:
        DataError: No weight is above 0.

    Example:
        >>> compare([2.0, -2.0, 1.0], [0.0, 0.0, 0.0], [1, 0, 1]).difference < 0
        True
    """
    paired = log_losses(logits, labels) - log_losses(other_logits, labels)
    return Comparison(mean_of(paired, weights), standard_error(paired, weights), len(paired))
