"""Genotypes that are like hand-made models, and the names of architectures that ship."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest
import torch

from nasrec_opt import FeatureSpec, SearchSpace, Subnet, lower
from nasrec_opt.errors import GenotypeError
from nasrec_opt.space import (
    PRESETS,
    Genotype,
    hand_made,
    is_named,
    liveness,
    name_of,
    named_genotype,
    named_genotypes,
    published_model,
)
from nasrec_opt.space._hand_made import HAND_MADE

FEATURES = FeatureSpec(13, (50,) * 26)
SPACES = [
    SearchSpace.nasrec_small(num_blocks=4, wide=(False, True)),
    SearchSpace.nasrec_full(wide=(False, True), max_inputs=2),
]


@pytest.mark.parametrize("name", HAND_MADE)
def test_it_is_of_its_preset_and_every_block_is_live(name):
    genotype = hand_made(name)
    assert genotype.space in PRESETS
    preset = getattr(SearchSpace, genotype.space)(genotype.num_blocks, wide=(False, True))
    assert preset.contains(genotype)
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert all(live.dense_out for live in liveness(genotype))


def test_the_logit_of_dlrm_depends_on_pairs_of_embeddings_alone():
    genotype = hand_made("dlrm").with_bits(32)
    subnet = Subnet(genotype, FEATURES, layer_norm=False, balance=False)
    pairs = 27 * 26 // 2  # of 26 embeddings and the dense vector
    assert subnet.blocks["2"].dense["dot"].output.shape == (512, pairs)
    assert not genotype.wide
    assert all(not block.sparse_ops for block in genotype.blocks)


@pytest.mark.parametrize("name", ["deepfm", "wide-deep"])
def test_models_with_a_wide_part_add_a_weight_for_each_value(name):
    subnet = Subnet(hand_made(name).with_bits(32), FEATURES)
    dense, sparse = torch.rand(2, 13), torch.zeros(2, 26, dtype=torch.long)
    before = subnet(dense, sparse)
    with torch.no_grad():
        subnet.embedding.first_order.add_(0.5)
    torch.testing.assert_close(subnet(dense, sparse), before + 0.5 * 26)


def test_deepfm_is_wide_and_deep_with_a_factorization_machine():
    deepfm, wide_deep = hand_made("deepfm"), hand_made("wide-deep")
    assert deepfm.blocks[0] == wide_deep.blocks[0]
    assert [b.sparse_to_dense for b in deepfm.blocks] == [False, True]
    assert not any(b.sparse_to_dense for b in wide_deep.blocks)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@pytest.mark.parametrize("name", HAND_MADE)
def test_it_is_one_of_a_space_and_can_be_enqueued(name, space):
    genotype = hand_made(name, space)
    assert space.contains(genotype)
    study = optuna.create_study()
    assert space.enqueue(study, genotype) == 0
    assert space.suggest(study.ask(space.distributions())) == genotype


@pytest.mark.parametrize("name", ["deepfm", "wide-deep"])
def test_in_a_space_with_more_blocks_it_is_the_same_model(name):
    alone, inside = (lower(hand_made(name, space), FEATURES) for space in (None, SPACES[1]))
    assert (alone.mflops, alone.parameters) == (inside.mflops, inside.parameters)
    assert sum(live.dense_pre for live in liveness(hand_made(name, SPACES[1]))) == 2


def test_widths_that_a_space_lacks_become_larger():
    space = replace(SearchSpace.nasrec_small(4, wide=(True,)), dense_widths=(64, 1024))
    assert {block.dense_width for block in hand_made("deepfm", space).blocks} == {1024}


def test_unknown_names_are_refused_with_those_known():
    with pytest.raises(GenotypeError, match="hand-made model: expected one of dlrm, deepfm, wide"):
        hand_made("dcn")
    with pytest.raises(GenotypeError, match=r"expected one of dlrm.*got 'deepfn'"):
        named_genotype("like:deepfn")
    with pytest.raises(GenotypeError, match="expected one model, such as published:criteo-small"):
        named_genotype("like")


def test_names_stand_for_what_ships():
    assert len(named_genotypes("published")) == 6
    assert list(named_genotypes("like:dlrm").values()) == [hand_made("dlrm")]
    for name in ("published:kdd-full", "like:wide-deep"):
        assert name_of(named_genotype(name).with_bits(32)) == name
    assert name_of(Genotype(published_model("kdd-full").genotype.blocks[:1])) is None
    assert not is_named("published.json")
    assert not is_named("./like:deepfm")
