"""Mapping of matrix-vector products to crossbars, and how a crossbar is read.

Weights are cut into slices of `cell_bits`, inputs into slices of `dac_bits` (ISAAC; Shafiee et al.,
ISCA 2016). Unless converters may clip, a read loses nothing: where they are too coarse for all rows
at once, fewer rows are read at a time, in more cycles; where too coarse for one row, the inputs are
cut finer too. The formulas hold for one product and for arrays of products alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hw._plain import put_integers

Count = Any  # an int, or an int64 array of one entry a product


class ProductShape(Protocol):
    """What of a product decides its mapping: a `MatrixVector`, or columns of many."""

    @property
    def inputs(self) -> Count: ...
    @property
    def outputs(self) -> Count: ...
    @property
    def weight_bits(self) -> Count: ...
    @property
    def activation_bits(self) -> Count: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """What of an accelerator decides the mapping.

    Args:
        rows: Wordlines of a crossbar.
        columns: Bitlines of a crossbar.
        cell_bits: Bits of a cell.
        dac_bits: Bits of an input that a driver can apply at once.
        adc_bits: Resolution of a converter.
        flip_encoding: Whether columns with a large weight sum are stored inverted, which spares a
            bit of the converter.
        encoding: How signs are stored: `offset`, `pair_analog` or `pair_digital`.
        slices_apart: Whether each slice of the weights has crossbars of its own.
        rows_driven: Rows that have a driver at once; 0 means all of them.
        converters: Converters of a crossbar; 0 means one for each column.
        clips: Whether sums beyond the converter saturate, instead of fewer rows being read.
    """

    rows: int
    columns: int
    cell_bits: int
    dac_bits: int
    adc_bits: int
    flip_encoding: bool = False
    encoding: str = "offset"
    slices_apart: bool = False
    rows_driven: int = 0
    converters: int = 0
    clips: bool = False

    def __post_init__(self) -> None:
        put_integers(self)

    @property
    def arrays(self) -> int:
        """Arrays that hold a block of weights: two where signs are pairs."""
        return 1 if self.encoding == "offset" else 2

    @property
    def levels(self) -> int:
        """Largest column sum that a converter resolves."""
        if self.encoding == "pair_analog":  # sums of both signs share the codes
            return (1 << (self.adc_bits - 1)) - 1
        return (1 << (self.adc_bits + self.flip_encoding)) - 1

    @property
    def bits_at_once(self) -> int:
        """Largest number of bits of an input with which one row is resolved: 1 to the driver's."""
        cell = (1 << self.cell_bits) - 1
        fits = (v for v in range(self.dac_bits, 1, -1) if ((1 << v) - 1) * cell <= self.levels)
        return self.dac_bits if self.clips else next(fits, 1)

    @property
    def rows_at_once(self) -> int:
        """Most rows read at once, at least 1.

        Without loss, R (2^dac - 1) (2^cell - 1) + 1 <= 2^bits.
        """
        driven = self.rows_driven or self.rows
        if not self.clips:
            largest = ((1 << self.bits_at_once) - 1) * ((1 << self.cell_bits) - 1)
            driven = min(driven, self.levels // largest)
        return max(1, min(self.rows, driven))

    @property
    def lossless_adc_bits(self) -> int:
        """Least resolution that reads every driven row at once, at all bits of the driver.

        ceil(log2(R (2^dac - 1) (2^cell - 1) + 1)); one more for differences of both signs, one less
        with flip encoding. A product with fewer inputs than rows needs less.
        """
        rows = min(self.rows, self.rows_driven or self.rows)
        largest = rows * ((1 << self.dac_bits) - 1) * ((1 << self.cell_bits) - 1)
        return largest.bit_length() + (self.encoding == "pair_analog") - self.flip_encoding

    @property
    def is_lossless(self) -> bool:
        """Whether no column sum of the rows read at once is beyond the converter."""
        largest = ((1 << self.bits_at_once) - 1) * ((1 << self.cell_bits) - 1)
        return self.rows_at_once * largest <= self.levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Products on crossbars.

    Args:
        slices: Cells of a weight in one array.
        columns: Physical columns of one array's kind, all blocks together.
        columns_in_use: Columns in use of the fullest crossbar.
        row_blocks: Blocks that a column's sum is spread over.
        column_blocks: Blocks side by side.
        arrays: Crossbars of a block.
        input_slices: Slices of an input.
        row_groups: Reads of a crossbar per input slice.
        column_groups: Turns that the columns of a crossbar take at its converters.
        utilization: Share of the blocks' cells that hold weights.
    """

    slices: Count
    columns: Count
    columns_in_use: Count
    row_blocks: Count
    column_blocks: Count
    arrays: int
    input_slices: Count
    row_groups: Count
    column_groups: Count
    utilization: Any

    @property
    def blocks(self) -> Count:
        """Blocks of one copy: a crossbar each, two where signs are pairs."""
        return self.row_blocks * self.column_blocks

    @property
    def crossbars(self) -> Count:
        """Crossbars of one copy."""
        return self.blocks * self.arrays

    @property
    def cycles(self) -> Count:
        """Reads of a crossbar per product."""
        return self.input_slices * self.row_groups


def map_product(product: ProductShape, geometry: Geometry) -> Mapping:
    """Map products; every crossbar belongs to one of them alone.

    Args:
        product: One product, or columns of many.
        geometry: The crossbars.
    """
    # A pair holds the sign, so its arrays hold one bit less, but never none.
    stored_bits = product.weight_bits - (geometry.encoding != "offset")
    slices = np.maximum(1, divide_up(stored_bits, geometry.cell_bits))
    columns = product.outputs * slices
    row_blocks = divide_up(product.inputs, geometry.rows)
    if geometry.slices_apart:
        column_blocks = slices * divide_up(product.outputs, geometry.columns)
        in_use = np.minimum(product.outputs, geometry.columns)
    else:
        column_blocks = divide_up(columns, geometry.columns)
        in_use = np.minimum(columns, geometry.columns)
    cells = row_blocks * column_blocks * geometry.rows * geometry.columns
    return Mapping(
        slices=slices,
        columns=columns,
        columns_in_use=in_use,
        row_blocks=row_blocks,
        column_blocks=column_blocks,
        arrays=geometry.arrays,
        input_slices=divide_up(product.activation_bits, geometry.bits_at_once),
        row_groups=divide_up(np.minimum(product.inputs, geometry.rows), geometry.rows_at_once),
        column_groups=divide_up(in_use, geometry.converters or geometry.columns),
        utilization=product.inputs * columns / cells,
    )


def divide_up(value: Count, divisor: Count) -> Count:
    """The quotient, rounded up."""
    return -(-value // divisor)
