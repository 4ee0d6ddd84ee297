"""Models worth training before anything is known of a space and a log."""

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
    """Random genotypes that are quick to train and seldom bad.

    Of 64 random ones those with a dot product come first: of all that can be said of a genotype
    without training it, that goes most surely with a low log loss. Of them, those whose training
    costs least. Where the space has a first-order term, every second one has it: on a small log
    models need it, and models that differ in it err on other rows, so that their mean is better.

    Args:
        space: What is searched.
        features: Shape of the input.
        count: How many, at most 64.
        seed: Of the draws.

    Returns:
        Distinct architectures; fewer than `count` of a space that has no more.

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
