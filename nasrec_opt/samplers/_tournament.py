"""One round of an evolution: the population, the possible parents, and the parent."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field

import numpy as np

from nasrec_opt.options import EvolutionConfig, TieBreak
from nasrec_opt.options._sizes import SMALLEST_POPULATION, grown_sizes
from nasrec_opt.samplers._draw import stream
from nasrec_opt.samplers._hypervolume import contributions
from nasrec_opt.samplers._population import Individual, Snapshot
from nasrec_opt.samplers._selection import (
    FloatArray,
    IntArray,
    crowding_distance,
    non_dominated,
    non_domination_rank,
)

LEAST_OBSERVED = 32  # completed trials before a model of them is used
MARGIN = 0.1  # of the front's range, between its worst values and the reference point


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """What the children of one round have in common; a function of the trials before them.

    Args:
        number: Counts rounds from 0.
        before: All individuals evaluated before, oldest first.
        population: Those that are alive, oldest first.
        candidates: Individuals that may become a parent.
        places: Place of each candidate, 0 for the best, `[candidates]`.
        drawn: Number of candidates in a tournament.
        mutations: Number of mutations between a parent and its child.
        rng: Draws the round's own tournament, whose winner becomes `parent`.
    """

    number: int
    before: list[Individual]
    population: list[Individual]
    candidates: list[Individual]
    places: IntArray
    drawn: int
    mutations: int
    rng: InitVar[np.random.Generator]
    parent: Individual = field(init=False)

    def __post_init__(self, rng: np.random.Generator) -> None:
        object.__setattr__(self, "parent", self.tournament(rng))

    def tournament(self, rng: np.random.Generator) -> Individual:
        """The best of some candidates drawn without replacement."""
        drawn = rng.choice(len(self.candidates), size=self.drawn, replace=False)
        best: int = drawn[np.argmin(self.places[drawn])]
        return self.candidates[best]


class Rounds:
    """Finds the round of the next child; the last one is remembered.

    Args:
        options: Of the evolution.
        seed: Seed of the tournaments.
    """

    def __init__(self, options: EvolutionConfig, seed: int) -> None:
        self._options = options
        self._seed = seed
        self._last: tuple[object, Round] | None = None

    def of(self, seen: Snapshot) -> Round | None:
        """The round that the next child belongs to, or None while the population is growing."""
        num_random, per_round = _num_random(self._options), self._options.children_per_round
        surplus = len(seen.individuals) - num_random
        if surplus < 0:
            return None
        number = surplus // per_round
        before = seen.individuals[: num_random + number * per_round]
        # A trial that another worker finishes late was born early, and changes who is youngest.
        key = (seen.study, number, before[-1].number)
        last = self._last
        if last is None or last[0] != key:
            last = self._last = (key, self._begin(number, before))
        return last[1]

    def _begin(self, number: int, before: list[Individual]) -> Round:
        options = self._options
        # The oldest leave by birth, not by score: that is what regularizes.
        population_size, tournament_size = options.sizes or grown_sizes(len(before))
        oldest = max(len(before) - population_size, 0)
        dead, alive = before[:oldest], before[oldest:]
        candidates = [*_elders(dead, alive), *alive] if options.archive else alive
        ranks, width = fitness(candidates, options.tie_break)
        places = np.empty(len(candidates), dtype=np.int64)
        places[np.lexsort((-width, ranks))] = np.arange(len(candidates))
        drawn = min(tournament_size, len(candidates))
        mutations = mutations_in(options, number)
        rng = stream(self._seed, number, "tournament")
        return Round(number, before, alive, candidates, places, drawn, mutations, rng)


def mutations_in(options: EvolutionConfig, number: int) -> int:
    """Mutations between parent and child in the round of a number."""
    if options.decay_rounds is None:
        return options.mutations
    left = max(options.decay_rounds - number, 0)
    return left * (options.mutations - 1) // options.decay_rounds + 1


def _num_random(options: EvolutionConfig) -> int:
    """Completed trials before the first round."""
    if options.sizes is None:
        return SMALLEST_POPULATION
    population_size, _ = options.sizes
    return population_size if options.bred == 1 else min(population_size, LEAST_OBSERVED)


def fitness(candidates: list[Individual], tie_break: TieBreak) -> tuple[IntArray, FloatArray]:
    """Rank of each candidate, and the tie-break within a rank, `[candidates]` each.

    Args:
        candidates: Compared by constraint violation, then by non-domination.
        tie_break: `crowding` distance or `hypervolume` contribution within the rank, larger is
            better; `none` leaves them equal.
    """
    losses = np.array([candidate.losses for candidate in candidates], dtype=np.float64)
    violation = np.array([candidate.violation for candidate in candidates])
    ranks = non_domination_rank(losses, violation)
    if tie_break == "crowding":
        return ranks, crowding_distance(losses, ranks)
    width = np.zeros(len(candidates))
    if tie_break == "hypervolume":
        for rank in np.unique(ranks):
            members = np.flatnonzero(ranks == rank)
            width[members] = _contributions(losses[members])
    return ranks, width


def _contributions(losses: FloatArray) -> FloatArray:
    """Hypervolume contributions in a front, with each objective as a share of the front's range."""
    finite = np.all(np.isfinite(losses), axis=1)
    found = np.zeros(len(losses))
    if finite.any():
        inside = losses[finite]
        low, high = inside.min(axis=0), inside.max(axis=0)
        shares = (inside - low) / np.where(high > low, high - low, 1.0)
        found[finite] = contributions(shares, np.full(losses.shape[1], 1.0 + MARGIN))
    return found


def _elders(dead: list[Individual], alive: list[Individual]) -> list[Individual]:
    """Feasible individuals that have left the population and that no individual dominates."""
    feasible = [individual for individual in (*dead, *alive) if individual.violation <= 0]
    if not feasible:
        return []
    kept = non_dominated(np.array([individual.losses for individual in feasible]))
    return [
        individual
        for individual, keep in zip(feasible, kept, strict=True)
        if keep and individual.number < alive[0].number
    ]
