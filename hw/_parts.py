"""What operations cost before they meet: columns of operations in, a row of figures for each out.

Every formula works on arrays of one entry an operation, so that one workload and thousands are
costed by the same lines, to the last bit alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw._workload import Digital, Lookup, MatrixVector

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# What time, energy and area are spent on; an operation's parts stand in this order.
COMPONENTS = (
    "crossbar",
    "dac",
    "row_select",
    "sample_and_hold",
    "column_select",
    "adc",
    "shift_add",
    "input_register",
    "output_register",
    "adders",
    "buffer",
    "buffer_read",
    "buffer_write",
    "transport",
    "digital",
    "memory",
    "leakage",
)
INDEX = {name: index for index, name in enumerate(COMPONENTS)}


@dataclass(frozen=True, slots=True)
class Products:
    """Columns of matrix-vector products, `[products]` each."""

    inputs: IntArray
    outputs: IntArray
    repeats: IntArray
    weight_bits: IntArray
    activation_bits: IntArray

    @classmethod
    def of(cls, products: Sequence[MatrixVector]) -> Products:
        """The columns of these products."""
        rows = [
            (o.inputs, o.outputs, o.repeats, o.weight_bits, o.activation_bits) for o in products
        ]
        return cls(*np.array(rows, dtype=np.int64).reshape(-1, 5).T)


@dataclass(frozen=True, slots=True)
class Digitals:
    """Columns of digital operations, `[operations]` each."""

    multiplications: IntArray
    additions: IntArray
    special_functions: IntArray
    bits: IntArray

    @classmethod
    def of(cls, operations: Sequence[Digital]) -> Digitals:
        """The columns of these operations."""
        rows = [(o.multiplications, o.additions, o.special_functions, o.bits) for o in operations]
        return cls(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)


@dataclass(frozen=True, slots=True)
class Lookups:
    """Columns of embedding lookups, `[lookups]` each."""

    rows: IntArray
    dim: IntArray
    value_bits: IntArray

    @classmethod
    def of(cls, lookups: Sequence[Lookup]) -> Lookups:
        """The columns of these lookups."""
        rows = [(o.rows, o.dim, o.value_bits) for o in lookups]
        return cls(*np.array(rows, dtype=np.int64).reshape(-1, 3).T)


@dataclass(slots=True)
class Parts:
    """Cost of each of `n` operations alone, by component.

    Args:
        latency_ns: Time of one sample, `[components, n]`.
        energy_pj: Dynamic energy of one sample, `[components, n]`.
        area_um2: Area of its own, `[components, n]`.
        busy_ns: Time for which one sample keeps it from the next, `[n]`.
        elements: Processing elements, `[n]`.
        tiles: Tiles of its own, where operators do not share them, `[n]`.
        write_energy_pj: Energy of writing its weights, `[n]`.
        write_ns: Time of writing them, `[n]`.
    """

    latency_ns: FloatArray
    energy_pj: FloatArray
    area_um2: FloatArray
    busy_ns: FloatArray
    elements: IntArray
    tiles: IntArray
    write_energy_pj: FloatArray
    write_ns: FloatArray

    @classmethod
    def none(cls, count: int) -> Parts:
        """Parts of `count` operations that cost nothing yet."""
        table = (len(COMPONENTS), count)
        return cls(
            latency_ns=np.zeros(table),
            energy_pj=np.zeros(table),
            area_um2=np.zeros(table),
            busy_ns=np.zeros(count),
            elements=np.zeros(count, dtype=np.int64),
            tiles=np.zeros(count, dtype=np.int64),
            write_energy_pj=np.zeros(count),
            write_ns=np.zeros(count),
        )

    def put(self, where: IntArray, parts: Parts) -> None:
        """Take over the parts of some operations."""
        for name in ("latency_ns", "energy_pj", "area_um2"):
            getattr(self, name)[:, where] = getattr(parts, name)
        for name in ("busy_ns", "elements", "tiles", "write_energy_pj", "write_ns"):
            getattr(self, name)[where] = getattr(parts, name)


def total(table: FloatArray) -> FloatArray:
    """Sum over components, in their order: `[components, n]` to `[n]`."""
    summed = np.zeros(table.shape[1])
    for row in table:  # one after another, so that the order of additions is the same for any n
        summed += row
    return summed
