"""Genotypes as points: one for each model, in the unit cube."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.errors import GenotypeError
from nasrec_opt.space import BlockGene, Genotype, GenotypeEmbedding, SearchSpace

SPACES = [
    SearchSpace.nasrec_small(),
    SearchSpace.nasrec_full(),
    SearchSpace.nasrec_full(multi_operator=True, max_inputs=2),
    SearchSpace.nasrec_full(4, codesign=True),
    SearchSpace.codesign(),
    SearchSpace(num_blocks=3, bits=(4, 8, (4, 8)), mergers=False, dense_ops=("gate", "sum")),
    SearchSpace(num_blocks=2, dense_ops=("sum",), sparse_widths=(16,), dense_widths=(8, 24)),
    SearchSpace.nasrec_small(3, wide=(False, True)),
    SearchSpace.codesign(3, wide=(True,)),
    SearchSpace.autoctr(3),
    SearchSpace.dnas(4, multi_operator=True),
    SearchSpace.profit(4, codesign=True),
]
EMBEDDINGS = [GenotypeEmbedding(space) for space in SPACES]
places = st.integers(0, len(SPACES) - 1)
seeds = st.integers(0, 2**32 - 1)


def point(place: int, genotype: Genotype) -> list[float]:
    return EMBEDDINGS[place].embed([genotype])[0].tolist()


@given(places, seeds)
def test_points_lie_in_the_unit_cube_and_have_a_name_for_each_dimension(place, seed):
    found = point(place, SPACES[place].sample(np.random.default_rng(seed)))
    assert len(found) == EMBEDDINGS[place].num_dimensions == len(set(EMBEDDINGS[place].names))
    assert all(0.0 <= value <= 1.0 for value in found)


@given(places, seeds)
def test_every_spelling_of_a_model_is_the_same_point(place, seed):
    rng = np.random.default_rng(seed)
    genotype = SPACES[place].sample(rng)
    assert point(place, genotype) == point(place, genotype.canonical())
    # Genes that do not matter are drawn anew until one of them changes.
    other = genotype
    for _ in range(20):
        blocks = list(genotype.blocks)
        index = rng.integers(len(blocks))
        blocks[index] = SPACES[place].sample(rng).blocks[index]
        spelled = replace(genotype, blocks=tuple(blocks))
        if spelled.canonical() == genotype.canonical():
            other = spelled
    assert point(place, genotype) == point(place, other)


@given(places, seeds)
def test_different_models_are_different_points(place, seed):
    rng = np.random.default_rng(seed)
    space = SPACES[place]
    parent = space.sample(rng)
    child = space.mutate(parent, rng)  # its canonical form differs where the space has two models
    random = space.sample(rng)
    for other in (child, random):
        same = parent.canonical() == other.canonical()
        assert (point(place, parent) == point(place, other)) == same


def test_all_models_of_a_small_space_are_told_apart():
    space = SearchSpace(num_blocks=2, dense_widths=(16, 64), sparse_widths=(16, 64))
    rng = np.random.default_rng(0)
    models = {space.sample(rng).canonical() for _ in range(4000)}
    points = GenotypeEmbedding(space).embed(models)
    assert len(np.unique(points, axis=0)) == len(models)


def test_widths_are_placed_by_their_logarithm():
    space = SearchSpace(num_blocks=1, dense_widths=(16, 64, 256))
    embedding = GenotypeEmbedding(space)
    column = embedding.names.index("b1.dense_width")
    genotypes = [
        Genotype((BlockGene(dense_width=width),), space="custom") for width in (16, 64, 256)
    ]
    assert embedding.embed(genotypes)[:, column].tolist() == [0.0, 0.5, 1.0]


def test_no_genotypes_are_no_points():
    assert EMBEDDINGS[0].embed([]).shape == (0, EMBEDDINGS[0].num_dimensions)


def test_a_genotype_of_another_space_is_an_error():
    genotype = SearchSpace.nasrec_full().sample(np.random.default_rng(0))
    with pytest.raises(GenotypeError, match="space: expected 'nasrec_small', got 'nasrec_full'"):
        EMBEDDINGS[0].embed([genotype])
