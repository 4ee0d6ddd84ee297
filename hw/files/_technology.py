"""All figures of a ReRAM accelerator, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from hw._geometry import Geometry
from hw.errors import DescriptionError
from hw.files._figures import (
    TABLES,
    AdcFigures,
    BankFigures,
    CrossbarFigures,
    DacFigures,
    DigitalFigures,
    DramFigures,
    ElementFigures,
    HotRowFigures,
    TileFigures,
    check_table,
)
from hw.files._sections import (
    DEFAULTS,
    check_figures,
    in_file,
    parse_sections,
    read_text,
    shipped_sections,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Technology:
    """All figures of an accelerator, section by section.

    Args:
        crossbar: Table `[crossbar]`.
        dac: Table `[dac]`: the drivers of the wordlines.
        adc: Table `[adc]`: the converters of the bitlines.
        element: Table `[element]`: processing elements.
        tile: Table `[tile]`.
        bank: Table `[bank]`.
        digital: Table `[digital]`: the digital functional unit.
        dram: Table `[dram]`: the memory with the embedding tables.
        hot_rows: Table `[hot_rows]`: on-chip memory for the most frequent embedding rows.

    Raises:
        DescriptionError: A figure is out of range, two tables that belong together differ in
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
    hot_rows: HotRowFigures

    def __post_init__(self) -> None:
        for section in fields(self):
            check_figures(section.name, getattr(self, section.name))
        for axis, tables in TABLES.items():
            for table in (axis, *tables):
                check_table(table, self._at(table), axis, self._at(axis))
        self._check_converters()

    @property
    def geometry(self) -> Geometry:
        """The properties that decide how products are mapped."""
        return Geometry(
            rows=self.crossbar.rows,
            columns=self.crossbar.columns,
            cell_bits=self.crossbar.cell_bits,
            dac_bits=self.dac.bits,
            adc_bits=self.adc.bits,
            flip_encoding=self.adc.flip_encoding,
            encoding=self.crossbar.encoding,
            slices_apart=self.crossbar.slices_apart,
            wordlines_driven=self.dac.per_crossbar,
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
def default_technology() -> Technology:
    """Read the default figures: ISAAC at 32 nm.

    Returns:
        The figures of `reram_32nm.toml`, always the same object.
    """
    return Technology(**shipped_sections(DEFAULTS["reram"])[1])


def read_technology(path: Path | str) -> Technology:
    """Read the figures of a user's file.

    Args:
        path: The file, or the name alone of a file that ships.

    Returns:
        The figures; those that the file leaves out are those of its `base`, or ISAAC's.

    Raises:
        DescriptionError: The file cannot be read, is not TOML, describes something else, or a
            figure is unknown, of the wrong type or unit, or out of range; it names the line, the
            figure and the unit expected.
    """
    return parse_technology(read_text(path), str(path))


def parse_technology(text: str, where: str, *, is_whole: bool = False) -> Technology:
    """Parse figures from TOML text; see `read_technology`.

    Args:
        text: The TOML.
        where: Name of the text in errors.
        is_whole: Whether the text must have all figures that its `base` does not have.

    Returns:
        The figures.

    Raises:
        DescriptionError: The text is not TOML, describes something else than ReRAM, or a figure is
            wrong; see `read_technology`.
    """
    kind, sections = parse_sections(text, where, is_whole=is_whole)
    try:
        if kind != "reram":
            raise DescriptionError(f"kind: expected 'reram', got {kind!r}")
        return Technology(**sections)
    except DescriptionError as error:
        raise DescriptionError(in_file(where, text, error)) from None
