"""Any accelerator from its technology file, which states its kind."""

from __future__ import annotations

from pathlib import Path

from hw._cpu import CPU
from hw._recnmp import RecNMP
from hw.files import parse_sections, parse_technology, read_text
from hw.reram import ReRAM

Accelerator = ReRAM | RecNMP | CPU


def read_accelerator(path: Path | str) -> Accelerator:
    """Read the accelerator that a technology TOML describes; other figures are the defaults.

    Args:
        path: The file, or the name alone of a file that ships, such as `recnmp.toml`.

    Returns:
        A `ReRAM`, `RecNMP` or `CPU`, by the `kind` of the file.

    Raises:
        DescriptionError: The file cannot be read, or a figure is unknown, of the wrong type or
            unit, or out of range.

    Example:
        >>> type(read_accelerator("cpu.toml")).__name__
        'CPU'
    """
    return parse_accelerator(read_text(path), str(path))


def parse_accelerator(text: str, where: str) -> Accelerator:
    """The accelerator of a technology file's text; see `read_accelerator`.

    Args:
        text: The TOML.
        where: What to call it in errors.
    """
    kind, sections = parse_sections(text, where)
    if kind == "reram":
        return ReRAM(parse_technology(text, where))
    return CPU(**sections) if kind == "cpu" else RecNMP(**sections)
