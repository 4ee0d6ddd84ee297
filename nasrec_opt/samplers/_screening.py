"""Surrogate screening: many children are bred, and a model of the finished trials keeps a few.

The model is a Gaussian process for each objective and constraint. It draws possible outcomes of the
children, and keeps those children that together add most to the hypervolume of the front, on
average over the draws. So it prefers children that are expected to be good, and children about
which little is known. The idea is from LINAS (Cummings et al. 2022, arXiv:2205.10358).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import numpy as np

from nasrec_opt.samplers._breeding import Breeder, Distributions, Proposal
from nasrec_opt.samplers._draw import stream
from nasrec_opt.samplers._expectation import Expectation, Observed
from nasrec_opt.samplers._infill import choose
from nasrec_opt.samplers._population import Snapshot
from nasrec_opt.samplers._tournament import Round

_MUTATIONS = 3  # a child is one to this many mutations away from its parent
_BATCHES = 2  # batches of children chosen as a group; the rest follow by their own worth


class Screening:
    """Breeds the children of a round, the most promising first.

    Every child has a parent of its own, the winner of a tournament, so the children are diverse,
    and the model finds the best of them. Only a cache is kept between calls.

    Args:
        breeder: Makes children, and points of them.
        bred: Children bred for each that is wanted; those alike count once.
        wanted: Children of a round.
        seed: Seed of all draws.
    """

    def __init__(self, breeder: Breeder, *, bred: int, wanted: int, seed: int) -> None:
        self._breeder = breeder
        self._bred = bred
        self._wanted = wanted
        self._seed = seed
        self._expectation = Expectation(breeder)
        self._last: tuple[Round, Distributions, list[Proposal]] | None = None

    def children(self, now: Round, seen: Snapshot, space: Distributions) -> list[Proposal]:
        """Children that were not proposed before the round, the most promising first.

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
        observed = Observed.of(now.before)
        if not pool or len(observed.identities) < 2:
            return pool
        with _one_thread():
            losses, limits = self._expectation.draw(
                seen.study,
                now.before,
                observed,
                [child.identity for child in pool],
                space,
                stream(self._seed, now.number, "draws"),
            )
            order = choose(
                losses,
                np.maximum(limits, 0.0).sum(axis=2),
                observed.losses,
                observed.violation,
                count=_BATCHES * self._wanted,
                rng=stream(self._seed, now.number, "directions"),
            )
        return [pool[place] for place in order]

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


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums of small matrices in one thread: faster, and the same on any number of cores."""
    pools = _pools()
    with nullcontext() if pools is None else pools.limit(limits=1, user_api="blas"):
        yield


@cache
def _pools() -> Any:
    """The thread pools of this process; None if no package is installed that can limit them."""
    try:
        import threadpoolctl  # looks for all libraries: once
    except ImportError:  # the package of optunahub/ has Optuna alone
        return None
    return threadpoolctl.ThreadpoolController()
