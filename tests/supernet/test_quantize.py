"""Fake quantisation: few levels, small errors, gradients as if it were not there."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from supernet.cases import draw, make_batch, make_supernet

from nasrec_opt import BlockGene, Genotype
from nasrec_opt.supernet import trained_as
from nasrec_opt.supernet._quantize import fake_quantize

values = st.integers(0, 2**32 - 1).map(
    lambda seed: torch.randn(3, 40, generator=torch.Generator().manual_seed(seed))
)


@given(values=values, bits=st.integers(2, 8))
@settings(max_examples=40, deadline=None)
def test_values_go_to_the_nearest_of_symmetric_levels(values, bits):
    rounded = fake_quantize(values, bits)
    step = values.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
    assert ((rounded - values).abs() <= step / 2 * 1.001).all()
    levels = rounded / step
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    torch.testing.assert_close(fake_quantize(-values, bits), -rounded)
    torch.testing.assert_close(fake_quantize(rounded, bits), rounded)


@given(values=values)
@settings(max_examples=10, deadline=None)
def test_gradients_pass_straight_through(values):
    values.requires_grad_()
    weights = torch.arange(values.numel(), dtype=torch.float32).view_as(values)
    (fake_quantize(values, 4) * weights).sum().backward()
    assert torch.equal(values.grad, weights)


def test_zeros_stay_zeros():
    assert torch.equal(fake_quantize(torch.zeros(2, 3), 4), torch.zeros(2, 3))


def _genotype(bits):
    block = BlockGene(dense_width=64, sparse_width=16, dense_bits=bits, sparse_bits=bits)
    after = BlockGene(
        dense_width=64, sparse_width=16, sparse_inputs=(1,), dense_inputs=(1,),
        dense_bits=bits, sparse_bits=bits,
    )  # fmt: skip
    return Genotype((block, after, after), space="custom")


@pytest.mark.parametrize("name", ["bits", "single", "floats"])
@pytest.mark.parametrize("masking", ["slice", "zero"])
def test_a_model_has_its_own_bits_whatever_those_of_the_space(name, masking):
    dense, sparse, _ = make_batch(0)
    supernet = make_supernet(name, masking=masking)
    blocks = _genotype(8).blocks * 2
    genotype = Genotype(blocks[: supernet.space.num_blocks], space="custom")
    with torch.no_grad():
        exact, eight, four = (
            supernet(genotype.with_bits(bits), dense, sparse) for bits in (32, 8, 4)
        )
    errors = [(logits - exact).abs().mean() for logits in (four, eight)]
    assert errors[1] > 0
    assert errors[0] > 3 * errors[1]


def test_the_final_layer_is_rounded_too():
    supernet, genotype = make_supernet("single"), draw("single", 3)
    dense, sparse, _ = make_batch(0)
    with torch.no_grad():
        hidden = supernet.hidden(genotype, dense, supernet.embed(sparse))
        last = genotype.num_blocks
        rows = hidden.sparse[last].vectors
        inputs = torch.cat([hidden.dense[last], rows.flatten(1)], dim=1)
        weight, bias = supernet.last_weight(genotype, hidden)
        expected = fake_quantize(inputs, 8) @ fake_quantize(weight, 8) + bias
        found = supernet(genotype, dense, sparse)
        torch.testing.assert_close(found, expected)
        assert not torch.allclose(found, inputs @ weight + bias, atol=1e-5)


def test_models_of_8_bits_learn_in_floating_point_and_those_of_fewer_with_their_rounding():
    genotype = _genotype(8)
    assert trained_as(genotype) == genotype.with_bits(32)
    assert trained_as(_genotype(4)) == _genotype(4)
    assert trained_as(_genotype((4, 8))) == _genotype((4, 8))
    dead = Genotype((_genotype(4).blocks[0], _genotype(8).blocks[0]), space="custom")
    assert trained_as(dead) == dead.with_bits(32)  # its first block reaches nothing


@pytest.mark.parametrize("bits", [4, (4, 8)])
def test_a_row_does_not_depend_on_the_rest_of_its_batch(bits):
    dense, sparse, _ = make_batch(0, rows=20)
    supernet = make_supernet("bits")
    with torch.no_grad():
        whole = supernet(_genotype(bits), dense, sparse)
        alone = torch.cat(
            [supernet(_genotype(bits), dense[i : i + 1], sparse[i : i + 1]) for i in range(20)]
        )
    torch.testing.assert_close(whole, alone, atol=1e-4, rtol=1e-3)
