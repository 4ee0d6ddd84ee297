"""Motifs: what section 6.1 of the paper says of its models, and cases worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt import BlockGene, Genotype, SearchSpace
from nasrec_opt.motifs import MOTIFS, motifs_of
from nasrec_opt.space import published_model

LOGS = ("criteo", "avazu", "kdd")
SPACE = SearchSpace.nasrec_full(num_blocks=5, multi_operator=True)
SPACES = [SPACE, SearchSpace.autoctr(4), SearchSpace.dnas(4), SearchSpace.profit(4)]
SEEDS = st.integers(0, 2**32 - 1)


def published(name: str) -> dict[str, float]:
    return motifs_of(published_model(name).genotype)


def test_the_first_block_of_the_full_models_attends_to_raw_embeddings():
    assert all(published(f"{log}-full")["first_block_attends"] for log in LOGS)
    assert all(published(f"{log}-small")["attention_blocks"] == 0 for log in LOGS)


def test_attention_is_stacked_on_criteo_and_kdd():
    stacked = {log: published(f"{log}-full")["attention_depth"] for log in LOGS}
    assert stacked == {"criteo": 2, "avazu": 1, "kdd": 2}


def test_self_gating_on_raw_dense_features_is_found_on_criteo_and_kdd():
    found = {log: published(f"{log}-full")["raw_self_gating"] for log in LOGS}
    assert found == {"criteo": 1, "avazu": 0, "kdd": 1}


def test_the_gate_on_avazu_reads_a_higher_representation_beside_the_raw_one():
    """The paper speaks of self-gating there; the genotype that it published has two inputs."""
    gates = [b for b in published_model("avazu-full").genotype.blocks if "gate" in b.dense_ops]
    assert (gates[-1].left_input, gates[-1].right_input) == (0, 2)
    assert not published("avazu-full")["self_gating"]


def test_criteo_full_has_four_valid_blocks():
    assert published("criteo-full")["live_blocks"] == 4


@pytest.mark.parametrize("log", LOGS)
def test_the_full_models_have_more_kinds_of_operators_and_fewer_connections(log):
    small, full = published(f"{log}-small"), published(f"{log}-full")
    assert full["operator_kinds"] > small["operator_kinds"]
    assert full["connections"] < small["connections"]
    assert full["connectivity"] < small["connectivity"]


def test_the_fc_on_avazu_reads_raw_dense_features_and_reaches_the_logit_by_a_merger():
    """The paper names the Gate alone."""
    assert published("avazu-full")["fc"] == 0.25  # of four live blocks
    third = published_model("avazu-full").genotype.blocks[2]
    assert (third.dense_ops, third.dense_inputs, third.dense_to_sparse) == (("fc",), (0,), True)


@pytest.mark.parametrize("space", ["small", "full"])
def test_the_models_of_kdd_are_not_simpler_than_those_of_criteo(space):
    """The paper says that they are."""
    kdd, criteo = published(f"kdd-{space}"), published(f"criteo-{space}")
    for name in ("live_blocks", "connections"):
        assert kdd[name] > criteo[name]
    assert kdd["operator_kinds"] == criteo["operator_kinds"]


def test_criteo_full_by_hand():
    """Live are blocks 1, 2, 3 and 7; see published.json."""
    found = published("criteo-full")
    # Dense inputs read: {0}, {0}, {1, 2}, {0, 2, 3}; sparse: {0}, {0}, {0, 1, 2}, {1, 3}.
    assert found["connections"] == 7 + 7
    assert found["connectivity"] == pytest.approx(14 / (2 * (1 + 2 + 3 + 7)))
    assert found["dense_width"] == (128 + 32 + 768 + 128) / 4
    assert found["sparse_width"] == (64 + 64 + 32 + 48) / 4
    assert (found["gate"], found["dot"], found["fc"], found["sum"]) == (0.25, 0.5, 0.25, 0)
    assert (found["efc"], found["attn"]) == (0.5, 0.5)
    assert (found["sparse_to_dense"], found["dense_to_sparse"]) == (0.5, 0.25)


def test_a_chain_of_attention_ends_at_another_operator():
    blocks = [BlockGene(sparse_ops=("attn",), sparse_inputs=(i,)) for i in range(4)]
    assert motifs_of(Genotype(tuple(blocks)))["attention_depth"] == 4
    blocks[2] = replace(blocks[2], sparse_ops=("efc",))
    found = motifs_of(Genotype(tuple(blocks)))
    assert (found["attention_depth"], found["attention_blocks"]) == (2, 0.75)


def test_gating_of_a_later_block_is_not_on_raw_features():
    gate = BlockGene(dense_ops=("gate",), left_input=1, right_input=1)
    found = motifs_of(Genotype((BlockGene(), gate)))
    assert (found["self_gating"], found["raw_self_gating"]) == (1, 0)
    symmetric = replace(gate, dense_ops=("sum",))
    assert motifs_of(Genotype((BlockGene(), symmetric)))["self_gating"] == 0


@given(st.sampled_from(SPACES), SEEDS)
def test_what_does_not_reach_the_logit_does_not_count(space, seed):
    genotype = space.sample(np.random.default_rng(seed))
    assert motifs_of(genotype) == motifs_of(genotype.canonical())


@given(st.sampled_from(SPACES), SEEDS)
def test_shares_are_shares(space, seed):
    found = motifs_of(space.sample(np.random.default_rng(seed)))
    assert tuple(found) == tuple(MOTIFS)
    for name, motif in MOTIFS.items():
        assert 0 <= found[name] <= (1 if motif.kind == "share" else 1024), name
