"""One round of an evolution: the population, the possible parents, and the parent."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import Literal

import numpy as np

from nasrec_opt._plain import put_plain
from nasrec_opt.errors import StudyError
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
from nasrec_opt.samplers._sizes import SMALLEST_POPULATION, check_counts, grown_sizes

TieBreak = Literal["crowding", "hypervolume", "none"]
TIE_BREAKS = ("crowding", "hypervolume", "none")
LEAST_OBSERVED = 32  # completed trials before a model of them is used
MARGIN = 0.1  # of the front's range, between its worst values and the reference point


@dataclass(frozen=True, slots=True)
class Settings:
    """The sizes of an evolution, the first as `evolution_sizes` checks them.

    See `RegularizedEvolutionSampler`.
    """

    sizes: tuple[int, int] | None
    children_per_round: int
    tie_break: TieBreak
    archive: bool
    mutations: int
    decay_rounds: int | None
    screening: int
    seed: int

    def __post_init__(self) -> None:
        put_plain(self)
        check_counts(
            children_per_round=self.children_per_round,
            mutations=self.mutations,
            screening=self.screening,
            decay_rounds=1 if self.decay_rounds is None else self.decay_rounds,
        )
        if self.tie_break not in TIE_BREAKS:
            raise StudyError(
                f"tie_break: expected one of {', '.join(TIE_BREAKS)}, got {self.tie_break!r}"
            )
        if not isinstance(self.archive, bool):
            raise StudyError(f"archive: expected true or false, got {self.archive!r}")

    @property
    def num_random(self) -> int:
        """Completed trials before the first round."""
        if self.sizes is None:
            return SMALLEST_POPULATION
        population_size, _ = self.sizes
        return population_size if self.screening == 1 else min(population_size, LEAST_OBSERVED)

    def sizes_after(self, num_told: int) -> tuple[int, int]:
        """Sizes of the population and of the tournaments after so many completed trials."""
        return grown_sizes(num_told) if self.sizes is None else self.sizes

    def mutations_in(self, number: int) -> int:
        """Mutations between parent and child in one round."""
        if self.decay_rounds is None:
            return self.mutations
        left = max(self.decay_rounds - number, 0)
        return left * (self.mutations - 1) // self.decay_rounds + 1


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
        settings: Of the evolution.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: tuple[object, Round] | None = None

    def of(self, seen: Snapshot) -> Round | None:
        """The round that the next child belongs to, or None while the population is growing."""
        settings = self._settings
        surplus = len(seen.individuals) - settings.num_random
        if surplus < 0:
            return None
        number = surplus // settings.children_per_round
        before = seen.individuals[: settings.num_random + number * settings.children_per_round]
        # A trial that another worker finishes late was born early, and changes who is youngest.
        key = (seen.study, number, before[-1].number)
        last = self._last
        if last is None or last[0] != key:
            last = self._last = (key, self._begin(number, before))
        return last[1]

    def _begin(self, number: int, before: list[Individual]) -> Round:
        settings = self._settings
        # The oldest leave by birth, not by score: that is what regularizes.
        population_size, tournament_size = settings.sizes_after(len(before))
        oldest = max(len(before) - population_size, 0)
        dead, alive = before[:oldest], before[oldest:]
        candidates = [*_elders(dead, alive), *alive] if settings.archive else alive
        ranks, width = fitness(candidates, settings.tie_break)
        places = np.empty(len(candidates), dtype=np.int64)
        places[np.lexsort((-width, ranks))] = np.arange(len(candidates))
        drawn = min(tournament_size, len(candidates))
        mutations = settings.mutations_in(number)
        rng = stream(settings.seed, number, "tournament")
        return Round(number, before, alive, candidates, places, drawn, mutations, rng)


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
