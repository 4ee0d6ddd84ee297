"""A pool of new genotypes to choose from: mutants of the best, and some random ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from nasrec_opt.errors import StudyError
from nasrec_opt.samplers._selection import FloatArray, crowding_distance, non_domination_rank
from nasrec_opt.space import Genotype, SearchSpace

_ATTEMPTS = 16  # draws for each wanted genotype, before a smaller pool is accepted


def propose_pool(
    space: SearchSpace,
    genotypes: Sequence[Genotype],
    losses: FloatArray,
    violation: FloatArray | None = None,
    *,
    size: int,
    rng: np.random.Generator,
    taken: AbstractSet[Genotype] = frozenset(),
    tournament_size: int = 16,
    max_mutations: int = 3,
    random_share: float = 0.125,
) -> list[Genotype]:
    """Propose distinct new models: children of tournament winners, and random ones.

    The same arguments and the same state of `rng` give the same pool.

    Args:
        space: Space of all genotypes.
        genotypes: Evaluated genotypes; without any, the whole pool is random.
        losses: Their objective values, smaller is better, `[genotypes, objectives]`.
        violation: Sum of the violated constraints' values, 0 where feasible, `[genotypes]`.
        size: Number of genotypes; a nearly exhausted space gives fewer.
        rng: Source of all draws.
        taken: Further canonical genotypes that must not be proposed.
        tournament_size: Evaluated genotypes drawn; the best of them becomes the parent.
        max_mutations: A child is 1 to this many mutations away from its parent, drawn uniformly.
        random_share: Share of the pool that has no parent.

    Returns:
        Canonical genotypes, children first.

    Raises:
        StudyError: There are not as many losses as genotypes.
    """
    if len(losses) != len(genotypes):
        raise StudyError(f"losses: expected a row for each of {len(genotypes)}, got {len(losses)}")
    seen = {genotype.canonical() for genotype in genotypes} | taken
    pool: list[Genotype] = []

    def fill(until: int, draw: Callable[[], Genotype]) -> None:
        for _ in range(_ATTEMPTS * max(until - len(pool), 0)):
            if len(pool) == until:
                return
            genotype = draw().canonical()
            if genotype not in seen:
                seen.add(genotype)
                pool.append(genotype)

    if len(genotypes):
        ranks = non_domination_rank(losses, violation)
        # Best first: a tournament is then the smallest of the places drawn.
        best_first = np.lexsort((-crowding_distance(losses, ranks), ranks))
        drawn = min(tournament_size, len(genotypes))

        def child() -> Genotype:
            place = rng.choice(len(genotypes), size=drawn, replace=False).min()
            genotype: Genotype = genotypes[best_first[place]]
            for _ in range(rng.integers(1, max_mutations + 1)):
                genotype = space.mutate(genotype, rng)
            return genotype

        fill(size - round(size * random_share), child)
    fill(size, lambda: space.sample(rng))
    return pool
