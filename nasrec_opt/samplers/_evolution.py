"""Regularized (ageing) evolution as an Optuna sampler (paper, sections 4.4 and 5.1).

A population of completed trials, oldest first. It begins at random; then, round by round, the best
of a tournament drawn from it becomes the parent of a few children by one mutation each. All of them
join while as many of the oldest leave, however good they are (Real et al. 2019, arXiv:1802.01548).

Nothing is remembered but what the study holds. The population of round *r* are `population_size`
completed trials, by number, from `r * children_per_round` on; the tournament of a round is drawn
from `(seed, r)` and a trial's own draws from `(seed, trial number, name)`. So a study that was
stopped continues as if it had not been, and workers that share a storage agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from nasrec_opt.errors import StudyError
from nasrec_opt.samplers._breeding import Breeder, Distributions, FlatBreeder, GenotypeBreeder
from nasrec_opt.samplers._draw import check_seed, draw, stream
from nasrec_opt.samplers._population import (
    PROPOSAL,
    Fitness,
    History,
    Individual,
    Snapshot,
)
from nasrec_opt.space import SearchSpace

_ATTEMPTS = 64  # proposals that are drawn before a duplicate is accepted, by mutation and at random


class RegularizedEvolutionSampler(BaseSampler):
    """Tournament, one mutation, and death by age.

    One objective is the paper's algorithm. Several are compared by constraint violation, then
    non-domination rank, then crowding distance, within the whole population. Constraints are those
    set with `trial.set_constraint`. Failed and pruned trials never become parents. A model that was
    evaluated, or is being evaluated, is not proposed again while a new one can be found.

    Args:
        space: Space whose genotypes `space.suggest(trial)` asks for; nothing for any other set of
            parameters, of which a mutation draws one anew.
        population_size: Completed trials that can become parents.
        tournament_size: Members drawn without replacement, of which the best becomes the parent.
        children_per_round: Children of one parent, and how many of the oldest then leave.
        seed: Of all draws; nothing for one that differs every time.

    Raises:
        StudyError: A size is not positive, or the tournament is larger than the population.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = SearchSpace.nasrec_small(num_blocks=2)
        >>> sampler = RegularizedEvolutionSampler(
        ...     space, population_size=8, tournament_size=4, children_per_round=2, seed=0
        ... )
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(lambda trial: space.suggest(trial).blocks[-1].dense_width, n_trials=40)
        >>> study.best_value
        16.0
    """

    def __init__(
        self,
        space: SearchSpace | None = None,
        *,
        population_size: int = 128,
        tournament_size: int = 64,
        children_per_round: int = 8,
        seed: int | None = None,
    ) -> None:
        sizes = {"population_size": population_size, "tournament_size": tournament_size}
        sizes["children_per_round"] = children_per_round
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise StudyError(f"{name}: expected a positive integer, got {size!r}")
        if tournament_size > population_size:
            raise StudyError(
                f"tournament_size: expected at most the population of {population_size}, got "
                f"{tournament_size}"
            )
        check_seed(seed)
        self._population_size = population_size
        self._tournament_size = tournament_size
        self._children_per_round = children_per_round
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._breeder: Breeder = FlatBreeder() if space is None else GenotypeBreeder(space)
        self._history = History(self._breeder.identify)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that `sample_relative` may answer with."""
        if isinstance(self._breeder, GenotypeBreeder):
            return self._breeder.distributions(None)
        parent = self._parent(self._history.read(study, trial.number).individuals)
        return self._breeder.distributions(None if parent is None else parent.trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of a new individual; inactive ones are left out."""
        if not search_space:
            return {}
        seen = self._history.read(study, trial.number)
        proposed = self._propose(seen, trial.number, search_space)
        # Parameters reach the storage one by one, while other workers look for what is taken.
        study._storage.set_trial_system_attr(trial._trial_id, PROPOSAL, proposed)
        return proposed

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A uniform draw, for parameters that the individual does not have."""
        return draw(param_distribution, stream(self._seed, trial.number, param_name))

    def reseed_rng(self) -> None:
        """Nothing to do: streams differ by trial number, in whatever thread or process."""

    def _propose(self, seen: Snapshot, number: int, space: Distributions) -> dict[str, Any]:
        rng = stream(self._seed, number, "")
        parent = self._parent(seen.individuals)
        if parent is not None:
            for _ in range(_ATTEMPTS):
                proposal = self._breeder.mutate(parent.trial, space, rng)
                if not seen.has(proposal.identity):
                    return proposal.params
        for _ in range(_ATTEMPTS):
            proposal = self._breeder.random(space, rng)
            if not seen.has(proposal.identity):
                return proposal.params
        return proposal.params  # the space is all but exhausted

    def _parent(self, individuals: list[Individual]) -> Individual | None:
        """The best of this round's tournament, or nothing while the population is growing."""
        surplus = len(individuals) - self._population_size
        if surplus < 0:
            return None
        finished_rounds = surplus // self._children_per_round
        # The oldest leave by birth, not by score: that is what regularizes.
        oldest = finished_rounds * self._children_per_round
        population = individuals[oldest : oldest + self._population_size]
        rng = stream(self._seed, finished_rounds, "tournament")
        drawn = rng.choice(self._population_size, size=self._tournament_size, replace=False)
        fitness = Fitness.of(population)
        best: int = min(drawn, key=lambda i: (fitness.ranks[i], -fitness.crowding[i], i))
        return population[best]
