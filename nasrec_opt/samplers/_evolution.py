"""Regularized (ageing) evolution as an Optuna sampler (paper, sections 4.4 and 5.1).

A population of completed trials, oldest first. It begins at random; then, round by round, the best
of a tournament drawn from it becomes the parent of a few children by one mutation each. All of them
join while as many of the oldest leave, however good they are (Real et al. 2019, arXiv:1802.01548).
With several objectives the best that has been found may go on having children: an archive.

No state is kept besides the study. The population of round *r* are `population_size`
completed trials, by number, from `r * children_per_round` on; the tournament of a round is drawn
from `(seed, r)` and a trial's own draws from `(seed, trial number, name)`. So a study that was
stopped continues as if it had not been, and workers that share a storage agree.

Unless its size is given, the population grows with the study, and a model of the trials screens the
children (`grown_sizes`, `Screening`). Both are the same function of the study, and nothing
has to know how many trials there will be.
"""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from nasrec_opt.options import EvolutionConfig, TieBreak
from nasrec_opt.options._sizes import POPULATION_SIZE, TOURNAMENT_SIZE
from nasrec_opt.samplers._breeding import (
    Breeder,
    Distributions,
    FlatBreeder,
    GenotypeBreeder,
    Proposal,
)
from nasrec_opt.samplers._draw import stream
from nasrec_opt.samplers._population import History, Snapshot, proposed_before
from nasrec_opt.samplers._screening import Screening
from nasrec_opt.samplers._streams import StreamSampler, hand_out, known_at_once
from nasrec_opt.samplers._tournament import Rounds
from nasrec_opt.space import SearchSpace

_ATTEMPTS = 64  # proposals that are drawn before a duplicate is accepted, by mutation and at random


class RegularizedEvolutionSampler(StreamSampler):
    """Regularized evolution: tournaments, single mutations, and death by age.

    With a population of a given size and one objective it is the paper's algorithm;
    `RegularizedEvolutionSampler.paper` has the paper's sizes. By default the population grows with
    the study, and a model of the finished trials chooses among the children.

    Several objectives are compared by constraint violation, then non-domination rank, then
    `tie_break`, within the whole population. Constraints are those set with `trial.set_constraint`.
    Failed and pruned trials never become parents. A model that was evaluated, or is being
    evaluated, is not proposed again as long as a new one can be found.

    Args:
        space: Space whose genotypes `space.suggest(trial)` asks for, or None for any other set of
            parameters; a mutation then changes one of them.
        population_size: Completed trials that can become parents. None means a quarter of the
            completed trials, at least 16 and at most the paper's 128; or, if a tournament's size is
            given, 128 or that size if it is larger.
        tournament_size: Members drawn without replacement; the best of them becomes the parent.
            None means the paper's 64, or half of a smaller population.
        children_per_round: Children of one parent; as many of the oldest members then leave.
        tie_break: How candidates of one rank are ordered: by `hypervolume` contribution; by
            `crowding` distance, which always prefers the ends of a front; or `none`, by the order
            of birth alone.
        archive: Whether feasible trials that no trial dominates join the tournaments although they
            are too old.
        mutations: Mutations between parent and child.
        decay_rounds: Rounds over which that number falls to one, or None for a constant number. The
            paper's published code does what `mutations=6, decay_rounds=240` does.
        screening: Children bred for each one that is proposed. If there is more than one, a model
            of the finished trials keeps the most promising, rounds begin after 32 trials even for a
            larger population, and a trial takes some 20 ms instead of a few. None means 16 where
            the population grows, and 1 where a size is given.
        seed: Seed of all draws, or None for a different one every time.

    Raises:
        StudyError: A number is not positive, the tournament is larger than the population, or
            `tie_break` is unknown.

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
        population_size: int | None = EvolutionConfig.population_size,
        tournament_size: int | None = EvolutionConfig.tournament_size,
        children_per_round: int = EvolutionConfig.children_per_round,
        tie_break: TieBreak = EvolutionConfig.tie_break,
        archive: bool = EvolutionConfig.archive,
        mutations: int = EvolutionConfig.mutations,
        decay_rounds: int | None = EvolutionConfig.decay_rounds,
        screening: int | None = EvolutionConfig.screening,
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        self._options = EvolutionConfig(
            population_size=population_size,
            tournament_size=tournament_size,
            children_per_round=children_per_round,
            tie_break=tie_break,
            archive=archive,
            mutations=mutations,
            decay_rounds=decay_rounds,
            screening=screening,
        )
        self._breeder: Breeder = FlatBreeder() if space is None else GenotypeBreeder(space)
        self._history = History(self._breeder.identify)
        self._rounds = Rounds(self._options, self._seed)
        self._screening = Screening(
            self._breeder,
            bred=self._options.bred,
            wanted=self._options.children_per_round,
            seed=self._seed,
        )

    @classmethod
    def paper(
        cls, space: SearchSpace | None = None, *, seed: int | None = None
    ) -> RegularizedEvolutionSampler:
        """Create the paper's sampler: a population of 128, tournaments of 64, 8 children a round.

        Args:
            space: See the class.
            seed: See the class.

        Returns:
            The sampler, without screening.

        References:
            Zhang et al. 2024, section 5.1.
        """
        return cls(
            space,
            population_size=POPULATION_SIZE,
            tournament_size=TOURNAMENT_SIZE,
            children_per_round=8,
            seed=seed,
        )

    def population(self, study: Study) -> list[FrozenTrial]:
        """List the trials that can become parents now, oldest first.

        Args:
            study: A study that this sampler serves.

        Returns:
            The population; while it still grows, the trials that it has so far.
        """
        seen = self._history.read(study, -1)
        now = self._rounds.of(seen)
        alive = seen.individuals if now is None else now.population
        return [individual.trial for individual in alive]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that `sample_relative` may answer with."""
        if isinstance(self._breeder, GenotypeBreeder):
            return self._breeder.distributions([])
        now = self._rounds.of(self._history.read(study, trial.number))
        if now is None:
            return self._breeder.distributions([])
        parents = [now.parent] if self._options.bred == 1 else now.population
        return self._breeder.distributions([parent.trial for parent in parents])

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of a new individual; inactive ones are left out."""
        if not search_space:
            return {}
        if again := proposed_before(study, trial, search_space):
            return known_at_once(again, search_space)
        seen = self._history.read(study, trial.number)
        proposal = self._propose(seen, trial.number, search_space)
        found = hand_out(study, trial, proposal.params, search_space)
        self._history.promise(study, trial, proposal.params, proposal.identity)
        return found

    def _propose(self, seen: Snapshot, number: int, space: Distributions) -> Proposal:
        rng = stream(self._seed, number, "")
        now = self._rounds.of(seen)
        if now is not None and self._options.bred > 1:
            for proposal in self._screening.children(now, seen, space):
                if not seen.has_tried(proposal.identity):
                    return proposal
        elif now is not None:
            for _ in range(_ATTEMPTS):
                proposal = self._breeder.mutate(now.parent.trial, space, rng, now.mutations)
                if not seen.has(proposal.identity):
                    return proposal
        for _ in range(_ATTEMPTS):
            proposal = self._breeder.random(space, rng)
            if not seen.has(proposal.identity):
                return proposal
        return proposal  # the space is all but exhausted
