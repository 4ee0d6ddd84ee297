"""Fake quantisation: few levels, small errors, gradients as if it were not there."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from supernet.cases import make_batch, make_supernet

from nasrec_opt import BlockGene, Genotype
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


def test_bits_matter_where_the_space_searches_them_and_nowhere_else():
    dense, sparse, _ = make_batch(0)
    quantized, exact = make_supernet("bits"), make_supernet("bits")
    exact.is_quantized = False
    with torch.no_grad():
        right = exact(_genotype(8), dense, sparse)
        assert torch.equal(exact(_genotype(4), dense, sparse), right)
        errors = [
            (quantized(_genotype(bits), dense, sparse) - right).abs().mean() for bits in (4, 8)
        ]
    assert errors[1] > 0
    assert errors[0] > 3 * errors[1]


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
