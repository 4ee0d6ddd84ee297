"""Which genotypes are lowered together."""

from __future__ import annotations

from dataclasses import replace

from nasrec_opt import Genotype
from nasrec_opt.lowering._columns import AT_ONCE, FEW, MAX_BLOCKS, groups_of
from nasrec_opt.space import BlockGene, HardwareGene

ONE = Genotype((BlockGene(),))
TWO = Genotype((BlockGene(), BlockGene()))


def test_a_few_are_lowered_one_by_one_and_more_together():
    assert list(groups_of([ONE] * (FEW - 1))) == [([*range(FEW - 1)], False)]
    assert list(groups_of([ONE] * FEW)) == [([*range(FEW)], True)]


def test_those_with_as_many_blocks_go_together():
    mixed = [ONE, TWO] * FEW
    even, odd = [*range(0, 2 * FEW, 2)], [*range(1, 2 * FEW, 2)]
    assert list(groups_of(mixed)) == [(even, True), (odd, True)]


def test_other_accelerator_genes_go_apart_where_that_is_asked_for():
    on_one, on_four = (replace(ONE, hardware=HardwareGene(cell_bits=bits)) for bits in (1, 4))
    mixed = [on_one, on_four] * FEW
    even, odd = [*range(0, 2 * FEW, 2)], [*range(1, 2 * FEW, 2)]
    assert list(groups_of(mixed)) == [([*range(2 * FEW)], True)]
    assert list(groups_of(mixed, by_hardware=True)) == [(even, True), (odd, True)]


def test_many_come_in_parts():
    count = 2 * AT_ONCE + 1
    parts = [range(AT_ONCE), range(AT_ONCE, 2 * AT_ONCE), range(2 * AT_ONCE, count)]
    assert list(groups_of([ONE] * count)) == [([*part], True) for part in parts]


def test_models_of_more_blocks_than_a_mask_has_bits_are_lowered_one_by_one():
    for num_blocks, is_together in ((MAX_BLOCKS, True), (MAX_BLOCKS + 1, False)):
        genotype = Genotype((BlockGene(),) * num_blocks)
        assert list(groups_of([genotype] * FEW)) == [([*range(FEW)], is_together)]
