"""Which candidates of a pool to evaluate next: observations in, positions out.

This module, in NumPy alone, removes observations that a model cannot learn from. The model is in
`_gaussian_process`, which is imported only when it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.options import PoolBayesConfig
from nasrec_opt.samplers._selection import (
    BoolArray,
    FloatArray,
    IntArray,
    crowding_distance,
    non_domination_rank,
    without_outliers,
)

_RECENT_SHARE = 0.25  # share of the points learnt from that are the latest


def require_botorch() -> None:
    """Refuse to start without BoTorch.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import botorch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("BoTorch", "bayes") from error


def select_batch(
    candidates: FloatArray,
    observed: FloatArray,
    losses: FloatArray,
    constraints: FloatArray | None = None,
    *,
    batch_size: int,
    pending: FloatArray | None = None,
    max_observed: int = PoolBayesConfig.max_observed,
    seed: int,
) -> list[int]:
    """Choose the candidates that together promise the largest hypervolume, or the best value.

    Observations with a value that is not finite are left out, outlying losses are clipped, and
    objectives that do not vary do not count. The reference point of the hypervolume lies a tenth of
    the front's range beyond its worst values. Of more than `max_observed`
    observations, three quarters are the best by non-domination rank and crowding distance, and one
    quarter the latest of the others.

    Args:
        candidates: The pool, `[candidates, dimensions]`.
        observed: Points that were evaluated, oldest first, `[observed, dimensions]`.
        losses: Their objective values, smaller is better, `[observed, objectives]`.
        constraints: Their constraint values, satisfied where not positive,
            `[observed, constraints]`.
        batch_size: How many to choose.
        pending: Points that are being evaluated, `[pending, dimensions]`; candidates among them are
            not chosen.
        max_observed: Maximum number of points to learn from; the time grows with its cube.
        seed: Seed of all draws; the global random state of torch stays as it is.

    Returns:
        Positions in `candidates`, the best first; fewer if the pool is smaller.

    Raises:
        MissingExtraError: BoTorch is not installed.
        StudyError: The arrays do not fit each other, or `batch_size` or `max_observed` is not
            positive.

    Example:
        >>> observed = np.linspace(0.0, 1.0, 6)[:, None]
        >>> losses = (observed - 0.7) ** 2
        >>> select_batch(np.array([[0.1], [0.68], [0.3]]), observed, losses, batch_size=1, seed=0)
        [1]
    """
    require_botorch()
    if constraints is None:
        constraints = np.zeros((len(losses), 0))
    if pending is None:
        pending = np.zeros((0, candidates.shape[1]))
    _check(candidates, observed, losses, constraints, pending)
    for name, count in (("batch_size", batch_size), ("max_observed", max_observed)):
        if count < 1:
            raise StudyError(f"{name}: expected a positive integer, got {count!r}")
    problem = _Problem.of(observed, losses, constraints, max_observed)
    excluded = np.isin(_row_keys(candidates), _row_keys(pending))
    if problem is None:  # nothing to learn from: keep the order of the pool
        return [int(i) for i in np.flatnonzero(~excluded)[:batch_size]]
    return _select(candidates, problem, pending, excluded, batch_size, seed)


@dataclass(frozen=True, slots=True)
class _Problem:
    """What the model learns and what counts as better.

    Args:
        points: `[points, dimensions]`.
        outcomes: Negated objectives, then constraints, with mean 0 and standard deviation 1,
            `[points, objectives + constraints]`.
        reference: Reference point, as negated objectives, `[objectives]`.
        width: Range of the front in each objective, or a standard deviation, `[objectives]`.
        limits: Largest value allowed of each constraint, as scaled in `outcomes`, `[constraints]`.
    """

    points: FloatArray
    outcomes: FloatArray
    reference: FloatArray
    width: FloatArray
    limits: FloatArray

    @classmethod
    def of(
        cls, points: FloatArray, losses: FloatArray, constraints: FloatArray, max_observed: int
    ) -> _Problem | None:
        """The problem, or None with fewer than two points, or if no objective varies."""
        finite = np.isfinite(losses).all(axis=1) & np.isfinite(constraints).all(axis=1)
        points, losses, constraints = points[finite], losses[finite], constraints[finite]
        if len(points) < 2:
            return None
        violation = np.maximum(constraints, 0.0).sum(axis=1)
        kept = _learnt_from(losses, violation, max_observed)
        points, losses, constraints = points[kept], losses[kept], constraints[kept]
        losses = losses[:, np.ptp(losses, axis=0) > 0]
        constraints = constraints[:, np.ptp(constraints, axis=0) > 0]
        if losses.shape[1] == 0:
            return None
        goals, _, _ = _standardize(-without_outliers(losses))
        limited, mean, deviation = _standardize(constraints)
        front = goals[non_domination_rank(-goals, violation[kept]) == 0]
        # A narrow front, or one of a single point, has to grow by more than its own tenth.
        width = np.maximum(np.ptp(front, axis=0), 1.0)
        return cls(
            points=points,
            outcomes=np.hstack([goals, limited]),
            reference=front.min(axis=0) - 0.1 * width,  # as Ishibuchi et al. 2011 advise
            width=width,
            limits=-mean / deviation,
        )


def _learnt_from(losses: FloatArray, violation: FloatArray, most: int) -> IntArray:
    """Positions of the points to learn from, oldest first."""
    if len(losses) <= most:
        return np.arange(len(losses))
    ranks = non_domination_rank(losses, violation)
    best_first = np.lexsort((-crowding_distance(losses, ranks), ranks))
    num_recent = int(most * _RECENT_SHARE)
    best, others = np.split(best_first, [most - num_recent])
    return np.sort(np.concatenate([best, np.sort(others)[len(others) - num_recent :]]))


def _standardize(values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values with mean 0 and standard deviation 1, and the original ones, by column."""
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    deviation = np.where(deviation > 0, deviation, 1.0)
    return (values - mean) / deviation, mean, deviation


def _select(
    candidates: FloatArray,
    problem: _Problem,
    pending: FloatArray,
    excluded: BoolArray,
    batch_size: int,
    seed: int,
) -> list[int]:
    import torch

    from nasrec_opt.bayes import _gaussian_process as gaussian_process

    points = torch.from_numpy(problem.points)
    asked = torch.from_numpy(np.concatenate([candidates, pending, problem.points]))
    num_objectives = len(problem.reference)
    with gaussian_process.forked_random_state(seed):
        model = gaussian_process.fit(points, torch.from_numpy(problem.outcomes))
        draws = gaussian_process.draw(model, asked, seed)
        gains = draws[..., :num_objectives] - torch.from_numpy(problem.reference)
        excess = draws[..., num_objectives:] - torch.from_numpy(problem.limits)
        return gaussian_process.choose(
            gains / torch.from_numpy(problem.width),
            excess.clamp_min(0.0).sum(dim=2),
            num_candidates=len(candidates),
            count=batch_size,
            excluded=torch.from_numpy(excluded),
        )


def _row_keys(points: FloatArray) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(points)]


def _check(
    candidates: FloatArray,
    observed: FloatArray,
    losses: FloatArray,
    constraints: FloatArray,
    pending: FloatArray,
) -> None:
    """Refuse arrays that do not fit each other."""
    arrays = {"candidates": candidates, "observed": observed, "losses": losses}
    arrays |= {"constraints": constraints, "pending": pending}
    for name, values in arrays.items():
        if values.ndim != 2:
            raise StudyError(f"{name}: expected two axes, got {values.ndim}")
    for name in ("observed", "pending"):
        if arrays[name].shape[1] != candidates.shape[1]:
            raise StudyError(
                f"{name}: expected the {candidates.shape[1]} dimensions of the candidates, got "
                f"{arrays[name].shape[1]}"
            )
    for name in ("losses", "constraints"):
        if len(arrays[name]) != len(observed):
            raise StudyError(
                f"{name}: expected a row for each of {len(observed)} observed points, got "
                f"{len(arrays[name])}"
            )
