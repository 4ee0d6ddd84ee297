"""The figures of an accelerator, by section, with the unit that a file has to state for each.

The sections are those of a technology TOML. Defaults are only in the files in `hw/technology/`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from hw.errors import DescriptionError

# How a weight's sign is stored. Offset: weight + 2^(bits - 1), one array. Pairs: a positive and a
# negative array, subtracted before the converter (analog) or after it (digital).
ENCODINGS = ("offset", "pair_analog", "pair_digital")

# How a crossbar's columns reach their converters. Overlapped: held by sample-and-hold while the
# next slice of the input is read (ISAAC). Held: also held, but reading waits for converting. In
# turn: nothing is held, and wordlines are driven again for each group of columns (MNSIM 2.0).
SCHEDULES = ("overlapped", "held", "in_turn")


def figure(unit: str) -> Any:
    """A field whose value a technology file states in `unit`."""
    return field(metadata={"unit": unit})


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossbarFigures:
    """An array of cells.

    Args:
        rows: Wordlines.
        columns: Bitlines.
        cell_bits: Bits of a cell, bit.
        encoding: How signs are stored. `offset`: weight plus half the range. `pair_analog`,
            `pair_digital`: two arrays, subtracted before or after conversion.
        slices_apart: Whether each slice of the weights has crossbars of its own.
        read_ns: Time of a read, ns.
        cell_read_fj: Energy, fJ per cell and read.
        cell_area_um2: Area, um2 per cell.
        row_area_um2: Area of the circuits of each wordline, um2 per wordline.
        write_ns: Time to write the cells of a wordline, ns.
        cell_write_pj: Energy to write a cell, pJ.
    """

    rows: int = figure("wordlines")
    columns: int = figure("bitlines")
    cell_bits: int = figure("bit")
    encoding: str = figure("choice")
    slices_apart: bool = figure("yes or no")
    read_ns: float = figure("ns")
    cell_read_fj: float = figure("fJ per cell and read")
    cell_area_um2: float = figure("um2 per cell")
    row_area_um2: float = figure("um2 per row")
    write_ns: float = figure("ns per row")
    cell_write_pj: float = figure("pJ per cell")


@dataclass(frozen=True, slots=True, kw_only=True)
class DacFigures:
    """The drivers of the wordlines.

    Energy and area are those at 1 bit, and double with each further bit.

    Args:
        bits: Bits of an input that are applied at once, bit.
        per_crossbar: Drivers of a crossbar; 0 means one for each wordline.
        drive_ns: Time of a drive, ns.
        drive_pj: Energy at 1 bit, pJ per row and drive.
        area_um2: Area at 1 bit, um2 per driver.
        select_ns: Time to select the rows, ns per drive.
        select_pj: Energy to select the rows, pJ per row and drive.
        select_area_um2: Area of the row multiplexer, um2 per driver.
    """

    bits: int = figure("bit")
    per_crossbar: int = figure("drivers")
    drive_ns: float = figure("ns")
    drive_pj: float = figure("pJ per row and drive")
    area_um2: float = figure("um2 per driver")
    select_ns: float = figure("ns per drive")
    select_pj: float = figure("pJ per row and drive")
    select_area_um2: float = figure("um2 per driver")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdcFigures:
    """The converters of the bitlines.

    Energy and area are those at 8 bits; the tables, relative to their value at 8 bits, scale them.
    With `clips`, all driven wordlines are read at once and sums above the range saturate. Otherwise
    only as many wordlines are read at once as a converter resolves.

    Args:
        bits: Resolution, bit.
        per_crossbar: Converters of a crossbar; its columns share them.
        schedule: `overlapped`: the next read runs while held columns are converted; `held`: one
            after the other; `in_turn`: wordlines are driven again for each group of columns.
        clips: Whether sums above the range saturate.
        flip_encoding: Whether columns with a large weight sum are stored inverted, which saves one
            bit.
        samples_per_ns: Conversions of one converter, 1/ns.
        conversion_pj: Energy at 8 bits, pJ per conversion.
        area_um2: Area at 8 bits, um2 per converter.
        sample_and_hold_fj: Energy of the sample-and-hold, fJ per conversion.
        sample_and_hold_area_um2: Area of the sample-and-hold, um2 per column.
        select_ns: Time of the column multiplexer, ns per conversion.
        select_pj: Energy of the column multiplexer, pJ per conversion.
        select_area_um2: Area of the column multiplexer, um2 per converter.
        scaling_bits: Resolutions of the two tables, bit, ascending.
        energy_scaling: Relative energy at each of `scaling_bits`.
        area_scaling: Relative area at each of `scaling_bits`.
    """

    bits: int = figure("bit")
    per_crossbar: int = figure("converters")
    schedule: str = figure("choice")
    clips: bool = figure("yes or no")
    flip_encoding: bool = figure("yes or no")
    samples_per_ns: float = figure("1/ns")
    conversion_pj: float = figure("pJ per conversion")
    area_um2: float = figure("um2 per converter")
    sample_and_hold_fj: float = figure("fJ per conversion")
    sample_and_hold_area_um2: float = figure("um2 per column")
    select_ns: float = figure("ns per conversion")
    select_pj: float = figure("pJ per conversion")
    select_area_um2: float = figure("um2 per converter")
    scaling_bits: tuple[float, ...] = figure("bit")
    energy_scaling: tuple[float, ...] = figure("relative")
    area_scaling: tuple[float, ...] = figure("relative")


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementFigures:
    """A processing element: crossbars that share registers; a cycle is one step of its converters.

    Args:
        crossbars: Crossbars of an element.
        replication: Copies of every crossbar.
        input_register_pj: Energy of the input register, pJ per cycle.
        input_register_ns: Time of the input register, ns per cycle.
        input_register_area_um2: Area of the input register, um2 per element.
        output_register_pj: Energy of the output register, pJ per cycle.
        output_register_ns: Time of the output register, ns per cycle.
        output_register_area_um2: Area of the output register, um2 per element.
        shift_add_pj: Energy of shift-and-add, pJ per conversion.
        shift_add_ns: Time of shift-and-add, ns per cycle.
        shift_add_area_um2: Area of shift-and-add, um2 per element.
        adder_pj: Energy of an adder that sums the results of crossbars, pJ per addition.
        adder_ns: Time of a level of the tree of adders, ns.
        pipeline_stages: Cycles that a result needs after the last read, where reading and
            converting overlap.
        leakage_mw: Leakage, mW per element.
    """

    crossbars: int = figure("crossbars")
    replication: int = figure("copies")
    input_register_pj: float = figure("pJ per cycle")
    input_register_ns: float = figure("ns per cycle")
    input_register_area_um2: float = figure("um2 per element")
    output_register_pj: float = figure("pJ per cycle")
    output_register_ns: float = figure("ns per cycle")
    output_register_area_um2: float = figure("um2 per element")
    shift_add_pj: float = figure("pJ per conversion")
    shift_add_ns: float = figure("ns per cycle")
    shift_add_area_um2: float = figure("um2 per element")
    adder_pj: float = figure("pJ per addition")
    adder_ns: float = figure("ns per level")
    pipeline_stages: int = figure("cycles")
    leakage_mw: float = figure("mW per element")


@dataclass(frozen=True, slots=True, kw_only=True)
class TileFigures:
    """A tile: processing elements around a buffer.

    `whole` and `element_buffers` are conventions of MNSIM 2.0. The tables of the buffer have one
    entry for each of `buffer_sizes_kib`.

    Args:
        elements: Processing elements of a tile.
        whole: Whether each operator has tiles of its own, all charged like the fullest one.
        element_buffers: Whether every element has an input buffer beside the tile's output buffer;
            all buffers of a tile then run during each access.
        buffer_kib: Size of the buffer, KiB.
        buffer_sizes_kib: Sizes that the tables have, KiB, ascending.
        buffer_read_pj: Energy of a read, pJ per access.
        buffer_write_pj: Energy of a write, pJ per access.
        buffer_area_um2: Area, um2 per buffer.
        buffer_leakage_uw: Leakage, uW per buffer.
        buffer_access_ns: Time of an access, ns.
        access_bits: Bits of an access.
        bus_bits_per_ns: Width of the tile's bus, bit/ns.
        bus_pj_per_bit: Energy of the tile's bus, pJ/bit.
        bus_area_um2: Area of the bus, um2 per tile.
        adder_area_um2: Area of the adders, um2 per tile.
        unit_area_um2: Area of sigmoid units and output register, um2 per tile.
    """

    elements: int = figure("elements")
    whole: bool = figure("yes or no")
    element_buffers: bool = figure("yes or no")
    buffer_kib: int = figure("KiB")
    buffer_sizes_kib: tuple[float, ...] = figure("KiB")
    buffer_read_pj: tuple[float, ...] = figure("pJ per access")
    buffer_write_pj: tuple[float, ...] = figure("pJ per access")
    buffer_area_um2: tuple[float, ...] = figure("um2 per buffer")
    buffer_leakage_uw: tuple[float, ...] = figure("uW per buffer")
    buffer_access_ns: tuple[float, ...] = figure("ns per access")
    access_bits: int = figure("bit")
    bus_bits_per_ns: float = figure("bit/ns")
    bus_pj_per_bit: float = figure("pJ/bit")
    bus_area_um2: float = figure("um2 per tile")
    adder_area_um2: float = figure("um2 per tile")
    unit_area_um2: float = figure("um2 per tile")


@dataclass(frozen=True, slots=True, kw_only=True)
class BankFigures:
    """A bank: tiles that share a router.

    Args:
        tiles: Tiles of a bank.
        hops: Hops between a layer and the next.
        hop_ns: Time of a hop, ns.
        link_bits_per_ns: Width of a link, bit/ns.
        link_pj_per_bit: Energy of router and link, pJ/bit per hop.
        router_area_um2: Area of the router, um2 per bank.
        leakage_mw: Leakage of the router, mW per bank.
    """

    tiles: int = figure("tiles")
    hops: int = figure("hops")
    hop_ns: float = figure("ns per hop")
    link_bits_per_ns: float = figure("bit/ns")
    link_pj_per_bit: float = figure("pJ/bit per hop")
    router_area_um2: float = figure("um2 per bank")
    leakage_mw: float = figure("mW per bank")


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitalFigures:
    """The digital functional unit; energies are those of 8-bit operands.

    Args:
        multipliers: Number of 8-bit multipliers.
        special_lanes: Number of lanes for special functions.
        clock_mhz: Clock, MHz.
        mac_pj: Energy of a multiply-accumulate, pJ.
        add_pj: Energy of an addition, pJ.
        special_pj: Energy of the table read of a special function, pJ.
        area_um2: Area, um2.
        leakage_mw: Leakage, mW.
    """

    multipliers: int = figure("8-bit multipliers")
    special_lanes: int = figure("lanes")
    clock_mhz: float = figure("MHz")
    mac_pj: float = figure("pJ per operation")
    add_pj: float = figure("pJ per operation")
    special_pj: float = figure("pJ per table read")
    area_um2: float = figure("um2")
    leakage_mw: float = figure("mW")


@dataclass(frozen=True, slots=True, kw_only=True)
class DramFigures:
    """The DDR4 memory that holds the embedding tables.

    Args:
        channels: Number of channels.
        ranks: Ranks per channel.
        clock_ns: Clock period, ns.
        first_cycles: Cycles from activation to the end of the first burst.
        bus_cycles: Cycles for which a burst occupies the bus.
        activate_cycles: Cycles between two activations of a rank.
        burst_bits: Bits of a burst.
        activate_pj: Energy of an activation, pJ.
        read_pj_per_bit: Energy to read a bit, pJ/bit.
        io_pj_per_bit: Energy to move a bit over the bus, pJ/bit.
    """

    channels: int = figure("channels")
    ranks: int = figure("ranks per channel")
    clock_ns: float = figure("ns")
    first_cycles: int = figure("cycles")
    bus_cycles: int = figure("cycles per burst")
    activate_cycles: float = figure("cycles per activate and rank")
    burst_bits: int = figure("bit")
    activate_pj: float = figure("pJ per activate")
    read_pj_per_bit: float = figure("pJ/bit")
    io_pj_per_bit: float = figure("pJ/bit")


@dataclass(frozen=True, slots=True, kw_only=True)
class HotRowFigures:
    """On-chip memory that holds the most frequent embedding rows, of the macros of the buffers.

    Each lookup of vectors has such a memory of its own.

    Args:
        kib: Its size, KiB; 0 means that there is none.
    """

    kib: int = figure("KiB")


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuFigures:
    """A processor whose weights stay in its caches; rates are those that one sample reaches.

    Args:
        peak_gflops: Rate of fp32 operations, GFLOP/s.
        int8_speedup: Rate of products of 8-bit integers, in multiples of the fp32 rate, at the same
            power.
        weights_gb_per_s: Rate at which weights are read, GB/s.
        call_overhead_ns: Fixed time of a call, ns per operator.
        flop_pj: Energy of an fp32 operation, pJ.
    """

    peak_gflops: float = figure("GFLOP/s")
    int8_speedup: float = figure("times fp32")
    weights_gb_per_s: float = figure("GB/s")
    call_overhead_ns: float = figure("ns per operator")
    flop_pj: float = figure("pJ per operation")


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMemoryFigures:
    """A unit with a cache at each rank of the DRAM.

    Args:
        cache_hit: Share of vectors that the cache holds, 0 to 1.
        cache_pj: Energy of a cache access, pJ per vector.
        pooling: Vectors of a table that become one before they cross the bus.
        add_pj: Energy of an addition, pJ.
        unit_mw: Power of the units, mW per channel.
        unit_area_mm2: Area of the units, mm2 per channel.
    """

    cache_hit: float = figure("share of rows")
    cache_pj: float = figure("pJ per row")
    pooling: float = figure("rows per result")
    add_pj: float = figure("pJ per addition")
    unit_mw: float = figure("mW per channel")
    unit_area_mm2: float = figure("mm2 per channel")


# Figures with a range of their own; other counts are 1 or more, and other numbers 0 or more.
LIMITS = {
    "crossbar.rows": (1, 65536),
    "crossbar.columns": (1, 65536),
    "crossbar.cell_bits": (1, 8),
    "dac.bits": (1, 8),
    "dac.per_crossbar": (0, 65536),
    "adc.bits": (1, 16),
    "element.pipeline_stages": (0, 1 << 32),
    "bank.hops": (0, 1 << 32),
    "hot_rows.kib": (0, 1 << 20),
}
CHOICES = {"crossbar.encoding": ENCODINGS, "adc.schedule": SCHEDULES}
DIVISORS = (
    "adc.samples_per_ns",
    "tile.bus_bits_per_ns",
    "bank.link_bits_per_ns",
    "digital.clock_mhz",
    "cpu.peak_gflops",
    "cpu.weights_gb_per_s",
)
RANGES = {
    "cpu.int8_speedup": (1, math.inf),
    "near_memory.cache_hit": (0, 1),
    "near_memory.pooling": (1, math.inf),
}
TABLES = {
    "adc.scaling_bits": ("adc.energy_scaling", "adc.area_scaling"),
    "tile.buffer_sizes_kib": (
        "tile.buffer_read_pj",
        "tile.buffer_write_pj",
        "tile.buffer_area_um2",
        "tile.buffer_leakage_uw",
        "tile.buffer_access_ns",
    ),
}


def check_range(name: str, value: Any, kind: str, unit: str) -> None:
    """Refuse a figure that is out of range.

    Raises:
        DescriptionError: It names the figure and what was expected.
    """
    if kind == "int":
        low, high = LIMITS.get(name, (1, 1 << 32))
        if not low <= value <= high:
            raise DescriptionError(f"{name}: expected {low} to {high} ({unit}), got {value}")
    elif kind == "str" and value not in CHOICES[name]:
        raise DescriptionError(f"{name}: expected {' or '.join(CHOICES[name])}, got {value!r}")
    elif name in DIVISORS and not 0 < value < math.inf:
        raise DescriptionError(f"{name}: expected more than 0 ({unit}), got {value}")
    elif name in RANGES and not RANGES[name][0] <= value <= RANGES[name][1]:
        least, most = RANGES[name]
        raise DescriptionError(f"{name}: expected {least} to {most} ({unit}), got {value}")
    elif kind == "float" and not 0 <= value < math.inf:
        raise DescriptionError(f"{name}: expected a number from 0 ({unit}), got {value}")


def check_table(
    name: str, table: tuple[float, ...], axis_name: str, axis: tuple[float, ...]
) -> None:
    """Refuse a table that cannot be interpolated, or extrapolated, on a log scale.

    Raises:
        DescriptionError: It names the table and what was expected.
    """
    if not all(0 < entry < math.inf for entry in table):
        raise DescriptionError(f"{name}: expected numbers above 0, got {list(table)}")
    if name == axis_name and (len(axis) < 2 or sorted(set(axis)) != list(axis)):
        raise DescriptionError(f"{name}: expected two or more ascending numbers, got {list(axis)}")
    if len(table) != len(axis):
        raise DescriptionError(
            f"{name}: expected {len(axis)} entries as in {axis_name}, got {len(table)}"
        )


def units_of(section: Any) -> dict[str, str]:
    """List the units of a section.

    Args:
        section: A section, such as `CrossbarFigures`, or its class.

    Returns:
        Units by name of the figure.
    """
    return {f.name: f.metadata["unit"] for f in fields(section)}
