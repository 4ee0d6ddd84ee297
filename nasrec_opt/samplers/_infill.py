"""The infill criterion: the candidates that together are expected to improve the front most.

Expected hypervolume improvement of a batch (Emmerich 2005), over outcomes drawn from a model.
"""

from __future__ import annotations

import numpy as np

from nasrec_opt.samplers._selection import (
    FloatArray,
    IntArray,
    non_dominated,
    without_outliers,
)
from nasrec_opt.samplers._tournament import MARGIN

_DIRECTIONS = 128  # along which the hypervolume is integrated


def choose(
    expected: FloatArray,
    violation: FloatArray,
    losses: FloatArray,
    observed_violation: FloatArray,
    *,
    count: int,
    rng: np.random.Generator,
) -> IntArray:
    """Order candidates: first those that together add most hypervolume to the feasible front.

    The hypervolume is a mean over directions of how far the front reaches (Deng and Zhang 2019),
    which costs the same in any number of objectives. Its reference point lies beyond the front's
    worst values by a tenth of the front's range, or by a standard deviation of all that was
    observed where that is more: a narrow front can then grow in length. Candidates that violate a
    constraint in more than half of the draws come last, by their violation, as do all while nothing
    feasible is known.

    Args:
        expected: Losses that the candidates could have, smaller is better, `[draws, candidates,
            objectives]`.
        violation: Their violation, 0 where feasible, `[draws, candidates]`.
        losses: What was observed, `[observed, objectives]`.
        observed_violation: Its violation, `[observed]`.
        count: How many are chosen as a group; the rest follow by their own worth.
        rng: Draws the directions.

    Returns:
        Positions of all candidates, best first, `[candidates]`.
    """
    typical = np.median(violation, axis=0)
    feasible = losses[observed_violation <= 0]
    if not len(feasible):
        return np.argsort(violation.mean(axis=0), kind="stable")
    front = feasible[non_dominated(feasible)]
    worst = front.max(axis=0)
    spread = np.maximum(without_outliers(losses).std(axis=0), np.finfo(np.float64).tiny)
    reference = worst + np.maximum(MARGIN * np.ptp(front, axis=0), spread)
    # Where an objective does not vary at all, it does not matter how far beyond the front it lies.
    reference = np.where(reference > worst, reference, worst + np.maximum(np.abs(worst), 1.0))
    width = reference - front.min(axis=0)
    directions = np.abs(rng.normal(size=(_DIRECTIONS, losses.shape[1]))) + 1e-9
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    def reach(values: FloatArray) -> FloatArray:  # [..., objectives] -> [..., directions]
        scaled = (reference - values) / width
        found = scaled[..., 0, None] / directions[:, 0]
        for place in range(1, losses.shape[1]):
            np.minimum(found, scaled[..., place, None] / directions[:, place], out=found)
        return np.asarray(found)

    reached = reach(expected)
    worth = reached.mean(axis=(0, 2))  # tells apart what adds nothing
    volume = np.maximum(reached, 0.0) ** losses.shape[1] * (violation <= 0)[..., None]
    best = (np.maximum(reach(front), 0.0) ** losses.shape[1]).max(axis=0)
    left = typical <= 0
    order: list[int] = []
    while left.any() and len(order) < count:
        gain = np.maximum(volume - best[..., None, :], 0.0).sum(axis=(0, 2))
        place = int(np.lexsort((-worth, -gain, ~left))[0])
        order.append(place)
        left[place] = False
        best = np.maximum(best, volume[:, place])  # of each draw from now on
    rest = np.setdiff1d(np.arange(expected.shape[1]), order)
    return np.array([*order, *rest[np.lexsort((-worth[rest], typical[rest]))]], dtype=np.int64)
