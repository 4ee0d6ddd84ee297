"""The pool: new, distinct, mostly near the best, and the same for the same stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.bayes import propose_pool
from nasrec_opt.errors import StudyError
from nasrec_opt.space import GenotypeEmbedding, SearchSpace

SPACE = SearchSpace.nasrec_full(3)


def evaluated(seed: int, count: int = 20):
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(count)], rng.random((count, 2))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_pool_has_new_models_of_the_space_each_once(seed):
    genotypes, losses = evaluated(seed)
    taken = {genotype.canonical() for genotype in genotypes[:5]}
    known, losses = genotypes[5:], losses[5:]
    rng = np.random.default_rng(seed)
    pool = propose_pool(SPACE, known, losses, size=40, rng=rng, taken=taken)
    assert len(pool) == len(set(pool)) == 40
    assert all(SPACE.contains(genotype) for genotype in pool)
    assert [genotype.canonical() for genotype in pool] == pool
    assert not set(pool) & ({genotype.canonical() for genotype in known} | taken)


def test_the_same_stream_gives_the_same_pool():
    genotypes, losses = evaluated(0)
    one, two = (
        propose_pool(SPACE, genotypes, losses, size=30, rng=np.random.default_rng(1))
        for _ in range(2)
    )
    assert one == two


def test_children_are_near_the_best():
    genotypes, losses = evaluated(0)
    losses = np.arange(len(genotypes), dtype=float)[:, None]
    pool = propose_pool(
        SPACE,
        genotypes,
        losses,
        size=40,
        rng=np.random.default_rng(0),
        tournament_size=20,
        random_share=0.0,
        max_mutations=1,
    )
    embed = GenotypeEmbedding(SPACE).embed
    best, last = embed(genotypes[:1]), embed(genotypes[-1:])
    points = embed(pool)
    assert np.abs(points - best).sum(axis=1).mean() < np.abs(points - last).sum(axis=1).mean()


def test_the_feasible_are_parents_before_the_infeasible():
    genotypes, losses = evaluated(3)
    violation = np.array([1.0] * 19 + [0.0])
    options = {"size": 10, "tournament_size": 20, "random_share": 0.0}
    pool = propose_pool(
        SPACE, genotypes, losses, violation, rng=np.random.default_rng(0), **options
    )
    alone = propose_pool(
        SPACE, genotypes[-1:], losses[-1:], rng=np.random.default_rng(0), **options
    )
    embed = GenotypeEmbedding(SPACE).embed
    parent = embed(genotypes[-1:])

    def distance(found):
        return np.abs(embed(found) - parent).sum(axis=1).mean()

    assert distance(pool) == pytest.approx(distance(alone), rel=0.5)


def test_without_parents_all_is_random():
    pool = propose_pool(SPACE, [], np.zeros((0, 2)), size=20, rng=np.random.default_rng(0))
    assert len(set(pool)) == 20


def test_a_space_that_is_exhausted_gives_what_is_left():
    tiny = SearchSpace(
        num_blocks=1, dense_ops=("fc",), sparse_ops=("efc",), mergers=False, dense_widths=(16, 32)
    )
    models = {tiny.sample(np.random.default_rng(seed)).canonical() for seed in range(100)}
    known = sorted(models, key=repr)[:5]
    pool = propose_pool(tiny, known, np.ones((5, 1)), size=20, rng=np.random.default_rng(0))
    assert set(pool) == models - set(known)


def test_losses_that_do_not_fit_are_an_error():
    genotypes, losses = evaluated(0)
    with pytest.raises(StudyError, match="losses: expected a row for each of 20, got 3"):
        propose_pool(SPACE, genotypes, losses[:3], size=4, rng=np.random.default_rng(0))
