"""The figures of an accelerator: one TOML, a source for each, frozen dataclasses from the door on.

A figure stands as `name = { value = 128, unit = "…", source = "…" }`; a bare value is accepted in a
user's own file. The file that ships is the only place of a default.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from hw.errors import DescriptionError

DEFAULT = "isaac_32nm.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossbarFigures:
    """An array of cells with its row drivers."""

    rows: int
    columns: int
    cell_bits: int
    read_ns: float
    cell_read_fj: float
    cell_area_um2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DacFigures:
    """The drivers of the wordlines."""

    bits: int
    drive_pj: float
    area_um2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AdcFigures:
    """The converters of the bitlines; the tables scale energy and area by resolution."""

    bits: int
    per_crossbar: int
    samples_per_ns: float
    conversion_pj: float
    area_um2: float
    sample_and_hold_area_um2: float
    sample_and_hold_fj: float
    scaling_bits: tuple[float, ...]
    energy_scaling: tuple[float, ...]
    area_scaling: tuple[float, ...]
    flip_encoding: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementFigures:
    """A processing element: crossbars that share registers."""

    crossbars: int
    replication: int
    input_register_pj: float
    output_register_pj: float
    register_area_um2: float
    shift_add_pj: float
    shift_add_area_um2: float
    adder_pj: float
    adder_ns: float
    pipeline_stages: int
    leakage_mw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TileFigures:
    """A tile: processing elements around a buffer."""

    elements: int
    buffer_kib: int
    buffer_sizes_kib: tuple[float, ...]
    buffer_access_pj: tuple[float, ...]
    buffer_area_um2: tuple[float, ...]
    buffer_leakage_uw: tuple[float, ...]
    buffer_access_ns: tuple[float, ...]
    access_bits: int
    transport_pj_per_bit: float
    interconnect_area_um2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitalFigures:
    """The digital functional unit."""

    multipliers: int
    special_lanes: int
    clock_mhz: float
    mac_pj: float
    add_pj: float
    special_pj: float
    area_um2: float
    leakage_mw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DramFigures:
    """DDR4 with the embedding tables."""

    channels: int
    ranks: int
    clock_ns: float
    first_cycles: int
    bus_cycles: int
    activate_cycles: float
    burst_bits: int
    activate_pj: float
    read_pj_per_bit: float
    io_pj_per_bit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Technology:
    """All figures of an accelerator, section by section.

    Raises:
        DescriptionError: A figure is out of range, or two tables that belong together are not of
            one length.
    """

    crossbar: CrossbarFigures
    dac: DacFigures
    adc: AdcFigures
    element: ElementFigures
    tile: TileFigures
    digital: DigitalFigures
    dram: DramFigures

    def __post_init__(self) -> None:
        for section in fields(self):
            figures = getattr(self, section.name)
            for field in fields(figures):
                name = f"{section.name}.{field.name}"
                _check_range(name, getattr(figures, field.name), str(field.type))
        for axis, tables in TABLES.items():
            for table in (axis, *tables):
                _check_table(table, self._at(table), axis, self._at(axis))

    def _at(self, name: str) -> tuple[float, ...]:
        section, _, figure = name.partition(".")
        table: tuple[float, ...] = getattr(getattr(self, section), figure)
        return table


# Figures that bound what the model can compute; others are 1 or more, or 0 or more.
LIMITS = {
    "crossbar.rows": (1, 65536),
    "crossbar.columns": (1, 65536),
    "crossbar.cell_bits": (1, 8),
    "dac.bits": (1, 8),
    "adc.bits": (1, 16),
}
DIVISORS = ("adc.samples_per_ns", "digital.clock_mhz")
TABLES = {
    "adc.scaling_bits": ("adc.energy_scaling", "adc.area_scaling"),
    "tile.buffer_sizes_kib": (
        "tile.buffer_access_pj",
        "tile.buffer_area_um2",
        "tile.buffer_leakage_uw",
        "tile.buffer_access_ns",
    ),
}

SECTIONS: dict[str, Any] = {
    "crossbar": CrossbarFigures,
    "dac": DacFigures,
    "adc": AdcFigures,
    "element": ElementFigures,
    "tile": TileFigures,
    "digital": DigitalFigures,
    "dram": DramFigures,
}


@cache
def default_technology() -> Technology:
    """The figures that ship."""
    text = (files("hw") / "technology" / DEFAULT).read_text(encoding="utf-8")
    return parse_technology(text, DEFAULT)


def read_technology(path: Path | str) -> Technology:
    """The figures of a user's file; sections and figures left out are those that ship.

    Raises:
        DescriptionError: The file cannot be read, is not TOML, or a figure is unknown, of the
            wrong type or out of range.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DescriptionError(f"{path}: expected a technology TOML, got: {reason}") from error
    return parse_technology(text, str(path), base=default_technology())


def parse_technology(text: str, where: str, base: Technology | None = None) -> Technology:
    """Figures from TOML text; see `read_technology`."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(f"{where}: expected TOML, got: {error}") from error
    _check_names(where, values, list(SECTIONS))
    sections = {
        name: _section(where, name, cls, values.get(name, {}), getattr(base, name, None))
        for name, cls in SECTIONS.items()
    }
    try:
        return Technology(**sections)
    except DescriptionError as error:
        raise DescriptionError(f"{where}: {error}") from None


def _section(where: str, section: str, cls: Any, values: Any, base: Any) -> Any:
    if not isinstance(values, dict):
        raise DescriptionError(f"{where}: {section}: expected a table, got {values!r}")
    types = {field.name: field.type for field in fields(cls)}
    _check_names(f"{where}: {section}", values, list(types))
    figures = {}
    for name, kind in types.items():
        if name in values:
            figures[name] = _figure(f"{where}: {section}.{name}", values[name], str(kind))
        elif base is not None:
            figures[name] = getattr(base, name)
        else:
            raise DescriptionError(f"{where}: {section}: expected a figure {name!r}, got none")
    return cls(**figures)


def _figure(where: str, value: Any, kind: str) -> Any:
    if isinstance(value, dict):
        _check_names(where, value, ["value", "unit", "source"])
        if "value" not in value:
            raise DescriptionError(f"{where}: expected a key 'value', got {sorted(value)}")
        value = value["value"]
    if kind == "bool":
        if isinstance(value, bool):
            return value
        raise DescriptionError(f"{where}: expected true or false, got {value!r}")
    if kind.startswith("tuple"):
        if isinstance(value, list) and value and all(_is_number(entry) for entry in value):
            return tuple(float(entry) for entry in value)
        raise DescriptionError(f"{where}: expected a list of numbers, got {value!r}")
    if kind == "int":
        if _is_number(value) and isinstance(value, int):
            return value
        raise DescriptionError(f"{where}: expected an integer, got {value!r}")
    if _is_number(value):
        return float(value)
    raise DescriptionError(f"{where}: expected a number, got {value!r}")


def _check_range(name: str, value: Any, kind: str) -> None:
    if kind == "int":
        low, high = LIMITS.get(name, (1, 1 << 32))
        if not low <= value <= high:
            raise DescriptionError(f"{name}: expected {low} to {high}, got {value}")
    elif name in DIVISORS and not 0 < value < math.inf:
        raise DescriptionError(f"{name}: expected more than 0, got {value}")
    elif kind == "float" and not 0 <= value < math.inf:
        raise DescriptionError(f"{name}: expected a number from 0, got {value}")


def _check_table(
    name: str, table: tuple[float, ...], axis_name: str, axis: tuple[float, ...]
) -> None:
    """Tables are read on a log scale, between entries and beyond the last two."""
    if not all(0 < entry < math.inf for entry in table):
        raise DescriptionError(f"{name}: expected numbers above 0, got {list(table)}")
    if name == axis_name and (len(axis) < 2 or sorted(set(axis)) != list(axis)):
        raise DescriptionError(f"{name}: expected two or more, ascending, got {list(axis)}")
    if len(table) != len(axis):
        raise DescriptionError(
            f"{name}: expected {len(axis)} entries as in {axis_name}, got {len(table)}"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_names(where: str, values: dict[str, Any], known: list[str]) -> None:
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise DescriptionError(f"{where}: unknown key {name!r}{hint}")
