"""Genotypes chosen from a pool by a Gaussian process, as an Optuna sampler.

The first trials are random. Then, round by round, mutants of the best trials and some random
genotypes form a pool, and the batch of them that promises the largest hypervolume is handed out,
one genotype a trial.

No state is kept besides the study. Round *r* learns from the first `num_startup + r * batch_size`
completed trials, by number, and draws from `(seed, r)`. So its batch is the same in any process and
after a restart, and a trial takes the first of the batch that no other trial has. If all of them
are taken, because trials failed or because there are more workers than members of the batch, a
further batch is chosen from the rest of the pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from nasrec_opt._foreign.optuna import identity
from nasrec_opt.bayes._acquisition import require_botorch, select_batch
from nasrec_opt.bayes._archive import Archive
from nasrec_opt.bayes._pool import propose_pool
from nasrec_opt.options import PoolBayesConfig
from nasrec_opt.samplers._breeding import GenotypeBreeder
from nasrec_opt.samplers._draw import stream
from nasrec_opt.samplers._population import (
    History,
    Individual,
    constraint_values,
    proposed_before,
)
from nasrec_opt.samplers._selection import FloatArray
from nasrec_opt.samplers._streams import StreamSampler, hand_out, known_at_once
from nasrec_opt.space import Genotype, SearchSpace

_ATTEMPTS = 64  # random genotypes that are drawn before a duplicate is accepted


class PoolBayesSampler(StreamSampler):
    """Evolution proposes, a Gaussian process chooses.

    Use it for objectives that take much longer than the choice, a few tenths of a second a trial.
    Several objectives are weighed by hypervolume. Constraints are those set with
    `trial.set_constraint`, and are modelled like objectives. Failed and pruned trials are neither
    learnt from nor repeated, and no model that was evaluated is proposed again while a new one can
    be found. Parameters that are not the space's are drawn uniformly.

    Args:
        space: Space whose genotypes `space.suggest(trial)` asks for.
        num_startup: Completed trials before the model chooses; they are random.
        pool_size: Genotypes that a round chooses from. None means 256, or the batch's size if that
            is larger.
        batch_size: Trials of a round, for which the model is fitted once; not less than the number
            of workers, or some of them fit again. None means 8, or the whole of a smaller pool.
        max_observed: Maximum number of trials that the model learns from: the best, and the latest
            of the others.
        seed: Seed of all draws, or None for a different one every time.

    Raises:
        MissingExtraError: BoTorch is not installed.
        StudyError: A size is not positive, or the batch is larger than the pool.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = SearchSpace.nasrec_small(num_blocks=2)
        >>> sampler = PoolBayesSampler(space, num_startup=8, pool_size=32, batch_size=4, seed=0)
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(lambda trial: space.suggest(trial).blocks[-1].dense_width, n_trials=20)
        >>> study.best_value
        16.0
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        num_startup: int = PoolBayesConfig.num_startup,
        pool_size: int | None = PoolBayesConfig.pool_size,
        batch_size: int | None = PoolBayesConfig.batch_size,
        max_observed: int = PoolBayesConfig.max_observed,
        seed: int | None = None,
    ) -> None:
        require_botorch()
        super().__init__(seed)
        self._space = space
        options = PoolBayesConfig(
            num_startup=num_startup,
            pool_size=pool_size,
            batch_size=batch_size,
            max_observed=max_observed,
        )
        self._num_startup, self._max_observed = options.num_startup, options.max_observed
        self._pool_size, self._batch_size = options.sizes
        self._breeder = GenotypeBreeder(space)
        self._history = History(self._breeder.identify)
        self._archive = Archive(space)
        self._round: _Round | None = None

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that `sample_relative` may answer with."""
        return self._breeder.distributions([])

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of a genotype; inactive ones are left out."""
        if not search_space:
            return {}
        if again := proposed_before(study, trial, search_space):
            return known_at_once(again, search_space)
        genotype = self._propose(study, trial.number)
        params = self._space.encode(genotype)
        proposed = {name: value for name, value in params.items() if name in search_space}
        found = hand_out(study, trial, proposed, search_space)
        self._history.promise(study, trial, proposed, genotype)
        return found

    def _propose(self, study: Study, number: int) -> Genotype:
        seen = self._history.read(study, number)
        rounds, _ = divmod(len(seen.individuals) - self._num_startup, self._batch_size)
        if rounds >= 0:
            observed = seen.individuals[: self._num_startup + rounds * self._batch_size]
            # Trials that failed later stay in the pool: the batch must not depend on them.
            discarded = self._archive.discarded(study)
            before = {genotype for n, genotype in discarded if n < observed[-1].number}
            for genotype in self._choices(study, rounds, observed, before):
                if not seen.has_tried(genotype):
                    return genotype
        rng = stream(self._seed, number, "")
        for _ in range(_ATTEMPTS):
            genotype = self._space.sample(rng).canonical()
            if not seen.has_tried(genotype):
                break
        return genotype

    def _choices(
        self, study: Study, number: int, observed: list[Individual], discarded: set[Genotype]
    ) -> Iterator[Genotype]:
        """The pool of a round, the most promising first, chosen no further than is asked for."""
        key = (*identity(study), *(individual.number for individual in observed))
        current = self._round
        if current is None or current.key != key:
            current = self._begin(key, study, number, observed, discarded)
        place = 0
        while place < len(current.pool):
            if place == len(current.chosen):
                current = self._round = self._extend(current)
            yield current.pool[current.chosen[place]]
            place += 1

    def _begin(
        self,
        key: tuple[Any, ...],
        study: Study,
        number: int,
        observed: list[Individual],
        discarded: set[Genotype],
    ) -> _Round:
        genotypes, points = self._archive.evaluated(study, observed)
        losses = np.array([individual.losses for individual in observed], dtype=np.float64)
        pool = propose_pool(
            self._space,
            genotypes,
            losses,
            np.array([individual.violation for individual in observed]),
            size=self._pool_size,
            rng=stream(self._seed, number, "pool"),
            taken=discarded,
        )
        constraints = constraint_values(observed)
        candidates = self._archive.embedding.embed(pool)
        return _Round(key, number, pool, candidates, points, losses, constraints, ())

    def _extend(self, current: _Round) -> _Round:
        """The round with another batch of its pool chosen."""
        rest = [place for place in range(len(current.pool)) if place not in current.chosen]
        draws = stream(self._seed, current.number, f"choice {len(current.chosen)}")
        batch = select_batch(
            current.candidates[rest],
            current.points,
            current.losses,
            current.constraints,
            batch_size=self._batch_size,
            pending=current.candidates[list(current.chosen)],
            max_observed=self._max_observed,
            seed=int(draws.integers(2**31)),
        )
        return replace(current, chosen=(*current.chosen, *(rest[place] for place in batch)))


@dataclass(frozen=True, slots=True)
class _Round:
    """One round, from which more and more is chosen.

    Args:
        key: The study and the trials that the round learns from.
        number: Counts rounds from 0.
        pool: Genotypes to choose from.
        candidates: Their points, `[pool, dimensions]`.
        points: Points of the trials learnt from, `[trials, dimensions]`.
        losses: Their objective values, `[trials, objectives]`.
        constraints: Their constraint values, `[trials, constraints]`.
        chosen: Positions in the pool, the most promising first.
    """

    key: tuple[Any, ...]
    number: int
    pool: list[Genotype]
    candidates: FloatArray
    points: FloatArray
    losses: FloatArray
    constraints: FloatArray
    chosen: tuple[int, ...]
