"""Mapping against a loop that places every cell; lossless reads against every column."""

from __future__ import annotations

from dataclasses import replace
from itertools import product as every

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workloads import products

from hw import Geometry, MatrixVector, ReRAM, map_product
from hw.files import ENCODINGS

SHIPPED = ReRAM().geometry
few = st.integers(1, 12)


def place(product, geometry):
    """The cells of each crossbar: `{(row block, column block): {(wordline, bitline)}}`."""
    crossbars = {}
    for row in range(product.inputs):
        column = 0
        for _output in range(product.outputs):
            stored = 0
            while stored < product.weight_bits:
                block = row // geometry.rows, column // geometry.columns
                place = row % geometry.rows, column % geometry.columns
                cells = crossbars.setdefault(block, set())
                assert place not in cells
                cells.add(place)
                stored += geometry.cell_bits
                column += 1
    return crossbars, column


def count_reads(product, geometry):
    """Reads of the fullest crossbar for one product, a group of rows at a time."""
    reads, applied = 0, 0
    while applied < product.activation_bits:
        applied += geometry.bits_at_once
        row = 0
        while row < min(product.inputs, geometry.rows):
            row += geometry.wordlines_at_once
            reads += 1
    return reads


geometries = st.builds(
    Geometry,
    rows=few,
    columns=few,
    cell_bits=st.integers(1, 4),
    dac_bits=st.integers(1, 4),
    adc_bits=st.integers(1, 10),
    flip_encoding=st.booleans(),
)
small_products = st.builds(
    MatrixVector,
    name=st.just("p"),
    operator=st.just("fc"),
    inputs=few,
    outputs=few,
    weight_bits=st.integers(1, 16),
    activation_bits=st.integers(1, 16),
)


@given(small_products, geometries)
def test_a_mapping_equals_placing_every_cell(product, geometry):
    mapping = map_product(product, geometry)
    crossbars, columns = place(product, geometry)
    assert mapping.crossbars == len(crossbars)
    assert mapping.row_blocks == len({row for row, _ in crossbars})
    assert mapping.column_blocks == len({column for _, column in crossbars})
    assert mapping.columns == columns == product.outputs * mapping.slices
    cells = len(crossbars) * geometry.rows * geometry.columns
    assert mapping.utilization == sum(map(len, crossbars.values())) / cells
    assert mapping.cycles == count_reads(product, geometry)


def largest_sum(rows, geometry):
    """Largest sum of a column over all weights that its cells can hold, inputs at their most."""
    levels = range(1 << geometry.cell_bits)
    most = rows * levels[-1]
    stored = (sum(column) for column in every(levels, repeat=rows))
    if geometry.flip_encoding:  # a column whose sum is above half is stored inverted
        stored = (min(total, most - total) for total in stored)
    return max(stored) * ((1 << geometry.dac_bits) - 1)


@given(
    rows=st.integers(1, 5),
    cell_bits=st.integers(1, 2),
    dac_bits=st.integers(1, 3),
    adc_bits=st.integers(1, 6),
    flip=st.booleans(),
)
def test_rows_at_once_are_the_most_whose_sums_a_converter_tells_apart(
    rows, cell_bits, dac_bits, adc_bits, flip
):
    geometry = Geometry(
        rows=rows,
        columns=1,
        cell_bits=cell_bits,
        dac_bits=dac_bits,
        adc_bits=adc_bits,
        flip_encoding=flip,
    )
    codes = 1 << adc_bits
    finer = replace(geometry, dac_bits=geometry.bits_at_once)
    fits = [r for r in range(1, rows + 1) if largest_sum(r, finer) < codes]
    if flip and finer.dac_bits > 1:  # half of an odd sum is rounded down before it meets the inputs
        assert 1 <= geometry.wordlines_at_once <= max(fits)
    else:
        assert geometry.wordlines_at_once == max(fits, default=1)
        assert geometry.is_lossless == bool(fits)
    if geometry.bits_at_once < dac_bits and not flip:  # not even one row at all bits
        assert largest_sum(1, replace(geometry, dac_bits=finer.dac_bits + 1)) >= codes


@pytest.mark.parametrize(
    ("rows", "cell_bits", "dac_bits", "lossless"),
    [
        (64, 1, 1, 7), (64, 2, 1, 8), (64, 1, 2, 8), (64, 2, 2, 10), (64, 4, 4, 14),
        (128, 1, 1, 8), (128, 2, 1, 9), (128, 2, 2, 11), (128, 4, 2, 13), (128, 4, 4, 15),
        (256, 1, 4, 12), (256, 2, 1, 10), (512, 2, 1, 11), (512, 4, 4, 17),
    ],
)  # fmt: skip
def test_resolution_that_reads_all_rows_at_once(rows, cell_bits, dac_bits, lossless):
    # ceil(log2(rows (2^dac - 1)(2^cell - 1) + 1)), which ISAAC writes as log2 of the rows plus both
    # bits, one less where either is 1; flip encoding spares a bit.
    for flip, enough in ((False, lossless), (True, lossless - 1)):
        geometry = replace(
            SHIPPED, rows=rows, cell_bits=cell_bits, dac_bits=dac_bits, flip_encoding=flip
        )
        assert geometry.lossless_adc_bits == enough
        assert replace(geometry, adc_bits=enough).wordlines_at_once == rows
        assert replace(geometry, adc_bits=enough - 1).wordlines_at_once < rows


@given(geometries, st.sampled_from(ENCODINGS), st.integers(0, 12))
def test_the_least_lossless_resolution_is_the_least_that_loses_nothing(geometry, encoding, driven):
    geometry = replace(
        geometry, clips=True, encoding=encoding, flip_encoding=False, wordlines_driven=driven
    )
    least = geometry.lossless_adc_bits
    assert replace(geometry, adc_bits=least).is_lossless
    assert least == 1 or not replace(geometry, adc_bits=least - 1).is_lossless


def test_a_fully_connected_layer_by_hand():
    product = MatrixVector(name="fc", operator="fc", inputs=512, outputs=256)
    mapping = map_product(product, SHIPPED)
    assert (mapping.slices, mapping.columns) == (4, 1024)
    assert (mapping.row_blocks, mapping.column_blocks, mapping.crossbars) == (4, 8, 32)
    assert (mapping.input_slices, mapping.read_groups, mapping.cycles) == (8, 1, 8)
    assert mapping.utilization == 1.0
    four = map_product(replace(product, weight_bits=4, activation_bits=4), SHIPPED)
    assert (four.slices, four.columns, four.crossbars, four.cycles) == (2, 512, 16, 4)
    # 2 bits of the input at once: 11 bits without loss, 10 with flip encoding; 8 bits tell 56 rows.
    coarse = map_product(product, replace(SHIPPED, dac_bits=2))
    assert (coarse.input_slices, coarse.read_groups) == (4, 3)
    fine = map_product(product, replace(SHIPPED, dac_bits=2, adc_bits=10))
    assert fine.cycles == 4


@given(products(), st.sampled_from(["inputs", "outputs", "weight_bits", "activation_bits"]), few)
def test_a_larger_product_never_needs_less(product, field, more):
    value = getattr(product, field) + more
    larger = replace(product, **{field: min(value, 16) if field.endswith("bits") else value})
    for geometry in (SHIPPED, replace(SHIPPED, adc_bits=5)):
        ours, theirs = map_product(product, geometry), map_product(larger, geometry)
        for count in ("columns", "row_blocks", "column_blocks", "crossbars", "cycles"):
            assert getattr(theirs, count) >= getattr(ours, count)
