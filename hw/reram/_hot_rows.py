"""On-chip memory that holds the most frequent embedding rows, beside the DRAM that holds them all.

Rows stay where they were put: those of the most frequent values of the log, so that a comparison of
ids tells which memory has a row. Reads that hit cost an access of a buffer of that size, the others
what they cost without it. As for RecNMP, time counts the mean number of reads from DRAM.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hw._arrays import FloatArray, divide_up
from hw._memory import (
    burst_counts,
    first_row_cycles,
    lookup_busy_ns,
    lookup_energy_pj,
    lookup_latency_ns,
    row_cycles,
)
from hw._popularity import Popularity
from hw.errors import DescriptionError
from hw.files import Technology
from hw.reram._movement import buffer_figure
from hw.reram._parts import INDEX, Lookups, Parts

BITS_PER_KIB = 8 * 1024


def lookup_parts(lookups: Lookups, t: Technology, popularity: Popularity | None) -> Parts:
    """Cost of lookups alone.

    Raises:
        DescriptionError: There is on-chip memory, and nothing says how often rows are read.
    """
    parts = Parts.none(len(lookups.vectors))
    latency_ns = lookup_latency_ns(lookups, t.dram)
    energy_pj = lookup_energy_pj(lookups, t.dram)
    busy_ns = lookup_busy_ns(lookups, t.dram)
    if t.hot_rows.kib:
        hit = _hits(lookups, t, popularity)
        bits = lookups.dim * lookups.value_bits
        accesses = lookups.vectors * hit * divide_up(bits, t.tile.access_bits)
        chip_ns = accesses * _of_macro(t, t.tile.buffer_access_ns)
        missed_ns = np.where(hit < 1, _missed_ns(lookups, hit, t), 0.0)
        latency_ns = np.where(hit > 0, np.maximum(missed_ns, chip_ns), latency_ns)
        busy_ns = np.where(hit > 0, np.maximum(busy_ns * (1 - hit), chip_ns), busy_ns)
        energy_pj = energy_pj * (1 - hit) + accesses * _of_macro(t, t.tile.buffer_read_pj)
        parts.area_um2[INDEX["memory"]] = np.where(_has_memory(lookups), memory_area_um2(t), 0.0)
    parts.latency_ns[INDEX["memory"]] = latency_ns
    parts.energy_pj[INDEX["memory"]] = energy_pj
    parts.busy_ns += busy_ns
    return parts


def _missed_ns(lookups: Lookups, hit: FloatArray, t: Technology) -> FloatArray:
    """Time of the vectors that are not on chip: the first one, and the mean number of others."""
    bursts = burst_counts(lookups, t.dram)
    in_turn = divide_up(lookups.vectors, t.dram.channels) * (1 - hit)
    others = np.maximum(0, in_turn - 1) * row_cycles(bursts, t.dram)
    missed: FloatArray = (first_row_cycles(bursts, t.dram) + others) * t.dram.clock_ns
    return missed


def memory_area_um2(t: Technology) -> float:
    """Area of one memory: macros of at most the largest size in the table."""
    return _macros(t) * _of_macro(t, t.tile.buffer_area_um2)


def memory_leakage_mw(t: Technology) -> float:
    """Leakage of one memory."""
    if not t.hot_rows.kib:
        return 0.0
    return _macros(t) * _of_macro(t, t.tile.buffer_leakage_uw) * 1e-3  # uW -> mW


def _hits(lookups: Lookups, t: Technology, popularity: Popularity | None) -> FloatArray:
    """Share of the vectors that are on chip."""
    if popularity is None:
        raise DescriptionError(
            "hot_rows.kib: expected 0 where nothing says how often rows are read, got "
            f"{t.hot_rows.kib}; ReRAM(popularity=...) takes it from a log"
        )
    rows = t.hot_rows.kib * BITS_PER_KIB // (lookups.dim * lookups.value_bits)
    hit: FloatArray = np.where(_has_memory(lookups), popularity.share(rows), 0.0)
    return hit


def _has_memory(lookups: Lookups) -> npt.NDArray[np.bool_]:
    """Whether lookups have a memory: single values, first-order weights, stay in DRAM."""
    return np.asarray(lookups.dim) > 1


def _macros(t: Technology) -> int:
    return int(divide_up(t.hot_rows.kib, int(t.tile.buffer_sizes_kib[-1])))


def _of_macro(t: Technology, table: tuple[float, ...]) -> float:
    return buffer_figure(t.hot_rows.kib / _macros(t), t.tile.buffer_sizes_kib, table)
