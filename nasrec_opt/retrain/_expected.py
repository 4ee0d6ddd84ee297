"""The log loss to expect of a model with another seed, on other rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from nasrec_opt._weights import influences, mean_of

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Expected:
    """A mean log loss with its 95 % interval.

    Args:
        mean: Mean over rows and seeds, nats.
        low: Lower end of the interval, nats.
        high: Upper end of the interval, nats.
        standard_error: Standard error of the mean, from the choice of rows and, with several seeds,
            of seeds.
        seeds: Number of models, which differ only in their seeds.
        rows: Number of rows.
    """

    mean: float
    low: float
    high: float
    standard_error: float
    seeds: int
    rows: int

    def to_dict(self) -> dict[str, float | int]:
        """Convert to JSON values.

        Returns:
            The fields by name.
        """
        return asdict(self)


def expected_log_loss(
    losses: Sequence[npt.ArrayLike], weights: npt.ArrayLike | None = None
) -> Expected:
    """Estimate the log loss to expect of a model with another seed on other rows.

    Args:
        losses: Log loss of each row, nats, one model per seed, `[seeds, rows]`; two rows or more.
        weights: Of the rows, `[rows]`, or None where each counts once.

    Returns:
        The mean with Student's interval; the degrees of freedom are those of Welch and
        Satterthwaite. With a single seed the interval covers only the rows.

    Raises:
        DataError: No weight is above 0.

    Example:
        >>> expected_log_loss([[0.1, 0.3], [0.3, 0.5]]).mean
        0.3
    """
    from scipy.stats import t

    values = np.asarray(losses, dtype=np.float64)
    seeds, rows = values.shape
    of_rows = values.mean(axis=0)
    mean, of_seeds = float(values.mean()), values.mean(axis=1)
    if weights is not None:
        mean, of_seeds = mean_of(of_rows, weights), np.array([mean_of(v, weights) for v in values])
        of_rows = influences(of_rows, weights)
    parts = [(float(of_rows.var(ddof=1)) / len(of_rows), len(of_rows) - 1)]
    if seeds > 1:
        parts.append((float(of_seeds.var(ddof=1)) / seeds, seeds - 1))
    variance = sum(part for part, _ in parts)
    if variance == 0.0:
        return Expected(mean, mean, mean, 0.0, seeds, rows)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    error = math.sqrt(variance)
    reach = float(t.ppf((1 + LEVEL) / 2, freedom)) * error
    return Expected(mean, mean - reach, mean + reach, error, seeds, rows)
