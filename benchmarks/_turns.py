"""Two sides that take turns with the same calls: what a call takes, and the ratio of both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from typing import Any, NamedTuple


class Compared(NamedTuple):
    """Medians of both sides, and quartiles of the ratio of the other one to ours."""

    ours: float
    other: float
    low: float
    ratio: float
    high: float


def turn(work: Callable[[Any], object], calls: Sequence[Any]) -> float:
    """Milliseconds of processor time of a call."""
    began = time.process_time()
    for call in calls:
        work(call)
    return 1e3 * (time.process_time() - began) / len(calls)


def compared(turns: Sequence[tuple[float, float]]) -> Compared:
    """Compare times of ours and of the other side, in pairs."""
    ours, other = (median(side) for side in zip(*turns, strict=True))
    return Compared(ours, other, *quantiles([others / own for own, others in turns], n=4))
