"""Mutations: one block, one gene, another model."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.errors import GenotypeError
from nasrec_opt.space import (
    BlockGene,
    Genotype,
    HardwareChoices,
    HardwareGene,
    SearchSpace,
    liveness,
)
from nasrec_opt.space import _mutation as mutation

SPACES = [
    SearchSpace.nasrec_small(),
    SearchSpace.nasrec_full(multi_operator=True),
    SearchSpace.codesign(),
    SearchSpace.nasrec_full(2, max_inputs=1),
    SearchSpace.nasrec_small(2, wide=(False, True)),
    SearchSpace.codesign(2, wide=(True, False)),
    SearchSpace.autoctr(3),
    SearchSpace.dnas(4, multi_operator=True),
    SearchSpace.profit(4, codesign=True),
]
spaces = st.sampled_from(SPACES)
seeds = st.integers(0, 2**32 - 1)


def differing_blocks(one: Genotype, other: Genotype) -> list[int]:
    pairs = enumerate(zip(one.blocks, other.blocks, strict=True))
    return [index for index, (left, right) in pairs if left != right]


@given(spaces, seeds)
def test_a_mutation_changes_one_block_or_one_gene_of_the_whole_model(space, seed):
    rng = np.random.default_rng(seed)
    parent = space.sample(rng)
    child = space.mutate(parent, rng)
    blocks = differing_blocks(parent, child)
    if blocks:
        assert len(blocks) == 1
        assert (child.hardware, child.wide) == (parent.hardware, parent.wide)
    elif child.wide != parent.wide:
        assert child.hardware == parent.hardware
    else:
        before, after = parent.hardware.to_dict(), child.hardware.to_dict()
        assert sum(before[gene] != after[gene] for gene in before) == 1


@given(spaces, seeds)
def test_a_mutation_is_another_model_of_the_same_space(space, seed):
    rng = np.random.default_rng(seed)
    parent = space.sample(rng)
    child = space.mutate(parent, rng)
    assert space.contains(child)
    assert child.canonical() != parent.canonical()


@given(spaces, seeds)
def test_a_mutation_that_is_skipped_as_dead_could_not_have_mattered(space, seed):
    rng = np.random.default_rng(seed)
    parent = space.sample(rng)
    before = parent.canonical()
    for index, live in enumerate(liveness(parent)):
        for mutate in mutation.MUTATIONS:
            if not mutation._is_live(live, mutate):
                children = mutation._children(space.choices, parent, index, mutate, rng)
                assert all(child.canonical() == before for child in islice(children, 8))


def kind(parent: Genotype, child: Genotype) -> str:
    """Which of the mutations made this child."""
    blocks = differing_blocks(parent, child)
    if not blocks:
        return "hardware"
    one, other = parent.blocks[blocks[0]], child.blocks[blocks[0]]
    groups = {
        "dense width": ["dense_width"],
        "sparse width": ["sparse_width"],
        "dense operator": ["dense_ops"],
        "sparse operator": ["sparse_ops"],
        "mergers": ["dense_to_sparse", "sparse_to_dense"],
        "bits": ["dense_bits", "sparse_bits"],
    }
    changed = [
        name
        for name, genes in groups.items()
        if any(getattr(one, gene) != getattr(other, gene) for gene in genes)
    ]
    assert len(changed) <= 1
    return changed[0] if changed else "connection"


def test_all_mutations_of_the_paper_happen():
    rng = np.random.default_rng(0)
    space = SearchSpace.nasrec_full()
    seen = Counter()
    for _ in range(600):
        parent = space.sample(rng)
        seen[kind(parent, space.mutate(parent, rng))] += 1
    assert set(seen) == {
        "dense width", "sparse width", "dense operator", "sparse operator", "connection", "mergers",
    }  # fmt: skip
    assert min(seen.values()) > 40  # about 100 each, were no branch ever dead


def test_codesign_mutates_bits_and_the_accelerator_as_well():
    rng = np.random.default_rng(0)
    space = SearchSpace.codesign()
    seen = Counter()
    for _ in range(400):
        parent = space.sample(rng)
        seen[kind(parent, space.mutate(parent, rng))] += 1
    assert {"bits", "hardware"} < set(seen)
    assert "sparse operator" not in seen  # there is only EFC
    assert min(seen.values()) > 15


def test_each_mutation_lists_every_other_value_once():
    space = SearchSpace.nasrec_full(3)
    block = BlockGene(dense_inputs=(0, 1), sparse_inputs=(2,))
    choices = space.choices.blocks[2]
    rng = np.random.default_rng(0)
    expected = {
        mutation.resample_dense_width: 7,
        mutation.resample_sparse_width: 3,
        mutation.resample_dense_operator: 3,
        mutation.resample_sparse_operator: 1,
        mutation.resample_connection: 6 + 6,
        mutation.resample_mergers: 3,
        mutation.resample_bits: 0,
    }
    for mutate, count in expected.items():
        children = list(mutate(block, choices, rng))
        assert len(set(children)) == len(children) == count
        assert block not in children


def test_a_dead_block_is_left_alone():
    space = SearchSpace.nasrec_small(2)
    parent = Genotype((BlockGene(), BlockGene()), space="nasrec_small")  # nobody reads block 1
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert differing_blocks(parent, space.mutate(parent, rng)) == [1]


def test_a_space_of_one_model_gives_the_parent_back():
    space = SearchSpace(
        num_blocks=1, dense_ops=("fc",), sparse_ops=("efc",), dense_widths=(16,),
        sparse_widths=(16,), mergers=False,
    )  # fmt: skip
    only = space.sample(np.random.default_rng(0))
    assert space.mutate(only, np.random.default_rng(0)) == only


def test_the_only_gene_that_varies_is_found():
    fixed = {gene: (value,) for gene, value in HardwareGene().to_dict().items()}
    space = SearchSpace(
        num_blocks=3, dense_ops=("fc",), sparse_ops=("efc",), dense_widths=(16,), max_inputs=1,
        sparse_widths=(16,), mergers=False,
        hardware=HardwareChoices(**fixed | {"dac_bits": (1, 2)}),
    )  # fmt: skip
    blocks = (BlockGene(dense_width=16, sparse_width=16),) * 3
    parent = Genotype(blocks, HardwareGene(), "custom")
    children = {space.mutate(parent, np.random.default_rng(seed)) for seed in range(200)}
    assert replace(parent, hardware=replace(parent.hardware, dac_bits=2)) in children


def test_mutating_a_genotype_of_another_space_is_an_error():
    parent = SearchSpace.nasrec_full(2).sample(np.random.default_rng(0))
    with pytest.raises(GenotypeError, match="space: expected 'nasrec_small'"):
        SearchSpace.nasrec_small(2).mutate(parent, np.random.default_rng(0))
