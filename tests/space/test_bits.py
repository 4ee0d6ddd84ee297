"""Bits of a genotype: which there are, floating point, and the one rule for the final layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt import BlockGene, FeatureSpec, Genotype, SearchSpace
from nasrec_opt.errors import GenotypeError
from nasrec_opt.lowering import lower

FEATURES = FeatureSpec(5, (7, 11, 3))
SPACE = SearchSpace(num_blocks=3, bits=(4, 8, (4, 7), 32), multi_operator=True)
FLOATS = SearchSpace(num_blocks=3, bits=(32,))
genotypes = st.builds(
    lambda space, seed: space.sample(np.random.default_rng(seed)),
    st.sampled_from([SPACE, FLOATS, replace(SPACE, bits=(8, 32))]),
    st.integers(0, 2**32 - 1),
)


def test_floating_point_is_32_bits_of_weights_and_activations_together():
    assert BlockGene(dense_bits=32).dense_weight_bits == 32
    assert BlockGene(sparse_bits=(32, 32)).sparse_bits == 32
    for bits in (3, 9, 16, 31, 33, (32, 8), (8, 32), (4, 9), True):
        with pytest.raises(GenotypeError, match="expected 4 to 8, a pair of them, or 32"):
            BlockGene(dense_bits=bits)
        with pytest.raises(GenotypeError, match="bits"):
            SearchSpace(bits=(bits,))


@given(genotypes)
def test_the_final_layer_is_floating_point_where_everything_that_reaches_it_is(genotype):
    products = [o for o in lower(genotype, FEATURES).operations if hasattr(o, "weight_bits")]
    before = {o.weight_bits for o in products[:-1]}
    final = products[-1]
    assert final.name == "final"
    assert (final.weight_bits, final.activation_bits) == (genotype.final_bits,) * 2
    if before:
        assert genotype.final_bits in (8, 32)
        if before != {32}:
            assert genotype.final_bits == 8
    assert genotype.canonical().final_bits == genotype.final_bits
    assert genotype.with_bits(32).final_bits == 32
    assert genotype.with_bits((4, 6)).final_bits == 8


def test_bits_of_a_block_that_no_path_uses_do_not_count():
    dead = BlockGene(dense_bits=8, sparse_bits=8)
    last = BlockGene(dense_bits=32, sparse_bits=32)
    assert Genotype((dead, last)).final_bits == 32
    read = Genotype((dead, replace(last, dense_inputs=(1,))))
    assert read.final_bits == 8


@given(genotypes, st.sampled_from([4, 8, 32, (5, 8)]))
def test_with_bits_changes_nothing_else(genotype, bits):
    changed = genotype.with_bits(bits)
    for ours, theirs in zip(changed.blocks, genotype.blocks, strict=True):
        assert (ours.dense_bits, ours.sparse_bits) == (bits, bits)
        kept = {"dense_bits": theirs.dense_bits, "sparse_bits": theirs.sparse_bits}
        assert replace(ours, **kept) == theirs
    assert (changed.hardware, changed.space) == (genotype.hardware, genotype.space)


@given(genotypes)
def test_a_genotype_with_floating_point_round_trips(genotype):
    assert Genotype.from_json(genotype.to_json()) == genotype
    space = next(s for s in (FLOATS, replace(SPACE, bits=(8, 32)), SPACE) if s.contains(genotype))
    assert space.decode(space.encode(genotype)) == genotype
    assert SearchSpace.from_dict(space.to_dict()) == space


def test_a_pair_of_equal_bits_is_no_second_choice_in_a_space():
    with pytest.raises(GenotypeError, match=r"bits: expected every value once, got \[8, 8\]"):
        SearchSpace(num_blocks=2, bits=(8, (8, 8)))
