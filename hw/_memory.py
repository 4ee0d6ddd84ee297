"""Embedding rows in DDR4: random rows, spread evenly over the channels, each activated anew."""

from __future__ import annotations

from hw._technology import DramFigures
from hw._workload import Lookup


def lookup_latency_ns(lookup: Lookup, dram: DramFigures) -> float:
    """From the first command to the last burst of one sample.

    A channel is kept either by its data bus or by how often its ranks may be activated.
    """
    bursts = _bursts(lookup, dram)
    in_turn = -(-lookup.rows // dram.channels) - 1
    per_row = max(dram.bus_cycles * bursts, dram.activate_cycles / dram.ranks)
    cycles = dram.first_cycles + (bursts - 1) * dram.bus_cycles + in_turn * per_row
    return cycles * dram.clock_ns


def lookup_energy_pj(lookup: Lookup, dram: DramFigures, *, cache_hit: float = 0.0) -> float:
    """Energy of one sample; rows found in a near-memory cache only cross the bus.

    Args:
        lookup: The rows.
        dram: Figures of the memory.
        cache_hit: Share of rows found in the cache, 0 to 1.
    """
    bits = _bursts(lookup, dram) * dram.burst_bits
    array_pj = dram.activate_pj + bits * dram.read_pj_per_bit
    return lookup.rows * ((1 - cache_hit) * array_pj + bits * dram.io_pj_per_bit)


def _bursts(lookup: Lookup, dram: DramFigures) -> int:
    """Bursts of one row; a burst is moved whole."""
    return -(-lookup.dim * lookup.value_bits // dram.burst_bits)
