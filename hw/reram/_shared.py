"""What the operations of a workload share: tiles, banks, leakage, and the interval of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hw._arrays import FloatArray, IntArray, divide_up
from hw.files import Technology
from hw.reram._hot_rows import memory_leakage_mw
from hw.reram._movement import buffer_figure
from hw.reram._parts import DIGITAL, MEMORY, PRODUCT, Totals


@dataclass(frozen=True, slots=True)
class Shared:
    """Sums over the operations of each workload, `[workloads]` each.

    Args:
        elements: Processing elements.
        tiles: Tiles.
        banks: Banks.
        interval_ns: Time for which one sample occupies the busiest stage.
        write_energy_pj: Energy of writing all weights.
        write_ns: Time of writing them, all crossbars at once.
        hot_memories: Memories for the most frequent embedding rows.
    """

    elements: FloatArray
    tiles: FloatArray
    banks: FloatArray
    interval_ns: FloatArray
    write_energy_pj: FloatArray
    write_ns: FloatArray
    hot_memories: FloatArray

    @classmethod
    def of(cls, totals: Totals, owner: IntArray, count: int, t: Technology) -> Shared:
        """Sums by workload, of `count` workloads; `owner` is the workload of each operation."""
        elements = _summed(totals.elements, owner, count)
        if t.tile.whole:
            tiles = _summed(totals.tiles, owner, count)
        else:
            tiles = divide_up(elements, t.tile.elements)
        # Every product has crossbars of its own; the digital unit and the memory serve all.
        interval_ns, write_ns = np.zeros(count), np.zeros(count)
        own = totals.kinds == PRODUCT
        np.maximum.at(interval_ns, owner[own], totals.busy_ns[own])
        for kind in (DIGITAL, MEMORY):
            of_kind = totals.kinds == kind
            together = _summed(totals.busy_ns[of_kind], owner[of_kind], count)
            interval_ns = np.maximum(interval_ns, together)
        np.maximum.at(write_ns, owner, totals.write_ns)
        return cls(
            elements=elements,
            tiles=tiles,
            banks=divide_up(tiles, t.bank.tiles),
            interval_ns=interval_ns,
            write_energy_pj=_summed(totals.write_energy_pj, owner, count),
            write_ns=write_ns,
            hot_memories=_summed((totals.kinds == MEMORY) & (totals.area_mm2 > 0), owner, count),
        )


def _summed(values: Any, owner: IntArray, count: int) -> FloatArray:
    # Added in the order of the operations, as `Cost.of` does.
    return np.bincount(owner, values, count).astype(np.float64)


def _buffers(t: Technology) -> int:
    """Buffers of a tile."""
    return t.tile.elements + 1 if t.tile.element_buffers else 1


def leakage_mw(shared: Shared, t: Technology) -> FloatArray:
    """Leakage power of the whole, `[workloads]`."""
    uw = buffer_figure(t.tile.buffer_kib, t.tile.buffer_sizes_kib, t.tile.buffer_leakage_uw)
    leaks: FloatArray = (
        shared.elements * t.element.leakage_mw
        + shared.tiles * (_buffers(t) * uw * 1e-3)  # uW -> mW
        + shared.banks * t.bank.leakage_mw
        + t.digital.leakage_mw
        + shared.hot_memories * memory_leakage_mw(t)
    )
    return leaks


def shared_areas_um2(shared: Shared, t: Technology) -> dict[str, FloatArray]:
    """Area of buffers, interconnect and units of tiles by component, um2, `[workloads]` each."""
    um2 = buffer_figure(t.tile.buffer_kib, t.tile.buffer_sizes_kib, t.tile.buffer_area_um2)
    return {
        "adders": shared.tiles * t.tile.adder_area_um2,
        "buffer": shared.tiles * (_buffers(t) * um2),
        "transport": shared.tiles * t.tile.bus_area_um2 + shared.banks * t.bank.router_area_um2,
        "digital": shared.tiles * t.tile.unit_area_um2 + t.digital.area_um2,
    }
