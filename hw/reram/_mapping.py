"""Mapping of matrix-vector products to crossbars.

Weights are cut into slices of `cell_bits`, inputs into slices of `dac_bits` (ISAAC; Shafiee et al.,
ISCA 2016). The formulas hold for one product and for arrays of products alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hw._arrays import Count, divide_up
from hw._geometry import Geometry


class ProductShape(Protocol):
    """The fields of a product that decide its mapping: a `MatrixVector`, or columns of many."""

    @property
    def inputs(self) -> Count: ...
    @property
    def outputs(self) -> Count: ...
    @property
    def weight_bits(self) -> Count: ...
    @property
    def activation_bits(self) -> Count: ...


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
        read_groups: Reads of a crossbar per input slice.
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
    read_groups: Count
    column_groups: Count
    utilization: Any

    @property
    def blocks(self) -> Count:
        """Blocks of one copy: a crossbar each, or two if signs are stored in pairs."""
        return self.row_blocks * self.column_blocks

    @property
    def crossbars(self) -> Count:
        """Crossbars of one copy."""
        return self.blocks * self.arrays

    @property
    def cycles(self) -> Count:
        """Reads of a crossbar per product."""
        return self.input_slices * self.read_groups


def map_product(product: ProductShape, geometry: Geometry) -> Mapping:
    """Map products to crossbars; every crossbar belongs to one product.

    Args:
        product: One product, or columns of many.
        geometry: The crossbars.

    Returns:
        Counts of slices, blocks, groups and cycles: integers, or columns where `product` has
        columns.
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
        read_groups=divide_up(
            np.minimum(product.inputs, geometry.rows), geometry.wordlines_at_once
        ),
        column_groups=divide_up(in_use, geometry.converters or geometry.columns),
        utilization=product.inputs * columns / cells,
    )
