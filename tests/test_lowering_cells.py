"""Errors of cells worked out by hand, and what their draws depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from workloads import with_figures

from hw import DescriptionError, Noise, ReRAM
from nasrec_opt import Genotype
from nasrec_opt.lowering import CrossbarCells
from nasrec_opt.space import BlockGene, HardwareGene

ONE = Genotype((BlockGene(),))
WEIGHTS = np.array([[7.0, -4.0, 0.0], [70.0, 0.0, -10.0]])  # 2 outputs, 3 inputs
OFF = CrossbarCells(ReRAM(), Noise(stuck_off=1.0))
VARIED = CrossbarCells(ReRAM(), Noise(conductance_sigma=0.1))


def errors(cells: CrossbarCells, bits=(4, 4), genotype=ONE, product=0, chip=0) -> np.ndarray:
    return cells.errors(WEIGHTS, bits, genotype, product=product, chip=chip)


def test_cells_that_are_all_stuck_by_hand():
    # At 4 bits, written with 8 added, as digits of two bits: 7, -4 and 0 are 33, 10 and 20. The
    # column of high digits is the heavier half and stored flipped. With all cells at 0, it reads 3,
    # that of low digits 0: the weight is 12 - 8 = 4 in each cell. The other output has 7, 0 and -1
    # times 10: 33, 20 and 13, both flipped, which reads 15 - 8 = 7.
    expected = [[4 - 7, 4 + 4, 4 - 0], [10 * (7 - 7), 10 * (7 - 0), 10 * (7 + 1)]]
    np.testing.assert_allclose(errors(OFF), expected, atol=1e-12)


def test_more_bits_have_finer_levels_by_hand():
    # At 8 bits 7 is 127 levels: 127, -73 and 0 are 3333, 0313 and 2000. All columns of digits but
    # the second lowest are flipped: 3303 reads 243 - 128 = 115 levels.
    level = 7 / 127
    expected = [115 * level - 7, 115 * level + 73 * level, 115 * level]
    np.testing.assert_allclose(errors(OFF, (8, 4))[0], expected, atol=1e-12)
    np.testing.assert_array_equal(errors(OFF, (4, 8)), errors(OFF, (4, 4)))


def test_accelerator_genes_configure_the_crossbars_by_hand():
    # Cells of four bits: 15, 4 and 8 in one column, whose 27 are more than half of 45: flipped.
    on_four = replace(ONE, hardware=HardwareGene(cell_bits=4))
    expected = [[7 - 7, 7 + 4, 7 - 0], [10 * (7 - 7), 10 * (7 - 0), 10 * (7 + 1)]]
    np.testing.assert_allclose(errors(OFF, genotype=on_four), expected, atol=1e-12)


def test_draws_depend_on_seed_genotype_product_and_chip_alone():
    first = errors(VARIED)
    np.testing.assert_array_equal(errors(replace(VARIED)), first)
    other = Genotype((BlockGene(dense_width=32),))
    changed = [
        errors(replace(VARIED, seed=1)),
        errors(VARIED, genotype=other),
        errors(VARIED, product=1),
        errors(VARIED, chip=1),
    ]
    assert len({found.tobytes() for found in (first, *changed)}) == 5


def test_genotypes_that_are_the_same_model_have_the_same_draws():
    gate_without_use = Genotype((BlockGene(left_input=0, dense_ops=("fc",)),))
    np.testing.assert_array_equal(errors(VARIED, genotype=gate_without_use), errors(VARIED))
    dead = Genotype((BlockGene(dense_width=64), BlockGene()))
    other_dead = Genotype((BlockGene(dense_width=32), BlockGene()))
    assert dead.canonical() == other_dead.canonical()
    np.testing.assert_array_equal(
        errors(VARIED, genotype=dead), errors(VARIED, genotype=other_dead)
    )


@pytest.mark.parametrize("bits", [(32, 8), (8, 32), (32, 32)])
def test_no_cell_holds_floating_point(bits):
    with pytest.raises(DescriptionError, match=r"^product 5: expected bits .* got 32 \(floating"):
        errors(VARIED, bits, product=5)


def test_converters_that_clip_answer_with_a_function_of_the_inputs():
    figures = with_figures(with_figures(ReRAM().technology, "adc", clips=True), "adc", bits=1)
    wrong = CrossbarCells(ReRAM(figures), Noise()).errors(WEIGHTS, (4, 4), ONE, product=0, chip=0)
    inputs = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = wrong(inputs)
    assert found.shape == (2, 2)
    assert (found[0] != 0).all()  # a bit of a converter cannot tell 1 from 3
    np.testing.assert_allclose(found[1], 0, atol=1e-6)
