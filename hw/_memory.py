"""Embedding rows in DDR4: random rows, spread evenly over the channels, each activated anew."""

from __future__ import annotations

from typing import Any

import numpy as np

from hw._figures import DramFigures
from hw._workload import Lookup

Count = Any  # a number, or an array of them


def lookup_latency_ns(lookup: Lookup, dram: DramFigures) -> float:
    """From the first command to the last burst of one sample.

    A channel is kept either by its data bus or by how often its ranks may be activated.
    """
    bursts = burst_counts(lookup.dim * lookup.value_bits, dram)
    in_turn = -(-lookup.rows // dram.channels) - 1
    cycles = dram.first_cycles + (bursts - 1) * dram.bus_cycles + in_turn * row_cycles(bursts, dram)
    return float(cycles * dram.clock_ns)


def lookup_energy_pj(lookup: Lookup, dram: DramFigures, *, cache_hit: float = 0.0) -> float:
    """Energy of one sample; rows found in a near-memory cache only cross the bus.

    Args:
        lookup: The rows.
        dram: Figures of the memory.
        cache_hit: Share of rows found in the cache, 0 to 1.
    """
    bits = burst_counts(lookup.dim * lookup.value_bits, dram) * dram.burst_bits
    array_pj = dram.activate_pj + bits * dram.read_pj_per_bit
    return float(lookup.rows * ((1 - cache_hit) * array_pj + bits * dram.io_pj_per_bit))


def burst_counts(row_bits: Count, dram: DramFigures) -> Count:
    """Bursts of one row; a burst is moved whole."""
    return -(-row_bits // dram.burst_bits)


def row_cycles(bursts: Count, dram: DramFigures) -> Count:
    """Cycles that a row keeps its channel."""
    return np.maximum(dram.bus_cycles * bursts, dram.activate_cycles / dram.ranks)
