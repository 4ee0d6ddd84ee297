"""Models worth training before anything is known of a space and a log."""

from __future__ import annotations

import numpy as np

from nasrec_opt.features import FeatureSpec
from nasrec_opt.ladder._candidates import feature_names, features_of, training_work
from nasrec_opt.space import Genotype, SearchSpace

DRAWS = 64


def probe_genotypes(
    space: SearchSpace, features: FeatureSpec, count: int, seed: int
) -> list[Genotype]:
    """Random genotypes that are quick to train and seldom bad.

    Of 64 random ones those with a dot product and, where the space has it, a first-order term come
    first: of all that can be said of a genotype without training it, these go most surely with low
    log losses. Of them, those whose training costs least.

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
    dot, wide = (feature_names().index(name) for name in ("dot", "wide"))

    def traits(genotype: Genotype) -> int:
        known = features_of(genotype, features)
        return int(known[dot] > 0) + int(known[wide] > 0)

    drawn.sort(key=lambda genotype: (-traits(genotype), training_work(genotype, features)))
    return drawn[:count]
