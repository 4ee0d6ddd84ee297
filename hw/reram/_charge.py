"""The part of an accelerator that a product is charged for: what it uses, or whole tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hw._arrays import divide_up
from hw.files import Technology
from hw.reram._mapping import Mapping
from hw.reram._parts import Products

Array = Any  # of numbers, one for each product


@dataclass(frozen=True, slots=True)
class Charge:
    """How much of the accelerator a product is charged for.

    Args:
        elements: Processing elements of one copy.
        tiles: Tiles of one copy, if it has tiles of its own.
        elements_per_tile: Elements in use in a tile of its own.
        active_elements: Elements whose events are charged.
        rows: Row drives of one input slice.
        columns: Columns converted in one read.
        cells: Cells read in one input slice.
        adders: Additions of row blocks.
        adder_levels: Additions one after another.
    """

    elements: Array
    tiles: Array
    elements_per_tile: Array
    active_elements: Array
    rows: Array
    columns: Array
    cells: Array
    adders: Array
    adder_levels: Array


def charge(products: Products, mapping: Mapping, t: Technology) -> Charge:
    """Count what is charged: what is in use, or whole tiles, each like the fullest one."""
    blocks_per_element = max(1, t.element.crossbars // mapping.arrays)
    converted = 2 if t.crossbar.encoding == "pair_digital" else 1
    elements = divide_up(mapping.blocks, blocks_per_element)
    tiles = divide_up(elements, t.tile.elements)
    per_tile = np.minimum(elements, t.tile.elements)
    if not t.tile.whole:
        return Charge(
            elements=elements,
            tiles=tiles,
            elements_per_tile=per_tile,
            active_elements=elements,
            rows=products.inputs * mapping.column_blocks,
            columns=converted * mapping.row_blocks * mapping.columns,
            cells=products.inputs * mapping.columns * mapping.arrays,
            adders=(mapping.row_blocks - 1) * products.outputs,
            adder_levels=levels(mapping.row_blocks),
        )
    # MNSIM 2.0 gives every driver and converter an equal share of the whole crossbar. A product
    # on a part of it uses a part of them, for as many turns as a whole crossbar would need.
    geometry = t.geometry
    blocks = tiles * per_tile * np.minimum(mapping.blocks, blocks_per_element)
    rows, columns = np.minimum(products.inputs, geometry.rows), mapping.columns_in_use
    rows_each = divide_up(geometry.rows, geometry.wordlines_driven or geometry.rows)
    columns_each = divide_up(geometry.columns, geometry.converters)
    turns = mapping.read_groups * mapping.column_groups
    converters = divide_up(columns, columns_each)
    merged = tiles * (per_tile - 1) * converters
    return Charge(
        elements=elements,
        tiles=tiles,
        elements_per_tile=per_tile,
        active_elements=tiles * per_tile,
        rows=blocks * divide_up(rows, rows_each) * mapping.read_groups,
        columns=converted * blocks * converters * mapping.column_groups,
        cells=blocks * rows * columns * mapping.arrays * turns / (rows_each * columns_each),
        adders=merged * levels(per_tile),  # a module runs for as long as all its levels take
        adder_levels=levels(per_tile),
    )


def levels(operands: Array) -> Array:
    """Levels of a tree that adds so many operands: the logarithm to base 2, rounded up."""
    # Exact for all counts: frexp gives the bits of operands - 1 without a rounded logarithm.
    return np.frexp(np.asarray(operands - 1, dtype=np.float64))[1]
