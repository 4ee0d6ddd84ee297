"""Models to train before anything is known about a space and a log."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np

from nasrec_opt.features import FeatureSpec
from nasrec_opt.ladder._candidates import feature_names, features_of, training_work
from nasrec_opt.space import Genotype, SearchSpace

DRAWS = 64


def probe_genotypes(
    space: SearchSpace, features: FeatureSpec, count: int, seed: int
) -> list[Genotype]:
    """Choose random genotypes that are quick to train and seldom bad.

    Of 64 random genotypes, those with a dot product come first, because a dot product is the best
    sign of a low log loss before any training. Among them, those whose training costs least come
    first. If the space has a first-order term, every second genotype has it. On a small log models
    need it, and models with and without it are wrong on different rows, so their mean is better.

    Args:
        space: What is searched.
        features: Shape of the input.
        count: How many, at most 64.
        seed: Seed of the draws.

    Returns:
        Distinct architectures; fewer than `count` if the space has fewer.

    Example:
        >>> space = SearchSpace.nasrec_small(num_blocks=2)
        >>> [genotype.space for genotype in probe_genotypes(space, FeatureSpec(3, (9, 9)), 2, 0)]
        ['nasrec_small', 'nasrec_small']
    """
    rng = np.random.default_rng([seed, 3])
    distinct: dict[Genotype, Genotype] = {}
    for genotype in (space.sample(rng) for _ in range(DRAWS)):
        distinct.setdefault(genotype.canonical(), genotype)
    drawn = list(distinct.values())
    dot = feature_names().index("dot")
    drawn.sort(key=lambda genotype: training_work(genotype, features))
    chosen: list[Genotype] = []
    for has_dot in (True, False):
        like = [g for g in drawn if (features_of(g, features)[dot] > 0) == has_dot]
        terms = [[g for g in like if g.wide == has_term] for has_term in (True, False)]
        chosen += [g for pair in zip_longest(*terms) for g in pair if g is not None]
    return chosen[:count]
