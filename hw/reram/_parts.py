"""Costs of operations alone: from columns of operations to figures for each of them.

Every formula works on arrays with one entry for each operation. So the same code costs one workload
and thousands, equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from hw._arrays import FloatArray, IntArray
from hw._workload import MOST_INTEGER_BITS
from hw.errors import DescriptionError

UM2_PER_MM2 = 1e6

# What time, energy and area are spent on; the parts of an operation are in this order.
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
PRODUCT, DIGITAL, MEMORY = range(3)  # kinds of operations
INDEX = {name: index for index, name in enumerate(COMPONENTS)}


def require_integers(**bits: IntArray) -> None:
    """Refuse floating point on a machine that computes with integers.

    Raises:
        DescriptionError: Some bits are those of floating point.
    """
    for name, columns in bits.items():
        if columns.max(initial=0) > MOST_INTEGER_BITS:
            raise DescriptionError(
                f"{name}: expected at most {MOST_INTEGER_BITS} on a crossbar accelerator, whose "
                f"cells and converters hold integers, got {columns.max()} (floating point); give "
                "the model bits from 4 to 8, or cost it on a CPU"
            )


@dataclass(frozen=True, slots=True)
class Products:
    """Columns of matrix-vector products, `[products]` each."""

    inputs: IntArray
    outputs: IntArray
    repeats: IntArray
    weight_bits: IntArray
    activation_bits: IntArray


@dataclass(frozen=True, slots=True)
class Digitals:
    """Columns of digital operations, `[operations]` each."""

    multiplications: IntArray
    additions: IntArray
    special_functions: IntArray
    bits: IntArray


@dataclass(frozen=True, slots=True)
class Lookups:
    """Columns of embedding lookups, `[lookups]` each."""

    vectors: IntArray
    dim: IntArray
    value_bits: IntArray


@dataclass(slots=True)
class Parts:
    """Cost of each of `n` operations alone, by component.

    Args:
        latency_ns: Time of one sample, `[components, n]`.
        energy_pj: Dynamic energy of one sample, `[components, n]`.
        area_um2: Area of its own, `[components, n]`.
        busy_ns: Time for which one sample occupies it, so that the next has to wait, `[n]`.
        elements: Processing elements, `[n]`.
        tiles: Tiles of its own, if operators do not share tiles, `[n]`.
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
        """Copy in the parts of some operations."""
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


@dataclass(frozen=True, slots=True)
class Totals:
    """`Parts` without components, `[n]` each; `kinds` says what each operation is."""

    kinds: IntArray
    latency_ns: FloatArray
    energy_pj: FloatArray
    area_mm2: FloatArray
    busy_ns: FloatArray
    elements: IntArray
    tiles: IntArray
    write_energy_pj: FloatArray
    write_ns: FloatArray

    @classmethod
    def of(cls, parts: Parts, kinds: IntArray) -> Totals:
        """Sums over components."""
        return cls(
            kinds=kinds,
            latency_ns=total(parts.latency_ns),
            energy_pj=total(parts.energy_pj),
            area_mm2=total(parts.area_um2) / UM2_PER_MM2,
            busy_ns=parts.busy_ns,
            elements=parts.elements,
            tiles=parts.tiles,
            write_energy_pj=parts.write_energy_pj,
            write_ns=parts.write_ns,
        )

    @classmethod
    def joined(cls, tables: Sequence[Totals]) -> Totals:
        """Totals of several tables, one after another."""
        tables = [cls.of(Parts.none(0), np.zeros(0, dtype=np.int64)), *tables]
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(t, name) for t in tables]) for name in names))

    def taken(self, which: IntArray) -> Totals:
        """Totals of operations, each given by its place in this table of distinct ones."""
        return Totals(*(getattr(self, field.name)[which] for field in fields(self)))
