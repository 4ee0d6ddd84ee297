"""What crossbars compute: exact where nothing is lost, and the known losses where something is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw import Chip, DescriptionError, Geometry, MatrixVector, Noise, map_product
from hw.files import ENCODINGS

K, N = np.arange(512), np.arange(4)
WEIGHTS = (37 * K[:, None] + 101 * N + 7 * K[:, None] * N) % 256 - 128
INPUTS = ((5 * K**2 + 73 * K + 11) % 256)[None]
EXACT = [-180224, -16384, -426496, -78848]


def geometry_of(cell_bits, dac_bits, adc_bits, **others):
    return Geometry(
        rows=128, columns=128, cell_bits=cell_bits, dac_bits=dac_bits, adc_bits=adc_bits,
        **{"clips": True} | others,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cell_bits", "dac_bits", "adc_bits", "outputs", "clipped", "conversions"),
    [
        (2, 1, 9, EXACT, 0, 512),
        (2, 1, 8, [-180224, -16384, -426496, -78852], 4, 512),
        (2, 1, 7, [-202324, -38228, -448860, -106092], 98, 512),
        (2, 1, 6, [-2930476, -2928300, -2926508, -2926508], 506, 512),
        (2, 2, 11, EXACT, 0, 256),
        (2, 2, 10, EXACT, 0, 256),
        (2, 2, 9, [-180224, -16384, -426500, -78852], 8, 256),
        (1, 1, 8, EXACT, 0, 1024),
        (1, 1, 7, [-180224, -16388, -426496, -78852], 8, 1024),
        (1, 1, 6, [-182012, -20460, -430092, -82964], 180, 1024),
    ],
)
def test_slices_and_clipping_bit_for_bit(
    cell_bits, dac_bits, adc_bits, outputs, clipped, conversions
):
    chip = Chip(WEIGHTS, geometry_of(cell_bits, dac_bits, adc_bits))
    result = chip.multiply(INPUTS)
    assert result.outputs.tolist() == [outputs]
    assert (result.clipped, result.conversions) == (clipped, conversions)
    product = MatrixVector(name="fc", operator="fc", inputs=512, outputs=4)
    mapping = map_product(product, chip.geometry)  # what is costed is what is done
    assert mapping.row_blocks * mapping.columns * mapping.cycles == conversions


@st.composite
def chips(draw):
    """A geometry, and weights and inputs that it can take."""
    bits, encoding = draw(st.integers(2, 8)), draw(st.sampled_from(ENCODINGS))
    geometry = Geometry(
        rows=draw(st.integers(1, 12)), columns=draw(st.integers(1, 12)),
        cell_bits=draw(st.integers(1, 4)), dac_bits=draw(st.integers(1, 4)),
        adc_bits=draw(st.integers(5, 12)), encoding=encoding,
        flip_encoding=encoding == "offset" and draw(st.booleans()),
    )  # fmt: skip
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 30)), draw(st.integers(1, 5))
    lowest = -(1 << (bits - 1)) + (encoding != "offset")
    weights = rng.integers(lowest, 1 << (bits - 1), shape)
    activation_bits = draw(st.integers(1, 8))
    inputs = rng.integers(0, 1 << activation_bits, (draw(st.integers(1, 3)), shape[0]))
    return weights, inputs, bits, activation_bits, geometry


@settings(deadline=None)
@given(chips())
def test_what_is_costed_as_lossless_loses_nothing(drawn):
    weights, inputs, bits, activation_bits, geometry = drawn
    assert geometry.is_lossless
    chip = Chip(weights, geometry, weight_bits=bits)
    result = chip.multiply(inputs, activation_bits=activation_bits)
    assert (result.outputs == inputs @ weights).all()
    assert result.clipped == 0
    assert (chip.weights == weights).all()
    product = MatrixVector(
        name="p", operator="fc", inputs=len(weights), outputs=weights.shape[1],
        weight_bits=bits, activation_bits=activation_bits,
    )  # fmt: skip
    mapping = map_product(product, geometry)
    read = mapping.columns * (2 if geometry.encoding == "pair_digital" else 1)
    full = len(weights) % geometry.rows or geometry.rows  # the last block may need fewer reads
    groups = (mapping.row_blocks - 1) * mapping.read_groups + -(-full // geometry.wordlines_at_once)
    assert result.conversions == len(inputs) * groups * read * mapping.input_slices


@settings(deadline=None)
@given(chips(), st.integers(0, 2**32 - 1))
def test_noise_of_nothing_changes_nothing(drawn, seed):
    weights, inputs, bits, activation_bits, geometry = drawn
    rng = np.random.default_rng(seed)
    chip = Chip(weights, geometry, weight_bits=bits, noise=Noise(), rng=rng)
    result = chip.multiply(inputs, activation_bits=activation_bits)
    assert (result.outputs == inputs @ weights).all()


def test_cells_stuck_at_every_level_hold_what_that_level_means():
    geometry = geometry_of(2, 1, 9)
    for noise, weight in ((Noise(stuck_off=1), -128), (Noise(stuck_on=1), 127)):
        chip = Chip(WEIGHTS, geometry, noise=noise, rng=np.random.default_rng(0))
        assert (chip.weights == weight).all()
    pairs = geometry_of(2, 1, 12, encoding="pair_analog")
    weights = np.maximum(WEIGHTS, -127)
    chip = Chip(weights, pairs, noise=Noise(stuck_on=1), rng=np.random.default_rng(0))
    assert (chip.weights == 0).all()  # both cells of a pair at their highest cancel


def test_variation_of_a_weight_is_that_of_its_cells():
    weights = np.full((64, 400), 127)  # stored as 255: all four cells at level 3
    chip = Chip(
        weights, geometry_of(2, 1, 9), noise=Noise(conductance_sigma=0.05),
        rng=np.random.default_rng(1),
    )  # fmt: skip
    expected = 0.05 * 3 * np.sqrt(sum(4.0 ** (2 * i) for i in range(4)))
    assert chip.weights.std() == pytest.approx(expected, rel=0.02)
    assert chip.weights.mean() == pytest.approx(127, abs=4 * expected / np.sqrt(weights.size))


def test_one_chip_answers_alike_and_another_does_not():
    noise, geometry = Noise(conductance_sigma=0.05, stuck_off=0.01), geometry_of(2, 1, 9)
    one, same, other = (
        Chip(WEIGHTS, geometry, noise=noise, rng=np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    first = one.multiply(INPUTS).outputs
    assert (first == one.multiply(INPUTS).outputs).all()
    assert (first == same.multiply(INPUTS).outputs).all()
    assert (first != other.multiply(INPUTS).outputs).any()


def test_a_noisy_product_is_near_that_of_its_weights():
    noise = Noise(conductance_sigma=0.02)
    chip = Chip(WEIGHTS, geometry_of(2, 1, 10), noise=noise, rng=np.random.default_rng(0))
    # Codes are rounded: 4 blocks, 4 slices and 8 input bits, half a code each at the most.
    most = 0.5 * 4 * sum(4**i for i in range(4)) * 255
    difference = chip.multiply(INPUTS).outputs - INPUTS @ chip.weights
    assert 0 < np.abs(difference).max() < most


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Noise(conductance_sigma=-0.1), "conductance_sigma: expected a number from 0"),
        (
            lambda: Noise(conductance_sigma=float("inf")),
            "conductance_sigma: expected a number from 0, got inf",
        ),
        (lambda: Noise(stuck_off="many"), "stuck_off: expected a number, got 'many'"),
        (lambda: Noise(stuck_on=1.5), "stuck_on: expected 0 to 1, got 1.5"),
        (lambda: Noise(stuck_off=0.6, stuck_on=0.6), "stuck_off, stuck_on: expected a sum up to 1"),
        (
            lambda: Chip(WEIGHTS, geometry_of(2, 1, 9), weight_bits=4),
            "weights: expected -8 to 7, got -128 to 127",
        ),
        (
            lambda: Chip(WEIGHTS, geometry_of(2, 1, 9, encoding="pair_digital")),
            "weights: expected -127 to 127, got -128 to 127",
        ),
        (
            lambda: Chip(WEIGHTS, geometry_of(2, 1, 9)).multiply(INPUTS, activation_bits=4),
            "inputs: expected 0 to 15, got",
        ),
        (
            lambda: Chip(WEIGHTS, geometry_of(2, 1, 9), noise=Noise(stuck_on=0.1)),
            "rng: expected a generator that draws the noise, got none",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, sentence):
    with pytest.raises(DescriptionError, match=sentence):
        make()
