"""Promotion: accurate models, and a model of the Pareto front in every third place."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from nasrec_opt.samplers import crowding_distance, peeled

FloatArray: TypeAlias = npt.NDArray[np.float64]


def promote(
    log_losses: FloatArray,
    costs: FloatArray,
    count: int,
    *,
    errors: FloatArray | None = None,
    eligible: Collection[int] | None = None,
    place: int = 0,
    promises: FloatArray | None = None,
    work: FloatArray | None = None,
) -> list[int]:
    """Choose the models that continue: in turn two accurate ones and one of the Pareto front.

    The front's order is that of NSGA-II, with doubt: one model dominates another if it costs no
    more in any objective, and its log loss is lower by at least the error of their difference.
    Among models of a rank the less crowded comes first, then the more accurate.

    Args:
        log_losses: Of each model, `[models]`; a model whose value is not finite never continues.
        costs: Their other objectives, minimised, `[models, objectives]`. Without any, the most
            accurate models continue.
        count: Maximum number of models that continue.
        errors: Errors of the differences of log losses, `[models, models]`; None for 0.
        eligible: Which models may continue; None for all. The others only affect the ranks.
        place: Number of the first place, from 0: every third one, from 2 on, is the front's.
        promises: Expected improvement of each model, `[models]`; if given, it replaces log losses
            as the measure of accuracy.
        work: Cost of continuing each model, `[models]`; None means equal costs. Promises and
            crowding are divided by its cube root: a model of eight times the work must promise
            twice as much.

    Returns:
        Numbers of the models, in the order of the places.

    Example:
        >>> promote(np.array([0.5, 0.6, 0.7]), np.array([[9.0], [5.0], [1.0]]), 2)
        [0, 1]
    """
    finite = np.flatnonzero(np.isfinite(log_losses))
    price = np.ones(len(log_losses)) if work is None else np.cbrt(work)
    keys = log_losses if promises is None else -promises / price
    accurate = [int(i) for i in finite[np.lexsort((log_losses[finite], keys[finite]))]]
    orders = [accurate, accurate]
    if costs.shape[1]:
        margin = np.zeros((len(log_losses),) * 2) if errors is None else errors
        orders[1] = _along_front(log_losses, costs, margin, price, finite)
    if eligible is not None:
        orders = [[i for i in order if i in eligible] for order in orders]
    chosen: list[int] = []
    while len(chosen) < min(count, len(orders[0])):
        order = orders[(place + len(chosen)) % 3 // 2]
        chosen.append(next(i for i in order if i not in chosen))
    return chosen


def _along_front(
    log_losses: FloatArray,
    costs: FloatArray,
    margin: FloatArray,
    price: FloatArray,
    finite: npt.NDArray[np.int64],
) -> list[int]:
    """The finite models by rank, then by crowding relative to cost, then by log loss."""
    loss, cost, margin = log_losses[finite], costs[finite], margin[np.ix_(finite, finite)]
    costs_no_more = np.all(cost[:, None, :] <= cost[None, :, :], axis=2)
    is_lower = loss[:, None] + margin <= loss[None, :]
    is_equal = (loss[:, None] == loss[None, :]) & np.all(cost[:, None] == cost[None, :], axis=2)
    ranks = peeled(costs_no_more & is_lower & ~is_equal)
    crowding = crowding_distance(np.column_stack([loss, cost]), ranks)
    # An end of the front is worth as much as a model between two ends, not infinitely much.
    crowding = np.minimum(crowding, 1 + cost.shape[1]) / price[finite]
    return [int(i) for i in finite[np.lexsort((loss, -crowding, ranks))]]


def expected_improvement(means: FloatArray, errors: FloatArray, best: float) -> FloatArray:
    """Compute how far normal values can be expected to fall below the best one.

    Args:
        means: Mean of each value, `[models]`; for one that is not finite the answer is 0.
        errors: Standard deviation of each value, `[models]`.
        best: The value to improve on.

    Returns:
        Expected improvements, 0 or more, `[models]`.
    """
    is_known = np.isfinite(means)
    gain = np.where(is_known, best - means, 0.0)
    has_error = is_known & (errors > 0)
    error = np.where(has_error, errors, 1.0)
    z = gain / error
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return np.where(has_error, error * (z * ndtr(z) + density), np.maximum(gain, 0.0))
