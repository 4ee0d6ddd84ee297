"""Technology files: the figures of an accelerator as TOML, read into frozen dataclasses.

A figure is written as `name = { value = 128, unit = "…", node = "…", source = "…" }`. A user's own
file may have a bare value, in the unit of `hw/files/_figures.py`. `kind` says what the file
describes: `reram` (the default), `cpu` or `recnmp`. `base = "mnsim_2_0.toml"` names a file that
ships; its kind and figures apply where the file itself has none.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from hw._plain import integer, real
from hw.errors import DescriptionError
from hw.files._figures import (
    AdcFigures,
    BankFigures,
    CpuFigures,
    CrossbarFigures,
    DacFigures,
    DigitalFigures,
    DramFigures,
    ElementFigures,
    HotRowFigures,
    NearMemoryFigures,
    TileFigures,
    check_range,
    units_of,
)

RERAM: dict[str, Any] = {
    "crossbar": CrossbarFigures,
    "dac": DacFigures,
    "adc": AdcFigures,
    "element": ElementFigures,
    "tile": TileFigures,
    "bank": BankFigures,
    "digital": DigitalFigures,
    "dram": DramFigures,
    "hot_rows": HotRowFigures,
}
HOST: dict[str, Any] = {"cpu": CpuFigures, "dram": DramFigures}
SECTIONS = {"reram": RERAM, "cpu": HOST, "recnmp": HOST | {"near_memory": NearMemoryFigures}}
DEFAULTS = {"reram": "reram_32nm.toml", "cpu": "cpu.toml", "recnmp": "recnmp.toml"}
EVERY = {name: cls for sections in SECTIONS.values() for name, cls in sections.items()}
Sections = dict[str, Any]  # a frozen dataclass of figures by the section's name


def shipped_technology(name: Path | str) -> Path | None:
    """Locate a technology file that ships.

    Args:
        name: The name alone, such as `cpu.toml`; a path with a folder never names a shipped file.

    Returns:
        The file, or None if no file of that name ships.
    """
    # Installed from a wheel, which pip unpacks: the file is a real one.
    file = Path(str(files("hw") / "technology" / str(name)))
    return file if Path(name).name == str(name) and file.is_file() else None


def read_text(path: Path | str) -> str:
    """Read a technology file as text, without a byte-order mark.

    Args:
        path: The file, or the name alone of a file that ships.

    Returns:
        The text.

    Raises:
        DescriptionError: The file cannot be read, or is not UTF-8.
    """
    file = Path(path) if Path(path).exists() else shipped_technology(path) or Path(path)
    try:
        content = file.read_bytes()
        if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:4]:
            raise DescriptionError(
                f"{path}: expected UTF-8 text, got UTF-16 or UTF-32; save it as UTF-8"
            )
        return content.decode("utf-8-sig")  # Windows tools put a byte-order mark at the start
    except UnicodeDecodeError as error:
        raise DescriptionError(
            f"{path}: expected UTF-8 text, got byte 0x{content[error.start]:02x} at position "
            f"{error.start + 1}; save it as UTF-8"
        ) from error
    except OSError as error:
        raise DescriptionError(
            f"{path}: expected a technology TOML, got: {error.strerror}"
        ) from error


def read_sections(path: Path | str) -> tuple[str, Sections]:
    """Read the kind and the figures of a file; see `parse_sections`.

    Args:
        path: The file, or the name alone of a file that ships.

    Returns:
        The kind and the sections by name.

    Raises:
        DescriptionError: The file cannot be read; or see `parse_sections`.
    """
    return parse_sections(read_text(path), str(path))


def read_kind(path: Path | str, kind: str) -> Sections:
    """Read the figures of a file that describes one kind of accelerator.

    Args:
        path: The file, or the name alone of a file that ships.
        kind: `reram`, `recnmp` or `cpu`.

    Returns:
        The sections by name.

    Raises:
        DescriptionError: The file describes another kind; or see `parse_sections`.
    """
    found, sections = read_sections(path)
    if found != kind:
        raise DescriptionError(f"{path}: kind: expected {kind!r}, got {found!r}")
    return sections


@cache
def shipped_sections(name: str) -> tuple[str, Sections]:
    """Read the kind and the figures of a file that ships.

    Args:
        name: Name of the file, such as `cpu.toml`.

    Returns:
        The kind and the sections by name.

    Raises:
        DescriptionError: No file of this name ships.
    """
    folder = files("hw") / "technology"
    known = sorted(f.name for f in folder.iterdir() if f.name.endswith(".toml"))
    if name not in known:
        raise DescriptionError(f"base: expected one of {', '.join(known)}, got {name!r}")
    return parse_sections((folder / name).read_text(encoding="utf-8"), name, is_whole=True)


def parse_sections(text: str, where: str, *, is_whole: bool = False) -> tuple[str, Sections]:
    """Parse the kind and the figures of TOML text; the others come from its `base` or its kind.

    Args:
        text: The TOML.
        where: Name of the text in errors.
        is_whole: Whether the text must have all figures that its `base` does not have.

    Returns:
        The kind (`reram`, `recnmp` or `cpu`), and the sections by name.

    Raises:
        DescriptionError: It is not TOML, or a figure is unknown, of the wrong type or unit, or out
            of range; it names the line, the figure and the unit expected.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(f"{where}: expected TOML, got: {error}") from error
    try:
        kind, base = "reram", dict[str, Any]()
        if "base" in values:
            kind, base = shipped_sections(str(values["base"]))
        kind = values.get("kind", kind)
        if kind not in SECTIONS:
            raise DescriptionError(f"kind: expected {' or '.join(SECTIONS)}, got {kind!r}")
        _check_names("", values, ["base", "kind", *SECTIONS[kind]])
        if not is_whole:
            base = shipped_sections(DEFAULTS[kind])[1] | base
        sections = {
            name: _section(name, cls, values.get(name, {}), base.get(name))
            for name, cls in SECTIONS[kind].items()
        }
        for name, figures in sections.items():
            check_figures(name, figures)
        return kind, sections
    except DescriptionError as error:
        raise DescriptionError(in_file(where, text, error)) from None


def in_file(where: str, text: str, error: DescriptionError) -> str:
    """An error message with the file and line that it is about in front."""
    return f"{where}:{_line_of(str(error), text)} {error}"


def check_figures(section: str, figures: Any) -> None:
    """Refuse a section with a figure that is out of range.

    Args:
        section: Name of the section, for the error.
        figures: The section; its values become plain Python numbers.

    Raises:
        DescriptionError: A figure is out of range or of the wrong type; the error names it and what
            was expected.
    """
    for field in fields(figures):
        name, unit = f"{section}.{field.name}", field.metadata["unit"]
        value = _plain(name, getattr(figures, field.name), str(field.type), unit)
        check_range(name, value, str(field.type), unit)
        object.__setattr__(figures, field.name, value)  # equal, but a plain Python number


def _line_of(sentence: str, text: str) -> str:
    """`12:` if the message is about line 12, and an empty text if it is about no line."""
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
    return _plain(name, value, kind, unit)


def _plain(name: str, value: Any, kind: str, unit: str) -> Any:
    """The value of a figure, checked for its type, as plain Python numbers."""
    if kind == "bool":
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
        raise DescriptionError(f"{name}: expected true or false, got {value!r}")
    if kind == "str":
        if isinstance(value, str):
            return value
        raise DescriptionError(f"{name}: expected a word, got {value!r}")
    if kind.startswith("tuple"):
        entries = [real(entry) for entry in value] if isinstance(value, (list, tuple)) else []
        if entries and None not in entries:
            return tuple(entries)
        raise DescriptionError(f"{name}: expected a list of numbers ({unit}), got {value!r}")
    number = integer(value) if kind == "int" else real(value)
    if number is None:
        what = "an integer" if kind == "int" else "a number"
        raise DescriptionError(f"{name}: expected {what} ({unit}), got {value!r}")
    return number


def _check_names(where: str, values: dict[str, Any], known: list[str]) -> None:
    for name in values:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
        # The figure comes first: its line is looked up by the text before the colon.
        about = f"{where}.{name}" if where in EVERY else where or name
        raise DescriptionError(f"{about}: unknown key {name!r}{hint}")
