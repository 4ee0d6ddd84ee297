"""Comparing individuals: non-domination rank and crowding distance (Deb et al. 2002, NSGA-II).

Both agree with Optuna's own, which work on lists of trials; ours work on arrays, so that a
tournament costs less than a millisecond. All losses are minimised.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]


def is_feasible(trial: FrozenTrial) -> bool:
    """Check whether a trial violates no constraint; one without constraints is feasible.

    Args:
        trial: A finished trial.

    Returns:
        True where no constraint is positive.
    """
    return all(violation <= 0 for violation in trial.constraints.values())


def non_domination_rank(losses: FloatArray, violation: FloatArray | None = None) -> IntArray:
    """Front that each individual is in, 0 for the best.

    Feasible individuals come before all infeasible ones; among the infeasible the smaller violation
    wins and the losses do not count.

    Args:
        losses: Objective values, smaller is better, `[individuals, objectives]`.
        violation: Sum of the violated constraints' values, 0 where feasible, `[individuals]`;
            None where no constraints are set.

    Returns:
        Rank of each individual, `[individuals]`.

    Example:
        >>> non_domination_rank(np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])).tolist()
        [0, 0, 1]
    """
    if violation is None:
        return _fronts(losses)
    ranks = np.zeros(len(losses), dtype=np.int64)
    feasible = violation <= 0
    ranks[feasible] = _fronts(losses[feasible])
    first_infeasible = ranks[feasible].max(initial=-1) + 1
    _, order = np.unique(violation[~feasible], return_inverse=True)
    ranks[~feasible] = first_infeasible + order.reshape(-1)
    return ranks


def non_dominated(losses: FloatArray) -> BoolArray:
    """Mark the individuals that no other one dominates; equal ones do not dominate one another.

    Args:
        losses: Objective values, smaller is better, `[individuals, objectives]`.

    Returns:
        True for each individual of the Pareto front, `[individuals]`.
    """
    order = np.lexsort(losses.T[::-1])  # a dominator comes before what it dominates
    left = losses[order]
    kept = np.zeros(len(losses), dtype=bool)
    while len(left):
        kept[order[0]] = True
        worse = np.all(left[0] <= left, axis=1) & np.any(left[0] < left, axis=1)
        worse[0] = True  # has its place
        left, order = left[~worse], order[~worse]
    return kept


def _fronts(losses: FloatArray) -> IntArray:
    if losses.shape[1] == 1:
        return np.unique(losses[:, 0], return_inverse=True)[1].reshape(-1).astype(np.int64)
    not_worse: BoolArray = np.all(losses[:, None, :] <= losses[None, :, :], axis=2)
    return peeled(not_worse & ~not_worse.T)  # equal individuals are not worse both ways


def peeled(dominates: BoolArray) -> IntArray:
    """Peel off fronts: in turn, the individuals that no remaining one dominates.

    Args:
        dominates: Whether the first dominates the second, without cycles,
            `[individuals, individuals]`.

    Returns:
        Front of each individual, 0 for the best, `[individuals]`.
    """
    ranks = np.zeros(len(dominates), dtype=np.int64)
    dominators = dominates.sum(axis=0)
    left = np.ones(len(dominates), dtype=bool)
    rank = 0
    while left.any():
        front = left & (dominators == 0)
        ranks[front] = rank
        dominators = dominators - dominates[front].sum(axis=0)
        left &= ~front
        rank += 1
    return ranks


def crowding_distance(losses: FloatArray, ranks: IntArray) -> FloatArray:
    """How far each individual's neighbours in its own front are apart; infinite at the ends.

    Args:
        losses: Objective values, `[individuals, objectives]`.
        ranks: Front of each individual, `[individuals]`.

    Returns:
        Sum over the objectives of the gap between the two neighbours, as a share of the front's
        range, `[individuals]`.
    """
    distances = np.zeros(len(losses))
    for rank in np.unique(ranks):
        members = np.flatnonzero(ranks == rank)
        distances[members] = _front_crowding(losses[members])
    return distances


def _front_crowding(losses: FloatArray) -> FloatArray:
    distances = np.zeros(len(losses))
    order = np.arange(len(losses))
    for values in losses.T:
        order = order[np.argsort(values[order], kind="stable")]
        ordered = values[order]
        if ordered[0] == ordered[-1]:
            continue
        padded = np.concatenate(([-np.inf], ordered, [np.inf]))
        low = padded[padded > -np.inf][0]
        high = padded[padded < np.inf][-1]
        width = high - low if high > low else 1.0
        below, above = padded[:-2], padded[2:]
        with np.errstate(invalid="ignore"):  # infinity minus itself counts as no gap
            gaps = np.where(below == above, 0.0, above - below)
        distances[order] += gaps / width
    return distances


def without_outliers(losses: FloatArray) -> FloatArray:
    """Losses with outliers clipped, `[individuals, objectives]`.

    Otherwise a diverged model would dominate a fit to the losses. Losses are clipped at Tukey's
    outer fence, three times the interquartile range above the upper quartile.
    """
    lower, upper = np.quantile(losses, [0.25, 0.75], axis=0)
    fence = upper + 3.0 * (upper - lower)
    return np.where((losses > fence) & (upper > lower), fence, losses)
