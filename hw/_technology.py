"""Technology files: one TOML of an accelerator's figures, a frozen dataclass from the door on.

A figure stands as `name = { value = 128, unit = "…", node = "…", source = "…" }`; a bare value, in
the unit of `hw/_figures.py`, is accepted in a user's own file. `base = "mnsim_2_0.toml"` names the
file that ships whose figures hold where the file has none.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from hw._crossbar import Geometry
from hw._figures import (
    TABLES,
    AdcFigures,
    BankFigures,
    CrossbarFigures,
    DacFigures,
    DigitalFigures,
    DramFigures,
    ElementFigures,
    TileFigures,
    check_range,
    check_table,
    units_of,
)
from hw.errors import DescriptionError

DEFAULT = "reram_32nm.toml"
SECTIONS: dict[str, Any] = {
    "crossbar": CrossbarFigures,
    "dac": DacFigures,
    "adc": AdcFigures,
    "element": ElementFigures,
    "tile": TileFigures,
    "bank": BankFigures,
    "digital": DigitalFigures,
    "dram": DramFigures,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Technology:
    """All figures of an accelerator, section by section.

    Raises:
        DescriptionError: A figure is out of range, two tables that belong together are not of one
            length, or the converters cannot read what the crossbars hold.
    """

    crossbar: CrossbarFigures
    dac: DacFigures
    adc: AdcFigures
    element: ElementFigures
    tile: TileFigures
    bank: BankFigures
    digital: DigitalFigures
    dram: DramFigures

    def __post_init__(self) -> None:
        for section in fields(self):
            figures = getattr(self, section.name)
            for field in fields(figures):
                name = f"{section.name}.{field.name}"
                check_range(
                    name, getattr(figures, field.name), str(field.type), field.metadata["unit"]
                )
        for axis, tables in TABLES.items():
            for table in (axis, *tables):
                check_table(table, self._at(table), axis, self._at(axis))
        self._check_converters()

    @property
    def geometry(self) -> Geometry:
        """What decides how products are mapped."""
        return Geometry(
            rows=self.crossbar.rows,
            columns=self.crossbar.columns,
            cell_bits=self.crossbar.cell_bits,
            dac_bits=self.dac.bits,
            adc_bits=self.adc.bits,
            flip_encoding=self.adc.flip_encoding,
            encoding=self.crossbar.encoding,
            slices_apart=self.crossbar.slices_apart,
            rows_driven=self.dac.per_crossbar,
            converters=self.adc.per_crossbar,
            clips=self.adc.clips,
        )

    def _check_converters(self) -> None:
        geometry = self.geometry
        if self.adc.flip_encoding and geometry.encoding != "offset":
            raise DescriptionError(
                f"adc.flip_encoding: expected false with crossbar.encoding {geometry.encoding!r}, "
                "got True"
            )
        if not (geometry.clips or geometry.is_lossless):
            raise DescriptionError(
                f"adc.bits: expected enough to read one row of {geometry.cell_bits}-bit cells, or "
                f"adc.clips = true, got {geometry.adc_bits}"
            )

    def _at(self, name: str) -> tuple[float, ...]:
        section, _, figure = name.partition(".")
        table: tuple[float, ...] = getattr(getattr(self, section), figure)
        return table


@cache
def shipped_technology(name: str) -> Technology:
    """The figures of a file that ships.

    Raises:
        DescriptionError: No file of this name ships.
    """
    folder = files("hw") / "technology"
    known = sorted(f.name for f in folder.iterdir() if f.name.endswith(".toml"))
    if name not in known:
        raise DescriptionError(f"base: expected one of {', '.join(known)}, got {name!r}")
    return parse_technology((folder / name).read_text(encoding="utf-8"), name)


def default_technology() -> Technology:
    """The figures of ISAAC at 32 nm."""
    return shipped_technology(DEFAULT)


def read_technology(path: Path | str) -> Technology:
    """The figures of a user's file; figures left out are those of its `base`, or ISAAC's.

    Raises:
        DescriptionError: The file cannot be read, is not TOML, or a figure is unknown, of the wrong
            type or unit, or out of range; it names the line, the figure and the unit expected.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DescriptionError(f"{path}: expected a technology TOML, got: {reason}") from error
    return parse_technology(text, str(path), base=default_technology())


def parse_technology(text: str, where: str, base: Technology | None = None) -> Technology:
    """Figures from TOML text; see `read_technology`.

    Args:
        text: The TOML.
        where: What to call it in errors.
        base: Figures where the text has none and names no `base`; nothing = it must have them all.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(f"{where}: expected TOML, got: {error}") from error
    try:
        _check_names("", values, ["base", *SECTIONS])
        if "base" in values:
            base = shipped_technology(str(values["base"]))
        return Technology(
            **{
                name: _section(name, cls, values.get(name, {}), getattr(base, name, None))
                for name, cls in SECTIONS.items()
            }
        )
    except DescriptionError as error:
        raise DescriptionError(f"{where}:{_line_of(str(error), text)} {error}") from None


def _line_of(sentence: str, text: str) -> str:
    """`12:` where line 12 states what the sentence is about, `` where no line does."""
    about, _, _ = sentence.partition(":")
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := re.match(r"\s*\[\s*([\w.\-]+)\s*\]", line):
            section = found[1] + "."
            lines.setdefault(found[1], number)
        elif found := re.match(r"\s*\"?([\w.\-]+)\"?\s*=", line):
            lines.setdefault(section + found[1], number)
    number = lines.get(about) or lines.get(about.partition(".")[0]) or 0
    return f"{number}:" if number else ""


def _section(section: str, cls: Any, values: Any, base: Any) -> Any:
    if not isinstance(values, dict):
        raise DescriptionError(f"{section}: expected a table, got {values!r}")
    types, units = {field.name: str(field.type) for field in fields(cls)}, units_of(cls)
    _check_names(section, values, list(types))
    figures = {}
    for name, kind in types.items():
        if name in values:
            figures[name] = _figure(f"{section}.{name}", values[name], kind, units[name])
        elif base is not None:
            figures[name] = getattr(base, name)
        else:
            raise DescriptionError(
                f"{section}: expected a figure {name!r} ({units[name]}), got none"
            )
    return cls(**figures)


def _figure(name: str, value: Any, kind: str, unit: str) -> Any:
    if isinstance(value, dict):
        _check_names(name, value, ["value", "unit", "node", "source"])
        if value.get("unit", unit) != unit:
            raise DescriptionError(f"{name}: expected the unit {unit!r}, got {value['unit']!r}")
        if "value" not in value:
            raise DescriptionError(
                f"{name}: expected a key 'value' ({unit}), got {', '.join(sorted(value))}"
            )
        value = value["value"]
    if kind == "bool":
        if isinstance(value, bool):
            return value
        raise DescriptionError(f"{name}: expected true or false, got {value!r}")
    if kind == "str":
        if isinstance(value, str):
            return value
        raise DescriptionError(f"{name}: expected a word, got {value!r}")
    if kind.startswith("tuple"):
        if isinstance(value, list) and value and all(_is_number(entry) for entry in value):
            return tuple(float(entry) for entry in value)
        raise DescriptionError(f"{name}: expected a list of numbers ({unit}), got {value!r}")
    if kind == "int":
        if _is_number(value) and isinstance(value, int):
            return value
        raise DescriptionError(f"{name}: expected an integer ({unit}), got {value!r}")
    if _is_number(value):
        return float(value)
    raise DescriptionError(f"{name}: expected a number ({unit}), got {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_names(where: str, values: dict[str, Any], known: list[str]) -> None:
    for name in values:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
        # The figure first: its line is looked up by what stands before the colon.
        about = f"{where}.{name}" if where in SECTIONS else where or name
        raise DescriptionError(f"{about}: unknown key {name!r}{hint}")
