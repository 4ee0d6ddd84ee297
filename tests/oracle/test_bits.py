"""The model that is scored has exactly the bits that its cost assumes, product by product."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.models import SPACES, draw, oracle_of, supernet_of

from hw import CPU, DescriptionError, MatrixVector, Noise, ReRAM
from nasrec_opt import FeatureSpec, Genotype, SearchSpace, Subnet
from nasrec_opt.lowering import CrossbarCells, lower
from nasrec_opt.oracle import NoisyOracle
from nasrec_opt.supernet import WeightReader

FEATURES = FeatureSpec(5, (7, 11, 3, 20))
SPACE = SearchSpace(
    num_blocks=3,
    dense_widths=(16, 64, 136),
    sparse_widths=(16, 24),
    bits=(4, 8, (4, 7), 32),
    multi_operator=True,
)


def applied(genotype: Genotype) -> list[tuple[int, int, tuple[int, int]]]:
    """Outputs, inputs and bits of the weights of each product, as the network itself has them."""
    found = []

    class Recording(WeightReader):
        """A reader of the user's own."""

        def weight(self, whole, *index):
            return whole[index]

        def linear(self, inputs, weight, bias=None, *, bits=(32, 32), dim=-1):
            assert weight.shape[1] == inputs.shape[dim]
            found.append((*weight.shape, bits))
            return super().linear(inputs, weight, bias, bits=bits, dim=dim)

    subnet = Subnet(genotype, FEATURES)
    ids = torch.zeros(2, 4, dtype=torch.int64)
    subnet.hidden(genotype, torch.ones(2, 5), subnet.embed(ids), Recording())
    return found


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 4, 8, (5, 8), 32]))
def test_every_product_has_the_bits_that_its_cost_assumes(seed, bits):
    genotype = SPACE.sample(np.random.default_rng(seed))
    genotype = genotype if bits is None else genotype.with_bits(bits)
    products = [o for o in lower(genotype, FEATURES).operations if isinstance(o, MatrixVector)]
    weights = iter(applied(genotype))
    for product in products[:-1]:
        inputs = 0
        while inputs < product.inputs:  # concatenated dense inputs have a weight each
            rows, columns, pair = next(weights)
            assert rows == product.outputs, product.name
            assert pair == (product.weight_bits, product.activation_bits), product.name
            inputs += columns
        assert inputs == product.inputs, product.name
    assert next(weights, None) is None
    final = products[-1]  # what its bits do to the logits is tested with the network
    assert (final.name, final.weight_bits) == ("final", genotype.final_bits)


@pytest.mark.parametrize("fidelity", ["supernet", "last_layer"])
def test_scores_of_four_eight_and_32_bits_differ_and_so_do_their_costs(dataset, fidelity):
    """At one supernet, and at one of a space with nothing but those bits."""
    space = replace(SPACES["plain"], bits=(8,))
    genotype = draw(space, 0)
    for spaces in ([space] * 3, [replace(space, bits=(bits,)) for bits in (4, 8, 32)]):
        losses = []
        for bits, own in zip((4, 8, 32), spaces, strict=True):
            oracle = oracle_of(supernet_of(own, dataset), dataset, fidelity=fidelity)
            losses.append(oracle.evaluate(genotype.with_bits(bits)).log_loss)
        four, eight, floats = losses
        assert len({four, eight, floats}) == 3
        assert abs(four - floats) > abs(eight - floats)
    four, eight, floats = (
        CPU().cost(lower(genotype.with_bits(b), dataset.features)).energy_pj for b in (4, 8, 32)
    )
    assert four <= eight < floats
    on_crossbars = [
        ReRAM().cost(lower(genotype.with_bits(b), dataset.features)).energy_pj for b in (4, 8)
    ]
    assert on_crossbars[0] < on_crossbars[1]
    with pytest.raises(DescriptionError, match="crossbar accelerator"):
        ReRAM().cost(lower(genotype.with_bits(32), dataset.features))


def test_cells_hold_no_floating_point(supernets, dataset):
    oracle = oracle_of(supernets["plain"], dataset)
    noisy = NoisyOracle(oracle, CrossbarCells(ReRAM(), Noise(conductance_sigma=0.1)))
    with pytest.raises(DescriptionError, match=r"product 0: expected bits that cells hold.*got 32"):
        noisy.evaluate(draw(SPACES["plain"], 0).with_bits(32))
