"""A technology file with its name, the accelerator that it describes, and its nodes."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hw._accelerator import Accelerator, parse_accelerator
from hw.files import DEFAULTS, SECTIONS, parse_sections, read_text, shipped_technology

KINDS = {"reram": "ReRAM", "recnmp": "RecNMP", "cpu": "CPU"}  # as people call them
ANY_NODE, NO_NODE = "any", "no node stated"


@dataclass(frozen=True)
class TechnologyFile:
    """The text of a technology TOML, which can be kept beside results and read again.

    Args:
        name: Its name, without the folder.
        text: Its TOML; what it names as `base` ships with this package.

    Raises:
        DescriptionError: The text describes no accelerator.
    """

    name: str
    text: str

    def __post_init__(self) -> None:
        _ = self.accelerator

    @classmethod
    def read(cls, path: Path | str | None = None) -> TechnologyFile:
        """Read a technology file.

        Args:
            path: The file, or the name alone of a file that ships. None means the default file for
            ReRAM.

        Returns:
            Its name and its text.

        Raises:
            DescriptionError: The file cannot be read, or describes no accelerator.
        """
        given = DEFAULTS["reram"] if path is None else path
        text = read_text(given)
        parse_accelerator(text, str(given))  # an error names the whole path
        return cls(Path(given).name, text)

    @cached_property
    def accelerator(self) -> Accelerator:
        """The accelerator that it describes."""
        return parse_accelerator(self.text, self.name)

    @property
    def kind(self) -> str:
        """`ReRAM`, `RecNMP` or `CPU`."""
        return KINDS[parse_sections(self.text, self.name)[0]]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of its figures, that of most figures first.

        Figures of any node and those of the DRAM, which is a part to buy, are left out.
        """
        of_figures = _nodes_of(self.text).items()
        counted = Counter(node for (section, _), node in of_figures if section != "dram")
        del counted[ANY_NODE]
        return tuple(node for node, _count in counted.most_common())

    @property
    def is_shipped(self) -> bool:
        """Whether its text is exactly that of the file of this name that ships."""
        shipped = shipped_technology(self.name)
        return shipped is not None and read_text(shipped) == self.text


def _nodes_of(text: str) -> dict[tuple[str, str], str]:
    """The node of each figure, by section and name; the base's node for figures left out."""
    values = tomllib.loads(text)
    base = values.get("base")
    found = {} if base is None else _nodes_of(read_text(str(shipped_technology(base))))
    kind = parse_sections(text, "")[0]
    if base is None and (default := shipped_technology(DEFAULTS[kind])) is not None:
        shipped = read_text(default)
        found = {} if shipped == text else _nodes_of(shipped)
    for section in SECTIONS[kind]:
        figures: dict[str, Any] = values.get(section, {})
        for name, figure in figures.items():
            node = figure.get("node", NO_NODE) if isinstance(figure, dict) else NO_NODE
            found[section, name] = node
    return {place: node for place, node in found.items() if place[0] in SECTIONS[kind]}
