"""Expected outcomes of candidates, given the trials before a round.

There is a Gaussian process for each objective and constraint. The relevance of each dimension is
learnt again whenever a quarter more trials have finished, from the trials up to then. So it depends
only on the study, and costs next to nothing per trial. The processes are conditioned on all trials
before the round, or, if there are many, on the best and the latest of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from nasrec_opt.samplers._breeding import Breeder, Distributions
from nasrec_opt.samplers._population import Individual, StudyKey, constraint_values
from nasrec_opt.samplers._selection import (
    BoolArray,
    FloatArray,
    IntArray,
    non_dominated,
    without_outliers,
)
from nasrec_opt.samplers._surrogate import Kernel, Process, fit_kernel

_MOST = 256  # trials that condition a process: its cost grows with their cube
_DRAWS = 32  # draws of possible outcomes of the candidates
_FIRST_FIT = 8  # trials


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Trials whose outcomes are all finite, in the order of their birth.

    Args:
        identities: `[trials]`.
        losses: Objectives, smaller is better, `[trials, objectives]`.
        limits: Constraint values, above 0 where violated, `[trials, constraints]`.
    """

    identities: list[Hashable]
    losses: FloatArray
    limits: FloatArray

    @classmethod
    def of(cls, individuals: list[Individual]) -> Observed:
        """The individuals whose values are all finite."""
        losses = np.array([individual.losses for individual in individuals], dtype=np.float64)
        limits = constraint_values(individuals)
        finite = np.all(np.isfinite(np.hstack([losses, limits])), axis=1)
        kept = np.flatnonzero(finite)
        return cls([individuals[place].identity for place in kept], losses[kept], limits[kept])

    @property
    def violation(self) -> FloatArray:
        """Sum of the violated constraints' values, `[trials]`."""
        return np.asarray(np.maximum(self.limits, 0.0).sum(axis=1))

    def telling(self, most: int) -> IntArray:
        """Places of at most that many trials, ascending: half of them the best, then the latest."""
        count = len(self.identities)
        if count <= most:
            return np.arange(count)
        if self.losses.shape[1] == 1 or not (self.violation <= 0).any():
            best = np.lexsort((self.losses[:, 0], self.violation))
        else:
            feasible = np.flatnonzero(self.violation <= 0)
            best = feasible[non_dominated(self.losses[feasible])][::-1]
        best = best[: most // 2]
        latest = np.setdiff1d(np.arange(count), best)[len(best) - most :]
        return np.sort(np.concatenate((best, latest)))


class Expectation:
    """Draws possible outcomes of candidates; only a cache is kept between calls.

    Args:
        breeder: Makes points of identities.
    """

    def __init__(self, breeder: Breeder) -> None:
        self._breeder = breeder
        self._points = _Points(breeder)
        self._kernels: tuple[object, list[Kernel]] | None = None

    def draw(
        self,
        study: StudyKey,
        before: list[Individual],
        observed: Observed,
        candidates: Sequence[Hashable],
        space: Distributions,
        rng: np.random.Generator,
    ) -> tuple[FloatArray, FloatArray]:
        """Losses and constraint values, `[draws, candidates, objectives or constraints]` each.

        Args:
            study: Has the trials.
            before: The trials before the round, oldest first.
            observed: The trials of `before` to learn from.
            candidates: Their identities.
            space: Distributions of all parameters.
            rng: Source of the draws.
        """
        asked = self._breeder.points(candidates, space)
        learnt = observed.telling(_MOST)
        points = self._points.of(study, [observed.identities[i] for i in learnt], space)
        outcomes, is_scale = _on_scales(observed)
        kernels = self._kernels_of(study, before, observed, space)
        half = rng.normal(size=(outcomes.shape[1], _DRAWS // 2, len(candidates)))
        normal = np.concatenate((half, -half), axis=1)  # in pairs, whose mean is what is expected
        found = np.empty((_DRAWS, len(candidates), outcomes.shape[1]))
        for place, outcome in enumerate(outcomes[learnt].T):
            mean, deviation = float(outcome.mean()), float(outcome.std())
            if not deviation > 0:
                found[..., place] = mean
                continue
            process = Process(kernels[place], points, (outcome - mean) / deviation)
            found[..., place] = mean + deviation * process.draw(asked, normal[place])
        found = np.where(is_scale, np.exp(np.where(is_scale, found, 0.0)), found)
        split = observed.losses.shape[1]
        return found[..., :split], found[..., split:]

    def _kernels_of(
        self, study: StudyKey, before: list[Individual], observed: Observed, space: Distributions
    ) -> list[Kernel]:
        """A kernel for each outcome, from the trials up to the last time that they were fitted."""
        then = before[: _last_fit(len(before))]
        width = observed.losses.shape[1] + observed.limits.shape[1]
        # A trial that another worker finishes late was born early, and changes who is youngest.
        key = (study, len(then), then[-1].number, width, tuple(space.items()))
        if self._kernels is not None and self._kernels[0] == key:
            return self._kernels[1]
        known = Observed.of(then)
        if len(known.identities) < 2 or known.limits.shape[1] < observed.limits.shape[1]:
            return self._fit(study, observed, space)  # constraints came later; not kept
        self._kernels = key, self._fit(study, known, space)
        return self._kernels[1]

    def _fit(self, study: StudyKey, known: Observed, space: Distributions) -> list[Kernel]:
        learnt = known.telling(_MOST)
        points = self._points.of(study, [known.identities[i] for i in learnt], space)
        outcomes = _on_scales(known)[0][learnt]
        return [fit_kernel(points, outcome) for outcome in outcomes.T]


def _last_fit(count: int) -> int:
    """Number of trials at which kernels were fitted last, a quarter more each time."""
    found = _FIRST_FIT
    while (following := found + max(found // 4, 1)) <= count:
        found = following
    return min(found, count)


def _on_scales(observed: Observed) -> tuple[FloatArray, BoolArray]:
    """Outcomes as they are learnt, `[trials, outcomes]`, and which of them as logarithms.

    Costs spread over orders of magnitude; without logarithms, small costs would look alike.
    """
    outcomes = np.hstack([without_outliers(observed.losses), observed.limits])
    is_scale: BoolArray = outcomes.min(axis=0) > 0
    return np.where(is_scale, np.log(np.where(is_scale, outcomes, 1.0)), outcomes), is_scale


class _Points:
    """Points of the evaluated trials, each computed once.

    Args:
        breeder: Knows how.
    """

    def __init__(self, breeder: Breeder) -> None:
        self._breeder = breeder
        self._key: object = None
        self._known: dict[Hashable, FloatArray] = {}

    def of(self, study: object, identities: Sequence[Hashable], space: Distributions) -> FloatArray:
        """`[identities, dimensions]`."""
        key = (study, tuple(space.items()))
        if self._key != key:
            self._key, self._known = key, {}
        new = [what for what in dict.fromkeys(identities) if what not in self._known]
        self._known |= dict(zip(new, self._breeder.points(new, space), strict=True))
        return np.array([self._known[what] for what in identities])
