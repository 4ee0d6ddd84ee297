"""Readers of weights: one product, whatever reads; what each leaves behind."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from supernet.cases import SPACES, TABLES, draw, make_batch, make_supernet, seeds

from nasrec_opt.supernet import (
    CastingReader,
    LeafReader,
    SliceRecorder,
    ViewReader,
    WeightReader,
    multiply,
    round_to,
)

NETS = {name: make_supernet(name) for name in SPACES}
sizes = st.integers(1, 5)


class Whole(WeightReader):
    """The least that a reader of a user's own defines."""

    def weight(self, whole, *index):
        return whole[index]


@given(
    batch=sizes, vectors=sizes, inputs=sizes, outputs=sizes, seed=seeds,
    dim=st.sampled_from([-1, 1]),
    bias=st.sampled_from(["none", "vector", "whole"]), bits=st.sampled_from([(32, 32), (4, 8)]),
)  # fmt: skip
def test_a_product_is_that_of_a_loop_over_the_vectors(
    batch, vectors, inputs, outputs, seed, dim, bias, bits
):
    rng = np.random.default_rng(seed)
    weight = torch.from_numpy(rng.normal(size=(outputs, inputs)))
    shape = (batch, inputs, vectors) if dim == 1 else (batch, inputs)
    values = torch.from_numpy(rng.normal(size=shape))
    added = None
    if bias == "vector" or (bias == "whole" and dim == 1):
        added = torch.from_numpy(rng.normal(size=outputs))
    elif bias == "whole":
        added = torch.from_numpy(rng.normal(size=(batch, outputs)))
    made = Whole().linear(values, weight, added, bits=bits, dim=dim)
    rounded = round_to(weight, bits[0])
    for row in range(batch):
        own = added[row] if added is not None and added.ndim == 2 else added
        columns = values[row].T if dim == 1 else [values[row]]
        for place, vector in enumerate(columns):
            expected = (rounded * vector).sum(dim=1) + (0 if own is None else own)
            found = made[row, :, place] if dim == 1 else made[row]
            torch.testing.assert_close(found, expected)
    torch.testing.assert_close(multiply(values, rounded, added, dim), made)


@pytest.mark.parametrize("name", SPACES)
@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_logits_are_the_same_whoever_reads(name, seed):
    supernet, genotype, (dense, sparse, _) = NETS[name], draw(name, seed), make_batch(seed)
    expected = supernet(genotype, dense, sparse)
    for reader in (ViewReader(), LeafReader(), SliceRecorder(), Whole()):
        assert torch.equal(supernet(genotype, dense, sparse, reader), expected)
    # In float64: in float32 another order of sums can round a quantised value the other way.
    supernet, dense = copy.deepcopy(supernet).double(), dense.double()
    folded = supernet(genotype, dense, sparse, CastingReader(torch.float64))
    torch.testing.assert_close(folded, supernet(genotype, dense, sparse))


def test_only_a_reader_of_weights_without_gradients_lets_layers_fold():
    assert not any(reader.can_fold for reader in (ViewReader(), LeafReader(), Whole()))
    assert CastingReader(torch.float32).can_fold
    with torch.no_grad():
        assert ViewReader().can_fold
        assert not any(reader.can_fold for reader in (LeafReader(), SliceRecorder(), Whole()))


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_a_reader_that_lets_nothing_fold_gives_the_same_with_and_without_gradients(seed):
    """No path is chosen by whether gradients are enabled: the reader alone says."""
    supernet, genotype, (dense, sparse, _) = NETS["single"], draw("single", seed), make_batch(seed)
    expected = supernet(genotype, dense, sparse, Whole())
    with torch.no_grad():
        assert torch.equal(supernet(genotype, dense, sparse, Whole()), expected)
    with torch.inference_mode():
        assert torch.equal(supernet(genotype, dense, sparse, Whole()), expected)


@given(name=st.sampled_from(sorted(SPACES)), seed=seeds)
@settings(max_examples=15, deadline=None)
def test_leaves_have_the_gradients_of_their_slices(name, seed):
    supernet, genotype, (dense, sparse, _) = NETS[name], draw(name, seed), make_batch(seed)
    leaves = LeafReader()
    supernet.zero_grad()
    supernet(genotype, dense, sparse, leaves).sum().backward()
    own = {n: w.grad for n, w in supernet.named_parameters() if n not in TABLES}
    assert not any(gradient is not None for gradient in own.values())
    supernet(genotype, dense, sparse).sum().backward()
    for leaf in leaves.used:
        torch.testing.assert_close(leaf.view.grad, leaf.weight.grad[leaf.index])
    recorder = SliceRecorder()
    supernet(genotype, dense, sparse, recorder)
    assert [(id(w), i) for w, i in recorder.used] == [(id(x.weight), x.index) for x in leaves.used]
