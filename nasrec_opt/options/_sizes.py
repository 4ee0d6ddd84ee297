"""Sizes that depend on each other: if one is given, the other follows.

The study file, the samplers and Ax's node all use this module, so their defaults are the same.
"""

from __future__ import annotations

from nasrec_opt._plain import plain
from nasrec_opt.errors import StudyError

POPULATION_SIZE, TOURNAMENT_SIZE = 128, 64  # the paper's, section 5.1
SMALLEST_POPULATION = 16
TRIALS_PER_MEMBER = 4  # of a population that grows with the study
SCREENING = 16  # children bred for each that is proposed, where the population grows
POOL_SIZE, BATCH_SIZE = 256, 8


def check_counts(**counts: int) -> tuple[int, ...]:
    """Counts as plain integers, in the order given; anything else is refused.

    Raises:
        StudyError: A value is not an integer from 1; the message begins with its name.
    """
    found: dict[str, int] = {name: plain(count) for name, count in counts.items()}
    for name, count in found.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise StudyError(f"{name}: expected a positive integer, got {count!r}")
    return tuple(found.values())


def evolution_sizes(
    population_size: int | None = None, tournament_size: int | None = None
) -> tuple[int, int] | None:
    """Fill in the sizes of the population and of its tournaments.

    Args:
        population_size: The option of the sampler. Where only the tournament's size is given, the
            paper's 128, or as many as the tournament draws if that is more.
        tournament_size: The option of the sampler. Where only the population's size is given, the
            paper's 64, or half of a smaller population.

    Returns:
        Population and tournament size, or None where neither is given: both then grow with the
        study.

    Raises:
        StudyError: A size is not positive, or the tournament is larger than the population.
    """
    population_size = _given(population_size=population_size)
    tournament_size = _given(tournament_size=tournament_size)
    if population_size is None and tournament_size is None:
        return None
    if population_size is None:
        population_size = max(POPULATION_SIZE, tournament_size or 0)
    if tournament_size is None:
        tournament_size = min(TOURNAMENT_SIZE, (population_size + 1) // 2)
    if tournament_size > population_size:
        raise StudyError(
            f"tournament_size: expected at most the population of {population_size}, got "
            f"{tournament_size}"
        )
    return population_size, tournament_size


def grown_sizes(num_told: int) -> tuple[int, int]:
    """Sizes of population and tournaments after `num_told` completed trials.

    The population is a quarter of the trials, from 16 up to the paper's 128. So breeding begins
    early, and the population reaches the paper's size as soon as there are enough trials. Half of
    it is drawn, as in the paper.

    Args:
        num_told: Number of completed trials.
    """
    grown = min(max(num_told // TRIALS_PER_MEMBER, SMALLEST_POPULATION), POPULATION_SIZE)
    return grown, grown // 2


def children_bred(screening: int | None, sizes: tuple[int, int] | None) -> int:
    """Compute how many children are bred for each one that is proposed.

    Args:
        screening: The option of the sampler. None means 16 where the population grows with the
            study, and 1 (no screening) where its size is given, as in the paper.
        sizes: The result of `evolution_sizes`.

    Returns:
        A number of children, 1 or more.
    """
    if screening is None:
        return SCREENING if sizes is None else 1
    return screening


def pool_sizes(pool_size: int | None = None, batch_size: int | None = None) -> tuple[int, int]:
    """Fill in the sizes of a pool of genotypes and of the batches chosen from it.

    Args:
        pool_size: None for 256, or the batch's size where that is larger.
        batch_size: None for 8, or the whole of a smaller pool.

    Returns:
        Pool size and batch size.

    Raises:
        StudyError: A size is not positive, or the batch is larger than the pool.
    """
    pool_size, batch_size = _given(pool_size=pool_size), _given(batch_size=batch_size)
    if pool_size is None:
        pool_size = max(POOL_SIZE, batch_size or 0)
    if batch_size is None:
        batch_size = min(BATCH_SIZE, pool_size)
    if batch_size > pool_size:
        raise StudyError(f"batch_size: expected at most the pool of {pool_size}, got {batch_size}")
    return pool_size, batch_size


def _given(**size: int | None) -> int | None:
    """One size, checked where it is given."""
    ((name, value),) = size.items()
    return None if value is None else check_counts(**{name: value})[0]
