"""Options of regularized evolution: of its sampler, and `[search.evolution]` of a study file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nasrec_opt._plain import put_plain
from nasrec_opt.errors import StudyError
from nasrec_opt.options._choices import check_choice
from nasrec_opt.options._sizes import check_counts, children_bred, evolution_sizes

TieBreak = Literal["crowding", "hypervolume", "none"]


# Without slots, since the sampler's defaults are the attributes of this class.
@dataclass(frozen=True, kw_only=True)
class EvolutionConfig:
    """Options of a `RegularizedEvolutionSampler` (paper, section 5.1).

    A size that follows from another is filled in, as is `screening`. Where neither size is given,
    both are None and grow with the study.

    Args:
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

    Raises:
        StudyError: A number is not positive, the tournament is larger than the population, or
            `tie_break` is unknown.
    """

    population_size: int | None = None
    tournament_size: int | None = None
    children_per_round: int = 8
    tie_break: TieBreak = "hypervolume"
    archive: bool = False
    mutations: int = 1
    decay_rounds: int | None = None
    screening: int | None = None

    def __post_init__(self) -> None:
        put_plain(self)
        check_counts(
            children_per_round=self.children_per_round,
            mutations=self.mutations,
            screening=1 if self.screening is None else self.screening,
            decay_rounds=1 if self.decay_rounds is None else self.decay_rounds,
        )
        check_choice("tie_break", self.tie_break, TieBreak)
        if not isinstance(self.archive, bool):
            raise StudyError(f"archive: expected true or false, got {self.archive!r}")
        # What follows from the sizes that were given is written down with them.
        sizes = evolution_sizes(self.population_size, self.tournament_size)
        for name, size in zip(("population_size", "tournament_size"), sizes or (), strict=False):
            object.__setattr__(self, name, size)
        object.__setattr__(self, "screening", self.bred)

    @property
    def sizes(self) -> tuple[int, int] | None:
        """Size of the population and of a tournament, or None where both grow with the study."""
        return evolution_sizes(self.population_size, self.tournament_size)

    @property
    def bred(self) -> int:
        """Children bred for each one that is proposed."""
        return children_bred(self.screening, self.sizes)
