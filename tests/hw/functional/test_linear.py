"""A linear layer on crossbars: the quantised one where nothing is lost, and its losses in order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hw import AnalogLinear, DescriptionError, Noise, ReRAM
from hw.files import ENCODINGS
from nasrec_opt.supernet._quantize import fake_quantize

SHIPPED = ReRAM().geometry
RNG = np.random.default_rng(0)
WEIGHTS, INPUTS = RNG.standard_normal((24, 200)), RNG.standard_normal((50, 200))
EXACT = INPUTS @ WEIGHTS.T


def error(layer):
    """Root mean square of the difference, relative to the products."""
    return float(np.sqrt(np.mean((layer(INPUTS) - EXACT) ** 2)) / EXACT.std())


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(2, 8), st.sampled_from(ENCODINGS), st.integers(0, 99))
def test_without_loss_a_layer_is_the_fake_quantised_one(weight_bits, input_bits, encoding, seed):
    rng = np.random.default_rng(seed)
    weights, inputs = rng.standard_normal((5, 150)), rng.standard_normal((3, 150))
    flip = encoding == "offset"
    geometry = replace(SHIPPED, encoding=encoding, flip_encoding=flip)
    layer = AnalogLinear(
        weights, geometry, weight_bits=weight_bits, activation_bits=input_bits
    )  # fmt: skip
    quantised = fake_quantize(torch.from_numpy(weights), weight_bits)
    applied = fake_quantize(torch.from_numpy(inputs), input_bits)
    np.testing.assert_allclose(layer(inputs), (applied @ quantised.T).numpy(), rtol=0, atol=1e-9)
    np.testing.assert_allclose(layer.weights, quantised.numpy(), rtol=0, atol=1e-12)


def test_products_are_worse_with_fewer_bits_more_variation_and_coarser_converters():
    def noisy(sigma, **others):
        noise, rng = Noise(conductance_sigma=sigma, **others), np.random.default_rng(1)
        return error(AnalogLinear(WEIGHTS, SHIPPED, noise=noise, rng=rng))

    by_bits = [error(AnalogLinear(WEIGHTS, SHIPPED, weight_bits=bits)) for bits in (8, 6, 4)]
    by_sigma = [noisy(sigma) for sigma in (0.0, 0.02, 0.1)]
    stuck = [noisy(0.0, stuck_on=share) for share in (0.0, 0.001, 0.01)]
    clipping = replace(SHIPPED, clips=True, flip_encoding=False)
    by_converter = [
        error(AnalogLinear(WEIGHTS, replace(clipping, adc_bits=bits))) for bits in (9, 7, 6)
    ]
    for errors in (by_bits, by_sigma, stuck, by_converter):
        assert errors == sorted(set(errors))
    assert by_bits[0] == by_sigma[0] == stuck[0] == by_converter[0] < 0.02


def test_saturated_conversions_are_counted():
    geometry = replace(SHIPPED, clips=True, flip_encoding=False, adc_bits=6)
    result = AnalogLinear(WEIGHTS, geometry).multiply(INPUTS)
    assert result.conversions == 50 * 2 * 24 * 4 * 8  # vectors, row blocks, outputs, slices, bits
    assert 0 < result.clipped < result.conversions


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"weight_bits": 1}, "weight_bits: expected 2 to 16, got 1"),
        ({"activation_bits": 17}, "activation_bits: expected 2 to 16, got 17"),
        ({"noise": Noise(stuck_on=0.1)}, "rng: expected a generator"),
    ],
)
def test_what_cannot_be_is_refused(options, sentence):
    with pytest.raises(DescriptionError, match=sentence):
        AnalogLinear(WEIGHTS, SHIPPED, **options)
