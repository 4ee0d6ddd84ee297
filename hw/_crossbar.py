"""Mapping of a matrix-vector product to crossbars, and what one sample makes them do.

Weights are stored as `weight + 2**(bits - 1)` in slices of `cell_bits`, inputs are applied in
slices of `dac_bits` (ISAAC; Shafiee et al., ISCA 2016). Converters do not clip: where they are too
coarse for all rows at once, fewer rows are read at a time, in more cycles, down to one row. One too
coarse even for that is costed as it is; what it loses is no cost.
"""

from __future__ import annotations

from dataclasses import dataclass

from hw._workload import MatrixVector


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """What of an accelerator decides the mapping.

    Args:
        rows: Wordlines of a crossbar.
        columns: Bitlines of a crossbar.
        cell_bits: Bits of a cell.
        dac_bits: Bits of an input applied at once.
        adc_bits: Resolution of a converter.
        flip_encoding: Whether columns with a large weight sum are stored inverted, which spares a
            bit of the converter.
    """

    rows: int
    columns: int
    cell_bits: int
    dac_bits: int
    adc_bits: int
    flip_encoding: bool

    @property
    def rows_at_once(self) -> int:
        """Most rows whose column sum the converter resolves without loss, at least 1.

        R (2^dac - 1) (2^cell - 1) + 1 <= 2^bits.
        """
        levels = (1 << (self.adc_bits + self.flip_encoding)) - 1
        largest = ((1 << self.dac_bits) - 1) * ((1 << self.cell_bits) - 1)
        return max(1, min(self.rows, levels // largest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A product on crossbars.

    Args:
        slices: Cells of a weight.
        columns: Physical columns.
        row_blocks: Crossbars that a column's sum is spread over.
        column_blocks: Crossbars side by side.
        input_slices: Slices of an input.
        row_groups: Reads of a crossbar per input slice.
        utilization: Share of the crossbars' cells that hold weights.
    """

    slices: int
    columns: int
    row_blocks: int
    column_blocks: int
    input_slices: int
    row_groups: int
    utilization: float

    @property
    def crossbars(self) -> int:
        """Crossbars of one copy."""
        return self.row_blocks * self.column_blocks

    @property
    def cycles(self) -> int:
        """Reads of a crossbar per product."""
        return self.input_slices * self.row_groups


def map_product(product: MatrixVector, geometry: Geometry) -> Mapping:
    """Map one product; every crossbar belongs to it alone."""
    slices = _ceil(product.weight_bits, geometry.cell_bits)
    columns = product.outputs * slices
    row_blocks = _ceil(product.inputs, geometry.rows)
    column_blocks = _ceil(columns, geometry.columns)
    cells = row_blocks * column_blocks * geometry.rows * geometry.columns
    return Mapping(
        slices=slices,
        columns=columns,
        row_blocks=row_blocks,
        column_blocks=column_blocks,
        input_slices=_ceil(product.activation_bits, geometry.dac_bits),
        row_groups=_ceil(min(product.inputs, geometry.rows), geometry.rows_at_once),
        utilization=product.inputs * columns / cells,
    )


def _ceil(value: int, divisor: int) -> int:
    return -(-value // divisor)
