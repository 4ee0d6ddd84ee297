"""What stands beside the crossbars: the digital functional unit, and embedding rows in DDR4."""

from __future__ import annotations

import numpy as np

from hw._figures import DigitalFigures, DramFigures
from hw._geometry import divide_up
from hw._memory import burst_counts, row_cycles
from hw._parts import INDEX, Digitals, Lookups, Parts, require_integers


def digital_parts(work: Digitals, unit: DigitalFigures) -> Parts:
    """Cost of digital operations; the unit is one, so they keep each other's samples waiting.

    Operands wider than 8 bits pass the 8-bit multipliers several times, and a special function is a
    read of its table with a multiply-accumulate.

    Raises:
        DescriptionError: An operation is in floating point.
    """
    require_integers(bits=work.bits)
    parts = Parts.none(len(work.bits))
    width = work.bits / 8
    passes = divide_up(work.bits, 8)
    cycles = (
        divide_up(work.multiplications * passes**2, unit.multipliers)
        + divide_up(work.additions * passes, unit.multipliers)
        + divide_up(work.special_functions, unit.special_lanes)
    )
    parts.latency_ns[INDEX["digital"]] = cycles * (1e3 / unit.clock_mhz)
    mac_pj = unit.mac_pj * width**2
    parts.energy_pj[INDEX["digital"]] = (
        work.multiplications * mac_pj
        + work.additions * (unit.add_pj * width)
        + work.special_functions * (unit.special_pj + mac_pj)
    )
    parts.busy_ns += parts.latency_ns[INDEX["digital"]]
    return parts


def lookup_parts(lookups: Lookups, dram: DramFigures) -> Parts:
    """Cost of embedding rows, spread evenly over the channels, each activated anew."""
    parts = Parts.none(len(lookups.rows))
    bursts = burst_counts(lookups.dim * lookups.value_bits, dram)
    per_row = row_cycles(bursts, dram)
    in_turn = divide_up(lookups.rows, dram.channels)
    first = dram.first_cycles + (bursts - 1) * dram.bus_cycles
    bits = bursts * dram.burst_bits
    row_pj = dram.activate_pj + bits * (dram.read_pj_per_bit + dram.io_pj_per_bit)
    parts.latency_ns[INDEX["memory"]] = (first + (in_turn - 1) * per_row) * dram.clock_ns
    parts.energy_pj[INDEX["memory"]] = lookups.rows * row_pj
    parts.busy_ns += np.asarray(in_turn * per_row * dram.clock_ns)
    return parts
