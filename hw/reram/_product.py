"""What matrix-vector products cost on crossbars: events times energy per event, cycles times time.

Formulas: sections 2 and 5 of ISAAC (Shafiee et al., ISCA 2016) for what is read and converted;
MNSIM 2.0 (Zhu et al., TCAD 2023) for tiles charged whole and for buffers in every element.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from hw._arrays import FloatArray, divide_up
from hw.files import Technology
from hw.reram._charge import Charge, charge
from hw.reram._mapping import Mapping, map_product
from hw.reram._movement import movement
from hw.reram._parts import INDEX, Parts, Products, require_integers, total

Array = Any  # of numbers, one for each product


def product_parts(products: Products, t: Technology) -> Parts:
    """Cost of each product alone.

    Args:
        products: Shapes and bits.
        t: The accelerator.

    Raises:
        DescriptionError: A product is in floating point.
    """
    require_integers(weight_bits=products.weight_bits, activation_bits=products.activation_bits)
    mapping = map_product(products, t.geometry)
    charged = charge(products, mapping, t)
    parts = Parts.none(len(products.inputs))
    in_turn = divide_up(products.repeats, t.element.replication)
    fill_ns = _cycle_times(parts, mapping, in_turn, t)
    parts.latency_ns[INDEX["adders"]] = charged.adder_levels * t.element.adder_ns
    _energies(parts, products, mapping, charged, t)
    moved = movement(products, mapping, charged, t)
    for name in ("buffer_read", "buffer_write", "transport"):
        parts.latency_ns[INDEX[name]] = in_turn * moved.latency_ns[name]
        parts.energy_pj[INDEX[name]] = moved.energy_pj[name]
    parts.energy_pj *= products.repeats
    # The next sample may follow when the last vector has left the crossbars. Copies that one sample
    # does not need compute the next samples.
    copies = t.element.replication
    vectors_ns = total(parts.latency_ns) - parts.latency_ns[INDEX["adders"]] - fill_ns
    parts.busy_ns += vectors_ns / in_turn * products.repeats / copies
    parts.elements += copies * charged.elements
    parts.tiles += copies * charged.tiles
    paid = parts.tiles * t.tile.elements if t.tile.whole else parts.elements
    for name, area_um2 in element_areas_um2(t).items():
        parts.area_um2[INDEX[name]] = paid * area_um2
    cells = products.inputs * mapping.columns * mapping.arrays
    parts.write_energy_pj += copies * cells * t.crossbar.cell_write_pj
    parts.write_ns += np.minimum(products.inputs, t.crossbar.rows) * t.crossbar.write_ns
    return parts


def _cycle_times(parts: Parts, mapping: Mapping, in_turn: Array, t: Technology) -> FloatArray:
    """Fill in the times of reading and converting; returns the part that fills the pipeline."""
    one = np.ones_like(in_turn, dtype=np.float64)
    convert = mapping.column_groups / t.adc.samples_per_ns
    select = mapping.column_groups * t.adc.select_ns
    steps = {  # of one cycle, which converts each column once
        "crossbar": one * t.crossbar.read_ns,
        "dac": one * t.dac.drive_ns,
        "row_select": one * t.dac.select_ns,
        "column_select": select,
        "adc": convert,
        "shift_add": one * t.element.shift_add_ns,
        "input_register": one * t.element.input_register_ns,
        "output_register": one * t.element.output_register_ns,
    }
    cycles = in_turn * mapping.cycles
    if t.adc.schedule != "overlapped":
        for name, time_ns in steps.items():
            parts.latency_ns[INDEX[name]] = cycles * time_ns
            if t.adc.schedule == "in_turn" and name not in ("adc", "column_select"):
                # Everything except converting is repeated for each group of columns.
                parts.latency_ns[INDEX[name]] *= mapping.column_groups
        if t.adc.schedule == "in_turn":
            loaded, written = _register_shares(mapping)
            parts.latency_ns[INDEX["input_register"]] *= loaded
            parts.latency_ns[INDEX["output_register"]] *= written
        return np.zeros_like(one)
    read = steps["crossbar"] + steps["dac"] + steps["row_select"] + steps["input_register"]
    after = steps["shift_add"] + steps["output_register"]
    cycle = np.maximum(np.maximum(read, select + convert), after)
    longest = np.where(cycle > read, "adc", "crossbar")
    fill_ns = t.element.pipeline_stages * cycle
    for name in ("crossbar", "adc"):  # the shorter of the two is hidden and takes no time
        parts.latency_ns[INDEX[name]] = np.where(longest == name, cycles * cycle + fill_ns, 0.0)
    return np.asarray(fill_ns)


def _register_shares(mapping: Mapping) -> tuple[Array, Array]:
    """Accesses of the input and of the output register in each step, where nothing is held.

    Inputs are loaded once for every group of rows and columns and read for each of their slices;
    results are written once for each group of columns.
    """
    return 1 + 1 / mapping.input_slices, 1 / mapping.cycles


def _energies(
    parts: Parts, products: Products, mapping: Mapping, charged: Charge, t: Technology
) -> None:
    """Fill in the energy of one product: counts of events times energy per event."""
    again = mapping.column_groups if t.adc.schedule == "in_turn" else 1
    drives = charged.rows * mapping.input_slices * again
    conversions = charged.columns * mapping.cycles
    cycles = charged.active_elements * mapping.cycles * again
    loaded, written = _register_shares(mapping) if t.adc.schedule == "in_turn" else (1.0, 1.0)
    events = {
        # Every row is read once per input slice, whatever the number of rows at a time.
        "crossbar": charged.cells * mapping.input_slices * (t.crossbar.cell_read_fj * 1e-3),  # fJ
        "dac": drives * (t.dac.drive_pj * (1 << (t.dac.bits - 1))),
        "row_select": drives * t.dac.select_pj,
        "sample_and_hold": conversions * (t.adc.sample_and_hold_fj * 1e-3),  # fJ -> pJ
        "column_select": conversions * t.adc.select_pj,
        "adc": conversions * (t.adc.conversion_pj * _at_bits(t, t.adc.energy_scaling)),
        "shift_add": conversions * t.element.shift_add_pj,
        "input_register": cycles * loaded * t.element.input_register_pj,
        "output_register": cycles * written * t.element.output_register_pj,
        "adders": charged.adders * t.element.adder_pj,
    }
    for name, energy_pj in events.items():
        parts.energy_pj[INDEX[name]] = energy_pj


@lru_cache(maxsize=4096)
def adc_scale(bits: int, axis: tuple[float, ...], table: tuple[float, ...]) -> float:
    """Energy or area of a converter of `bits`, relative to one of 8 bits.

    Args:
        bits: Resolution.
        axis: Resolutions of the table.
        table: Energies or areas; between its entries and beyond them it is geometric.
    """
    logs = [math.log(entry) for entry in table]

    def at(value: float) -> float:
        after = next((i for i, x in enumerate(axis) if x >= value), len(axis) - 1)
        right = max(1, after)
        slope = (logs[right] - logs[right - 1]) / (axis[right] - axis[right - 1])
        return logs[right - 1] + (value - axis[right - 1]) * slope

    return math.exp(at(bits) - at(8))


def _at_bits(t: Technology, table: tuple[float, ...]) -> float:
    return adc_scale(t.adc.bits, t.adc.scaling_bits, table)


def element_areas_um2(t: Technology) -> dict[str, float]:
    """Area of one processing element by component, um2; pairs share drivers."""
    pairs = -(-t.element.crossbars // t.geometry.arrays)
    converted = pairs if t.crossbar.encoding == "pair_analog" else t.element.crossbars
    rows, columns = t.crossbar.rows, t.crossbar.columns
    drivers = pairs * (t.dac.per_crossbar or rows)
    converters = converted * t.adc.per_crossbar
    array = rows * columns * t.crossbar.cell_area_um2 + rows * t.crossbar.row_area_um2
    return {
        "crossbar": t.element.crossbars * array,
        "dac": drivers * t.dac.area_um2 * (1 << (t.dac.bits - 1)),
        "row_select": drivers * t.dac.select_area_um2,
        "sample_and_hold": converted * columns * t.adc.sample_and_hold_area_um2,
        "column_select": converters * t.adc.select_area_um2,
        "adc": converters * t.adc.area_um2 * _at_bits(t, t.adc.area_scaling),
        "shift_add": t.element.shift_add_area_um2,
        "input_register": t.element.input_register_area_um2,
        "output_register": t.element.output_register_area_um2,
    }


def element_area_um2(t: Technology) -> float:
    """Compute the area of one processing element with its crossbars.

    Args:
        t: The figures of the technology.

    Returns:
        Area, um2.
    """
    return sum(element_areas_um2(t).values())
