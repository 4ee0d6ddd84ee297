"""Embedding vectors in DDR4: random DRAM rows, spread evenly over the channels, each activated.

The formulas hold for one lookup and for columns of many lookups.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hw._arrays import Count, divide_up
from hw.files import DramFigures


class Reads(Protocol):
    """The fields of a lookup that decide its cost: a `Lookup`, or columns of many."""

    @property
    def vectors(self) -> Count: ...
    @property
    def dim(self) -> Count: ...
    @property
    def value_bits(self) -> Count: ...


def lookup_latency_ns(reads: Reads, dram: DramFigures) -> Count:
    """From the first command to the last burst of one sample."""
    bursts = burst_counts(reads, dram)
    in_turn = divide_up(reads.vectors, dram.channels)
    cycles = first_row_cycles(bursts, dram) + (in_turn - 1) * row_cycles(bursts, dram)
    return cycles * dram.clock_ns


def lookup_busy_ns(reads: Reads, dram: DramFigures) -> Count:
    """Time for which one sample occupies the busiest channel."""
    bursts = burst_counts(reads, dram)
    return divide_up(reads.vectors, dram.channels) * row_cycles(bursts, dram) * dram.clock_ns


def lookup_energy_pj(reads: Reads, dram: DramFigures) -> Count:
    """Energy of one sample: activations, reads, and transfers over the bus, for every vector."""
    bits = burst_counts(reads, dram) * dram.burst_bits
    return reads.vectors * (dram.activate_pj + bits * (dram.read_pj_per_bit + dram.io_pj_per_bit))


def burst_counts(reads: Reads, dram: DramFigures) -> Count:
    """Bursts of one vector; a burst is always moved whole."""
    return divide_up(reads.dim * reads.value_bits, dram.burst_bits)


def first_row_cycles(bursts: Count, dram: DramFigures) -> Count:
    """Cycles from the first command to the last burst of a channel's first vector."""
    return dram.first_cycles + (bursts - 1) * dram.bus_cycles


def row_cycles(bursts: Count, dram: DramFigures) -> Count:
    """Cycles for which a vector occupies its channel: bursts, or time between activations."""
    return np.maximum(dram.bus_cycles * bursts, dram.activate_cycles / dram.ranks)
