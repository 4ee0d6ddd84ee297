"""Technology files: figures over those that ship, and one sentence for each mistake."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, replace
from importlib.resources import files

import pytest
from workloads import with_figures

from hw import DescriptionError, ReRAM
from hw.files import CHOICES, EVERY, RERAM, parse_technology, units_of

SHIPPED = ReRAM().technology
FOLDER = files("hw") / "technology"
SHIPPED_FILES = sorted(path.name for path in FOLDER.iterdir() if path.name.endswith(".toml"))
SHIPPED_TEXT = (FOLDER / "reram_32nm.toml").read_text(encoding="utf-8")


def read(tmp_path, text: str) -> ReRAM:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return ReRAM.from_toml(path)


@pytest.mark.parametrize("name", SHIPPED_FILES)
def test_every_figure_that_ships_has_a_unit_a_node_and_a_source(name):
    values = tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))
    values.pop("base", None)
    values.pop("kind", None)
    for section, figures in values.items():
        for name, figure in figures.items():
            assert set(figure) == {"value", "unit", "node", "source"}, f"{section}.{name}"
            assert figure["unit"] == units_of(EVERY[section])[name], f"{section}.{name}"
            assert figure["node"].strip(), f"{section}.{name}"
            assert figure["source"].strip(), f"{section}.{name}"


def test_the_file_that_ships_read_as_a_users_own_is_the_default(tmp_path):
    assert read(tmp_path, SHIPPED_TEXT) == ReRAM()
    assert read(tmp_path, "") == ReRAM()


@pytest.mark.parametrize("section", asdict(SHIPPED))
def test_a_figure_overridden_keeps_the_others(tmp_path, section):
    for name, value in asdict(getattr(SHIPPED, section)).items():
        if isinstance(value, bool):
            changed = not value
            written = str(changed).lower()
        elif isinstance(value, tuple):
            changed = (*value[:-1], value[-1] * 2)
            written = str(list(changed))
        elif isinstance(value, str):
            changed = CHOICES[f"{section}.{name}"][1]
            written = f'"{changed}"'
            if name == "encoding":  # flip encoding is for weights with an offset
                continue
        else:
            changed = value + 1
            unit = units_of(RERAM[section])[name]
            written = f'{{ value = {changed}, unit = "{unit}", source = "measured" }}'
        mine = read(tmp_path, f"[{section}]\n{name} = {written}\n").technology
        assert mine == with_figures(SHIPPED, section, **{name: changed}) != SHIPPED


def test_a_bare_integer_is_a_number(tmp_path):
    mine = read(tmp_path, "[crossbar]\nread_ns = 10\n").technology
    assert mine.crossbar == replace(SHIPPED.crossbar, read_ns=10.0)
    assert isinstance(mine.crossbar.read_ns, float)


def test_a_base_gives_the_figures_that_a_file_leaves_out(tmp_path):
    mine = read(tmp_path, 'base = "reram_32nm.toml"\n[crossbar]\nread_ns = 10\n').technology
    assert mine == with_figures(SHIPPED, "crossbar", read_ns=10.0)
    with pytest.raises(DescriptionError, match=r"mine.toml:1: base: expected one of cpu.toml"):
        read(tmp_path, 'base = "isaac.toml"\n')


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("[crosbar]\nrows = 64", 1, "crosbar: unknown key 'crosbar'; did you mean 'crossbar'?"),
        (
            "[zzz]",
            1,
            "zzz: unknown key 'zzz'; known are base, kind, crossbar, dac, adc, element, tile, "
            "bank, digital, dram",
        ),
        ("[crossbar]\nrow = 64", 2, "crossbar.row: unknown key 'row'; did you mean 'rows'?"),
        ("\ncrossbar = 3", 2, "crossbar: expected a table, got 3"),
        ("[dac]\nbits = {valu = 1}", 2, "dac.bits: unknown key 'valu'; did you mean 'value'?"),
        ("[dac]\nbits = {unit = 'bit'}", 2, "dac.bits: expected a key 'value' (bit), got unit"),
        (
            "[dac]\n# wide\narea_um2 = {value = 1.0, unit = 'mm2'}",
            3,
            "dac.area_um2: expected the unit 'um2 per driver', got 'mm2'",
        ),
        ("[crossbar]\nrows = 64.0", 2, "crossbar.rows: expected an integer (wordlines), got 64.0"),
        ("[crossbar]\nrows = true", 2, "crossbar.rows: expected an integer (wordlines), got True"),
        ("[crossbar]\nrows = '64'", 2, "crossbar.rows: expected an integer (wordlines), got '64'"),
        ("[crossbar]\nread_ns = 'x'", 2, "crossbar.read_ns: expected a number (ns), got 'x'"),
        ("crossbar.read_ns = false", 1, "crossbar.read_ns: expected a number (ns), got False"),
        ("[adc]\nflip_encoding = 1", 2, "adc.flip_encoding: expected true or false, got 1"),
        ("[adc]\nschedule = 1", 2, "adc.schedule: expected a word, got 1"),
        (
            "[adc]\nschedule = 'fast'",
            2,
            "adc.schedule: expected overlapped or held or in_turn, got 'fast'",
        ),
        (
            "[crossbar]\nencoding = 'pair_analog'",
            None,
            "adc.flip_encoding: expected false with crossbar.encoding 'pair_analog', got True",
        ),
        (
            "[crossbar]\ncell_bits = 4\n[adc]\nbits = 2",
            4,
            "adc.bits: expected enough to read one row of 4-bit cells, or adc.clips = true, got 2",
        ),
        (
            "[adc]\nscaling_bits = 4",
            2,
            "adc.scaling_bits: expected a list of numbers (bit), got 4",
        ),
        (
            "[adc]\nscaling_bits = []",
            2,
            "adc.scaling_bits: expected a list of numbers (bit), got []",
        ),
        (
            "[adc]\nscaling_bits = ['4']",
            2,
            "adc.scaling_bits: expected a list of numbers (bit), got ['4']",
        ),
        ("[crossbar]\nrows = 0", 2, "crossbar.rows: expected 1 to 65536 (wordlines), got 0"),
        (
            "[crossbar]\ncolumns = 65537",
            2,
            "crossbar.columns: expected 1 to 65536 (bitlines), got 65537",
        ),
        ("[crossbar]\ncell_bits = 9", 2, "crossbar.cell_bits: expected 1 to 8 (bit), got 9"),
        ("[dac]\nbits = 9", 2, "dac.bits: expected 1 to 8 (bit), got 9"),
        ("[adc]\nbits = 17", 2, "adc.bits: expected 1 to 16 (bit), got 17"),
        (
            "[element]\nreplication = 0",
            2,
            "element.replication: expected 1 to 4294967296 (copies), got 0",
        ),
        (
            "[crossbar]\nread_ns = -1.0",
            2,
            "crossbar.read_ns: expected a number from 0 (ns), got -1.0",
        ),
        (
            "[crossbar]\nread_ns = inf",
            2,
            "crossbar.read_ns: expected a number from 0 (ns), got inf",
        ),
        (
            "[dram]\nactivate_pj = nan",
            2,
            "dram.activate_pj: expected a number from 0 (pJ per activate), got nan",
        ),
        (
            "[adc]\nsamples_per_ns = 0",
            2,
            "adc.samples_per_ns: expected more than 0 (1/ns), got 0.0",
        ),
        ("[digital]\nclock_mhz = 0", 2, "digital.clock_mhz: expected more than 0 (MHz), got 0.0"),
        ("[digital]\nclock_mhz = nan", 2, "digital.clock_mhz: expected more than 0 (MHz), got nan"),
        (
            "[adc]\narea_scaling = [1, 2, 3]",
            2,
            "adc.area_scaling: expected 7 entries as in adc.scaling_bits, got 3",
        ),
        (
            "[adc]\nscaling_bits = [8]",
            2,
            "adc.scaling_bits: expected two or more ascending numbers, got [8.0]",
        ),
        (
            "[adc]\nscaling_bits = [4, 5, 6, 8, 7, 9, 10]",
            2,
            "adc.scaling_bits: expected two or more ascending numbers, got [4.0, 5.0, 6.0, 8.0",
        ),
        (
            "[adc]\nenergy_scaling = [0, 1, 2, 3, 4, 5, 6]",
            2,
            "adc.energy_scaling: expected numbers above 0, got [0.0, 1.0",
        ),
        (
            "[tile]\nbuffer_access_ns = [nan, 1]",
            2,
            "tile.buffer_access_ns: expected numbers above 0, got [nan, 1.0]",
        ),
        (
            "[tile]\nbuffer_area_um2 = [5, 6]",
            2,
            "tile.buffer_area_um2: expected 14 entries as in tile.buffer_sizes_kib, got 2",
        ),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_file_line_key_and_unit(
    tmp_path, text, line, sentence
):
    with pytest.raises(DescriptionError) as caught:
        read(tmp_path, text)
    where = f"{tmp_path / 'mine.toml'}" + (f":{line}" if line else "")
    assert str(caught.value).startswith(f"{where}: {sentence}")
    assert "\n" not in str(caught.value)


def test_what_is_no_toml_is_named_with_its_line(tmp_path):
    with pytest.raises(DescriptionError, match=r"mine\.toml: expected TOML, got: .*at line 2,"):
        read(tmp_path, "[dac]\nbits = x\n")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DescriptionError, match=r"none\.toml: expected a technology TOML, got: No"):
        ReRAM.from_toml(tmp_path / "none.toml")
    with pytest.raises(DescriptionError, match="expected a technology TOML, got: Is a directory"):
        ReRAM.from_toml(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DescriptionError, match=r"binary\.toml: expected UTF-8 text, got UTF-16"):
        ReRAM.from_toml(str(tmp_path / "binary.toml"))


def test_a_shipped_file_without_a_figure_is_an_error():
    text = SHIPPED_TEXT.replace("read_ns = {", "# read_ns = {")
    with pytest.raises(
        DescriptionError, match=r"here:6: crossbar: expected a figure 'read_ns' \(ns\), got none"
    ):
        parse_technology(text, "here", is_whole=True)


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"crossbar_rows": 0}, r"crossbar.rows: expected 1 to 65536 \(wordlines\), got 0"),
        ({"adc_bits": 17}, r"adc.bits: expected 1 to 16 \(bit\), got 17"),
        ({"replication": 0}, "element.replication: expected 1 to"),
        ({"buffer_kib": 0}, "tile.buffer_kib: expected 1 to"),
        ({"hot_rows_kib": -1}, "hot_rows.kib: expected 0 to"),
    ],
)
def test_choices_of_a_designer_are_held_to_the_same_ranges(choice, sentence):
    with pytest.raises(DescriptionError, match=sentence):
        ReRAM().with_parameters(**choice)


def test_choices_of_a_designer_change_what_they_name_and_nothing_else():
    names = {
        "crossbar_rows": ("crossbar", "rows"),
        "crossbar_cols": ("crossbar", "columns"),
        "cell_bits": ("crossbar", "cell_bits"),
        "dac_bits": ("dac", "bits"),
        "adc_bits": ("adc", "bits"),
        "replication": ("element", "replication"),
        "buffer_kib": ("tile", "buffer_kib"),
        "hot_rows_kib": ("hot_rows", "kib"),
    }
    for choice, (section, figure) in names.items():
        changed = ReRAM().with_parameters(**{choice: 3}).technology
        assert changed == with_figures(SHIPPED, section, **{figure: 3}) != SHIPPED
    assert ReRAM().with_parameters() == ReRAM()
