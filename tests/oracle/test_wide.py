"""Answers for models with a first-order term: shared with those without, and refused where none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.models import SPACES, assert_close, draw, forward, oracle_of, rows_of, scored

from nasrec_opt.errors import GenotypeError
from nasrec_opt.oracle import FineTune, Scratch

SPACE = SPACES["wide"]
seeds = st.integers(0, 2**32 - 1)


def twins(seed):
    genotype = draw(SPACE, seed)
    return [replace(genotype, wide=is_wide) for is_wide in (False, True)]


@settings(max_examples=6, deadline=None)
@given(seeds, st.sampled_from(["supernet", "last_layer"]), st.sampled_from([0, 1 << 30]))
def test_what_was_asked_before_changes_no_answer(supernets, dataset, seed, fidelity, memory_bytes):
    options = {"rows": 100, "fit_rows": 150, "chunk_rows": 64, "fidelity": fidelity}
    alone = [
        oracle_of(supernets["wide"], dataset, memory_bytes=0, **options).evaluate(genotype)
        for genotype in twins(seed)
    ]
    assert alone[0] != alone[1]
    for order in ((0, 1), (1, 0), (1, 1, 0)):
        oracle = oracle_of(supernets["wide"], dataset, memory_bytes=memory_bytes, **options)
        assert [oracle.evaluate(twins(seed)[i]) for i in order] == [alone[i] for i in order]
    oracle = oracle_of(supernets["wide"], dataset, memory_bytes=memory_bytes, **options)
    assert oracle.evaluate_many(twins(seed)) == alone


def test_the_term_costs_no_block_a_second_pass(supernets, dataset):
    oracle = oracle_of(supernets["wide"], dataset, rows=200)
    without, term = twins(3)
    oracle.evaluate(without)
    kept = oracle.cached_bytes
    oracle.evaluate(term)
    assert oracle.cached_bytes == kept > 0


def test_the_term_is_logistic_regression_added_to_the_logit(supernets, dataset):
    """By hand, in floating point: a weight a value, a weight a dense feature."""
    supernet, batch = supernets["wide"], rows_of(dataset, "validation", 50)
    without, term = (genotype.with_bits(32) for genotype in twins(5))
    weights = supernet.embedding.first_order.detach().numpy()[:, 0]
    offsets = np.concatenate([[0], np.cumsum(dataset.features.cardinalities)[:-1]])
    by_hand = weights[batch.sparse + offsets].sum(axis=1)
    by_hand += batch.dense @ supernet.final.first_order.detach().numpy()[0]
    found = forward(supernet, batch, term) - forward(supernet, batch, without)
    np.testing.assert_allclose(found, by_hand, atol=1e-4)


@pytest.mark.parametrize("memory_bytes", [0, 1 << 30])
def test_bfloat16_leaves_the_term_as_it_is(supernets, dataset, memory_bytes):
    oracle = oracle_of(
        supernets["wide"], dataset, rows=300, precision="bfloat16", memory_bytes=memory_bytes
    )
    batch = rows_of(dataset, "validation", 300)
    for genotype in twins(7):
        expected = scored(forward(supernets["wide"], batch, genotype), batch.labels)
        assert_close(oracle.evaluate(genotype), expected, tolerance=0.05)


@pytest.mark.parametrize(
    "how", [FineTune(steps=4, batch_size=64), Scratch(batch_size=256, epochs=1)], ids=str
)
def test_trained_subnets_learn_the_term_and_leave_the_supernet_alone(supernets, dataset, how):
    supernet = supernets["wide"]
    before = {name: weight.clone() for name, weight in supernet.state_dict().items()}
    oracle = oracle_of(supernet, dataset, rows=100, fidelity=how)
    without, term = (oracle.evaluate(genotype) for genotype in twins(1))
    assert without.log_loss != term.log_loss
    assert all(torch.equal(weight, before[name]) for name, weight in supernet.state_dict().items())
    again = oracle_of(supernet, dataset, rows=100, fidelity=how)
    assert again.evaluate(twins(1)[1]) == term


def test_a_supernet_without_first_order_weights_refuses_a_model_that_has_them(supernets, dataset):
    oracle = oracle_of(supernets["plain"], dataset, rows=40)
    genotype = replace(draw(SPACES["plain"], 0), wide=True)
    with pytest.raises(GenotypeError, match="wide: expected false, as the supernet has no first"):
        oracle.evaluate(genotype)
