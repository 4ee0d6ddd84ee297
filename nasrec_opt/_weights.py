"""Rows with weights: what a weight means, and the statistics that it enters.

A row of weight w counts as w rows with the same values, in what training lowers, in log loss, AUC
and click rate. None of these changes if all weights are multiplied by one number. Training divides
weights by their mean over the training rows, so that learning rates keep their meaning.

Standard errors take rows as drawn at random, not the shows that a weight may count: shows that a
log counts in one row share user, ad and place, and are no independent draws. A weighted mean is
then a ratio of two means over rows, and its standard error is that of a ratio estimator:
sqrt(n / (n - 1) * sum(w^2 (x - mean)^2)) / sum(w) for n rows of a weight above 0. With equal
weights it is the standard error of a mean.

References:
    Cochran 1977, Sampling Techniques, chapter 6: ratio estimators.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt.errors import DataError

FloatArray = npt.NDArray[np.float64]


def mean_of(values: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Mean over rows.

    Args:
        values: `[rows]`.
        weights: Of the rows, `[rows]`, or None where each counts once.

    Raises:
        DataError: No weight is above 0.
    """
    if weights is None:
        return float(np.asarray(values).mean())
    given = np.asarray(weights, np.float64)
    return float(given @ np.asarray(values, np.float64) / _total(given))


def influences(values: FloatArray, weights: npt.ArrayLike) -> FloatArray:
    """Values whose plain (co)variances are those of weighted means: rows of weight 0 are left out.

    Args:
        values: `[rows]`, or several rows of them, `[means, rows]`.
        weights: `[rows]`.

    Raises:
        DataError: No weight is above 0.
    """
    given = np.asarray(weights, np.float64)
    total = _total(given)
    mean = values @ given / total  # [means]
    counted = given > 0
    scaled = given[counted] * (np.count_nonzero(counted) / total)
    return np.asarray((values[..., counted] - mean[..., None]) * scaled)


def standard_error(values: FloatArray, weights: npt.ArrayLike | None = None) -> float | None:
    """Standard error of a mean over rows, or None for a single row.

    Args:
        values: `[rows]`.
        weights: Of the rows, `[rows]`, or None where each counts once.

    Raises:
        DataError: No weight is above 0.
    """
    if weights is not None:
        values = influences(values, weights)
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None


def mean_weight(weights: npt.NDArray[np.floating[Any]]) -> float:
    """Mean weight of rows, without a copy of them.

    Raises:
        DataError: No weight is above 0.
    """
    return _total(weights) / len(weights)


def unit_of(mean: float) -> float:
    """Weight of one row where a number of rows is absolute, as in a prior or a penalty.

    Args:
        mean: Mean weight of the training rows.

    Returns:
        The power of ten nearest to it: 1 where weights count a few shows, so that these weigh as
        much as rows of their own.
    """
    return float(10.0 ** round(math.log10(mean)))


def relative_to(mean: float | None, batches: Iterable[Any]) -> Iterable[Any]:
    """Batches whose weights are divided by the mean weight of the training rows.

    Args:
        mean: The mean weight, or None where rows have no weights: batches stay as they are.
        batches: Named tuples with `weights`.
    """
    if mean is None:
        return batches
    return (batch._replace(weights=batch.weights / np.float32(mean)) for batch in batches)


def refuse_weights(dataset: Any, reader: str) -> None:
    """Refuse a dataset whose rows have weights, which would be ignored.

    Args:
        dataset: The dataset.
        reader: What would ignore them.

    Raises:
        DataError: Rows have weights.
    """
    if getattr(dataset, "is_weighted", False):
        raise DataError(
            f"{dataset.path}: expected rows without weights, which {reader} does not read, got "
            'weighted ones; prepare the log without weight, or with count = "impression"'
        )


def _total(weights: npt.NDArray[np.floating[Any]]) -> float:
    total = float(weights.sum(dtype=np.float64))
    if not 0 < total < math.inf:
        raise DataError(
            f"weights: expected some above 0 among {len(weights):,} rows, got a total of {total:g}"
        )
    return total
