"""Surrogate screening: many children are bred, a model of the finished trials says which to keep.

The model is gradient boosting on histograms (Ke et al. 2017, as scikit-learn has it), a regressor
for each objective and constraint. Boosted trees add up effects, so they can expect a child to be
better than everything that was seen, which forests, whose leaves are averages, cannot. What is kept
are the children that together add most to the expected hypervolume of the front. The idea is that
of LINAS (Cummings et al. 2022, arXiv:2205.10358).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from nasrec_opt.samplers._breeding import Breeder, Distributions, Proposal
from nasrec_opt.samplers._draw import stream
from nasrec_opt.samplers._population import Snapshot, constraint_values
from nasrec_opt.samplers._selection import (
    FloatArray,
    IntArray,
    non_dominated,
    without_outliers,
)
from nasrec_opt.samplers._tournament import MARGIN, Round

_MUTATIONS = 3  # a child is one to so many away from its parent
_DIRECTIONS = 128  # along which the hypervolume is integrated
_BATCHES = 2  # of children chosen to suit each other, before what is left by its own worth


class Screening:
    """Breeds the children of a round, the most promising first.

    Every child has a parent of its own, the best of a tournament: a model finds the best of a
    crowd, so the crowd may be wide. What is kept between calls is only a cache.

    Args:
        breeder: Makes children, and points of them.
        bred: Children bred for each that is wanted; those alike count once.
        wanted: Children of a round.
        seed: Of all draws.
    """

    def __init__(self, breeder: Breeder, *, bred: int, wanted: int, seed: int) -> None:
        self._breeder = breeder
        self._bred = bred
        self._wanted = wanted
        self._seed = seed
        self._points = _Points(breeder)
        self._last: tuple[Round, Distributions, list[Proposal]] | None = None

    def children(self, now: Round, seen: Snapshot, space: Distributions) -> list[Proposal]:
        """Children that nobody has proposed before the round, the most promising first.

        Args:
            now: The round.
            seen: The study as it stands.
            space: Distributions that a child may have parameters of.
        """
        last = self._last
        if last is None or last[0] is not now or last[1] != space:
            last = self._last = (now, space, self._choose(now, seen, space))
        return last[2]

    def _choose(self, now: Round, seen: Snapshot, space: Distributions) -> list[Proposal]:
        pool = self._breed(now, space)
        observed = now.before
        losses = np.array([individual.losses for individual in observed], dtype=np.float64)
        limits = constraint_values(observed)
        finite = np.isfinite(np.hstack([losses, limits])).all(axis=1)
        if not pool or finite.sum() < 2:
            return pool
        learnt = [observed[place].identity for place in np.flatnonzero(finite)]
        points = self._points.of(seen.study, learnt, space)
        candidates = self._breeder.points([child.identity for child in pool], space)
        outcomes = np.hstack([without_outliers(losses[finite]), limits[finite]])
        expected = _expect(points, outcomes, candidates, seed=now.number)
        split = losses.shape[1]
        order = choose(
            expected[:, :split],
            np.maximum(expected[:, split:], 0.0).sum(axis=1),
            losses[finite],
            np.maximum(limits[finite], 0.0).sum(axis=1),
            count=_BATCHES * self._wanted,
            rng=stream(self._seed, now.number, "directions"),
        )
        # The last of a round is any of them: what the model is wrong about is found out so.
        trusted, rest = np.split(order, [max(self._wanted - 1, 1)])
        if len(rest):
            rest = np.roll(rest, stream(self._seed, now.number, "stranger").integers(len(rest)))
        return [pool[place] for place in (*trusted, *rest)]

    def _breed(self, now: Round, space: Distributions) -> list[Proposal]:
        """Children that are all distinct and were not evaluated before the round."""
        rng = stream(self._seed, now.number, "screening")
        known = {individual.identity for individual in now.before}
        pool: dict[Hashable, Proposal] = {}
        asked: dict[int, Distributions] = {}  # of each parent; there are fewer than children
        for _ in range(self._bred * self._wanted):
            parent = now.tournament(rng)
            if parent.number not in asked:
                own = self._breeder.distributions([parent.trial])
                asked[parent.number] = {name: d for name, d in space.items() if name in own}
            count = int(rng.integers(1, max(_MUTATIONS, now.mutations) + 1))
            child = self._breeder.mutate(parent.trial, asked[parent.number], rng, count)
            if child.identity not in known:
                pool.setdefault(child.identity, child)
        return list(pool.values())


class _Points:
    """Points of what was evaluated, each worked out once.

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


def _expect(
    points: FloatArray, outcomes: FloatArray, candidates: FloatArray, *, seed: int
) -> FloatArray:
    """What candidates are expected to come to, `[candidates, outcomes]`."""
    # Imported late: it takes a second, and only screening needs it.
    import threadpoolctl  # type: ignore[import-untyped]
    from sklearn.ensemble import HistGradientBoostingRegressor  # type: ignore[import-untyped]

    expected = np.empty((len(candidates), outcomes.shape[1]))
    # Costs spread over orders of magnitude; what is small would be lost among what is large.
    is_scale = outcomes.min(axis=0) > 0
    learnt = np.where(is_scale, np.log(np.where(is_scale, outcomes, 1.0)), outcomes)
    # Trees of a few hundred trials are not worth it that threads wait for each other.
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        for place, outcome in enumerate(learnt.T):
            if outcome.min() == outcome.max():
                expected[:, place] = outcome[0]
                continue
            model = HistGradientBoostingRegressor(
                max_iter=60,
                max_leaf_nodes=8,
                min_samples_leaf=5,
                max_features=0.3,
                early_stopping=False,
                random_state=seed,
            )
            expected[:, place] = model.fit(points, outcome).predict(candidates)
    return np.where(is_scale, np.exp(np.where(is_scale, expected, 0.0)), expected)


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
    observed where that is more, so that a narrow front can grow in length. Candidates that are
    expected to violate a constraint come last, by their violation, as do all while nothing feasible
    is known.

    Args:
        expected: Losses of the candidates, smaller is better, `[candidates, objectives]`.
        violation: Expected violation of the candidates, 0 where feasible, `[candidates]`.
        losses: What was observed, `[observed, objectives]`.
        observed_violation: Its violation, `[observed]`.
        count: How many are chosen to suit each other; the rest follow by their own worth.
        rng: Of the directions.

    Returns:
        Positions of all candidates, best first, `[candidates]`.
    """
    feasible = losses[observed_violation <= 0]
    if not len(feasible):
        return np.argsort(violation, kind="stable")
    front = feasible[non_dominated(feasible)]
    worst = front.max(axis=0)
    spread = np.maximum(losses.std(axis=0), np.finfo(np.float64).tiny)
    reference = worst + np.maximum(MARGIN * np.ptp(front, axis=0), spread)
    # Where an objective does not vary at all, it does not matter how far beyond the front it lies.
    reference = np.where(reference > worst, reference, worst + np.maximum(np.abs(worst), 1.0))
    width = reference - front.min(axis=0)
    directions = np.abs(rng.normal(size=(_DIRECTIONS, losses.shape[1]))) + 1e-9
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    def reach(values: FloatArray) -> FloatArray:  # [values, directions]
        scaled = (reference - values) / width
        return np.asarray((scaled[:, None, :] / directions).min(axis=2))

    reached = reach(expected)
    worth = reached.mean(axis=1)  # tells apart what adds nothing
    volume = np.maximum(reached, 0.0) ** losses.shape[1]
    best = (np.maximum(reach(front), 0.0) ** losses.shape[1]).max(axis=0)
    left = violation <= 0
    order: list[int] = []
    while left.any() and len(order) < count:
        gain = np.maximum(volume - best, 0.0).sum(axis=1)
        place = int(np.lexsort((-worth, -gain, ~left))[0])
        order.append(place)
        left[place] = False
        best = np.maximum(best, volume[place])
    rest = np.setdiff1d(np.arange(len(expected)), order)
    return np.array([*order, *rest[np.lexsort((-worth[rest], violation[rest]))]], dtype=np.int64)
