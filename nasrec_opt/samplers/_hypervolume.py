"""Hypervolume: the volume that points dominate, up to a reference point (Zitzler & Thiele 1998).

All losses are minimised. Exact in any number of objectives: a sorted sweep for two, the sweep of
Beume et al. 2009 over a staircase for three, and slices of one objective less beyond.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from nasrec_opt.samplers._selection import BoolArray, FloatArray, non_dominated


def hypervolume(losses: FloatArray, reference: FloatArray) -> float:
    """Volume dominated by some points, up to the reference point.

    Args:
        losses: Objective values, smaller is better, `[points, objectives]`; points that are not
            better than the reference in every objective, or not finite, add nothing.
        reference: Reference point, `[objectives]`.

    Returns:
        The volume, in the product of the objectives' units.

    Example:
        >>> hypervolume(np.array([[0.0, 0.5], [0.5, 0.0]]), np.array([1.0, 1.0]))
        0.75
    """
    reference = np.asarray(reference, dtype=np.float64)
    losses = np.asarray(losses, dtype=np.float64).reshape(-1, len(reference))
    inside: BoolArray = np.all(losses < reference, axis=1) & np.all(np.isfinite(losses), axis=1)
    losses = losses[inside]
    return _volume(losses[np.lexsort(losses.T[::-1])], reference)


def contributions(losses: FloatArray, reference: FloatArray) -> FloatArray:
    """Volume that each point dominates alone: what the hypervolume would lose without it.

    Args:
        losses: Objective values, `[points, objectives]`.
        reference: Reference point, `[objectives]`.

    Returns:
        Volume of each point, `[points]`; 0 for dominated points and for duplicates.
    """
    found = np.zeros(len(losses))
    for row, point in enumerate(losses):
        if not np.all(point < reference):
            continue
        others = np.maximum(np.delete(losses, row, axis=0), point)  # what of them it covers
        found[row] = max(np.prod(reference - point) - hypervolume(others, reference), 0.0)
    return found


def _volume(losses: FloatArray, reference: FloatArray) -> float:
    """Of points inside the reference, sorted by the first objective, then the second, and so on."""
    if not len(losses):
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - losses[0, 0])
    if len(reference) == 2:
        lowest = np.minimum.accumulate(losses[:, 1])
        before = np.concatenate(([reference[1]], lowest[:-1]))
        return float(np.sum((reference[0] - losses[:, 0]) * (before - lowest)))
    if len(reference) == 3:
        return _staircase(losses, reference)
    front = losses[non_dominated(losses)]
    return _slices(front, reference)


def _staircase(losses: FloatArray, reference: FloatArray) -> float:
    """Sweep the first objective; what is dominated in the two others is a staircase that grows."""
    far, low = float(reference[1]), float(reference[2])
    xs: list[float] = []  # ascending
    ys: list[float] = []  # descending, each the height of a step that begins at its x
    area = volume = 0.0
    before = float(losses[0, 0])
    for z, x, y in losses.tolist():
        volume += area * (z - before)
        before = z
        start = bisect_left(xs, x)
        top = ys[start - 1] if start else low  # of the staircase just before x
        here = ys[start] if start < len(xs) and xs[start] == x else top
        if here <= y:
            continue
        # From x on the new step lies at y, as far as the steps reach that it covers.
        edge, stop = x, start
        while stop < len(xs) and ys[stop] >= y:
            area += (xs[stop] - edge) * (top - y)
            edge, top = xs[stop], ys[stop]
            stop += 1
        area += ((xs[stop] if stop < len(xs) else far) - edge) * (top - y)
        xs[start:stop], ys[start:stop] = [x], [y]
    return volume + area * (float(reference[0]) - before)


def _slices(front: FloatArray, reference: FloatArray) -> float:
    """Between two values of the first objective the volume is that of the others, times the gap."""
    volume = 0.0
    ends = [*front[1:, 0].tolist(), float(reference[0])]
    for count, (start, end) in enumerate(zip(front[:, 0].tolist(), ends, strict=True), start=1):
        if end > start:
            volume += (end - start) * hypervolume(front[:count, 1:], reference[1:])
    return volume
