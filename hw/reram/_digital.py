"""Costs of digital operations on the functional unit beside the crossbars."""

from __future__ import annotations

from hw._arrays import divide_up
from hw.files import DigitalFigures
from hw.reram._parts import INDEX, Digitals, Parts, require_integers


def digital_parts(work: Digitals, unit: DigitalFigures) -> Parts:
    """Costs of digital operations; there is one unit, so consecutive samples wait for each other.

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
