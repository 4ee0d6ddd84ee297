"""Technology files: figures over those that ship, and one sentence for each mistake."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, replace
from importlib.resources import files

import pytest
from workloads import with_figures

from hw import DescriptionError, ReRAM
from hw._technology import parse_technology

SHIPPED = ReRAM().technology
SHIPPED_TEXT = (files("hw") / "technology" / "isaac_32nm.toml").read_text(encoding="utf-8")


def read(tmp_path, text: str) -> ReRAM:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return ReRAM.from_toml(path)


def test_every_figure_that_ships_has_a_unit_and_a_source():
    for section, figures in tomllib.loads(SHIPPED_TEXT).items():
        for name, figure in figures.items():
            assert set(figure) == {"value", "unit", "source"}, f"{section}.{name}"
            assert figure["unit"].strip(), f"{section}.{name}"
            assert figure["source"].strip(), f"{section}.{name}"


def test_the_file_that_ships_read_as_a_users_own_is_the_default(tmp_path):
    assert read(tmp_path, SHIPPED_TEXT) == ReRAM()
    assert read(tmp_path, "") == ReRAM()


@pytest.mark.parametrize("section", asdict(SHIPPED))
def test_a_figure_overridden_keeps_the_others(tmp_path, section):
    for name, value in asdict(getattr(SHIPPED, section)).items():
        if isinstance(value, bool):
            written, changed = "false", False
        elif isinstance(value, tuple):
            changed = (*value[:-1], value[-1] * 2)
            written = str(list(changed))
        else:
            changed = value + 1
            written = f'{{ value = {changed}, unit = "as measured" }}'
        mine = read(tmp_path, f"[{section}]\n{name} = {written}\n").technology
        assert mine == with_figures(SHIPPED, section, **{name: changed}) != SHIPPED


def test_a_bare_integer_is_a_number(tmp_path):
    mine = read(tmp_path, "[crossbar]\nread_ns = 10\n").technology
    assert mine.crossbar == replace(SHIPPED.crossbar, read_ns=10.0)
    assert isinstance(mine.crossbar.read_ns, float)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[crossbar", "expected TOML, got: "),
        ("[crosbar]\nrows = 64", "unknown key 'crosbar'; did you mean 'crossbar'?"),
        ("[zzz]", "unknown key 'zzz'; known are crossbar, dac, adc, element, tile, digital, dram"),
        ("[crossbar]\nrow = 64", "crossbar: unknown key 'row'; did you mean 'rows'?"),
        ("crossbar = 3", "crossbar: expected a table, got 3"),
        ("[dac]\nbits = {valu = 1}", "dac.bits: unknown key 'valu'; did you mean 'value'?"),
        ("[dac]\nbits = {unit = 'bit'}", "dac.bits: expected a key 'value', got ['unit']"),
        ("[crossbar]\nrows = 64.0", "crossbar.rows: expected an integer, got 64.0"),
        ("[crossbar]\nrows = true", "crossbar.rows: expected an integer, got True"),
        ("[crossbar]\nrows = '64'", "crossbar.rows: expected an integer, got '64'"),
        ("[crossbar]\nread_ns = 'x'", "crossbar.read_ns: expected a number, got 'x'"),
        ("[crossbar]\nread_ns = false", "crossbar.read_ns: expected a number, got False"),
        ("[adc]\nflip_encoding = 1", "adc.flip_encoding: expected true or false, got 1"),
        ("[adc]\nscaling_bits = 4", "adc.scaling_bits: expected a list of numbers, got 4"),
        ("[adc]\nscaling_bits = []", "adc.scaling_bits: expected a list of numbers, got []"),
        ("[adc]\nscaling_bits = ['4']", "adc.scaling_bits: expected a list of numbers, got ['4']"),
        ("[crossbar]\nrows = 0", "crossbar.rows: expected 1 to 65536, got 0"),
        ("[crossbar]\ncolumns = 65537", "crossbar.columns: expected 1 to 65536, got 65537"),
        ("[crossbar]\ncell_bits = 9", "crossbar.cell_bits: expected 1 to 8, got 9"),
        ("[dac]\nbits = 9", "dac.bits: expected 1 to 8, got 9"),
        ("[adc]\nbits = 17", "adc.bits: expected 1 to 16, got 17"),
        ("[element]\nreplication = 0", "element.replication: expected 1 to 4294967296, got 0"),
        ("[crossbar]\nread_ns = -1.0", "crossbar.read_ns: expected a number from 0, got -1.0"),
        ("[crossbar]\nread_ns = inf", "crossbar.read_ns: expected a number from 0, got inf"),
        ("[dram]\nactivate_pj = nan", "dram.activate_pj: expected a number from 0, got nan"),
        ("[adc]\nsamples_per_ns = 0", "adc.samples_per_ns: expected more than 0, got 0.0"),
        ("[digital]\nclock_mhz = 0", "digital.clock_mhz: expected more than 0, got 0.0"),
        ("[digital]\nclock_mhz = nan", "digital.clock_mhz: expected more than 0, got nan"),
        (
            "[adc]\narea_scaling = [1, 2, 3]",
            "adc.area_scaling: expected 7 entries as in adc.scaling_bits, got 3",
        ),
        (
            "[adc]\nscaling_bits = [8]",
            "adc.scaling_bits: expected two or more, ascending, got [8.0]",
        ),
        (
            "[adc]\nscaling_bits = [4, 5, 6, 8, 7, 9, 10]",
            "adc.scaling_bits: expected two or more, ascending, got [4.0, 5.0, 6.0, 8.0",
        ),
        (
            "[adc]\nenergy_scaling = [0, 1, 2, 3, 4, 5, 6]",
            "adc.energy_scaling: expected numbers above 0, got [0.0, 1.0",
        ),
        (
            "[tile]\nbuffer_access_ns = [nan, 1]",
            "tile.buffer_access_ns: expected numbers above 0, got [nan, 1.0]",
        ),
        (
            "[tile]\nbuffer_area_um2 = [5, 6]",
            "tile.buffer_area_um2: expected 14 entries as in tile.buffer_sizes_kib, got 2",
        ),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_file_and_key(tmp_path, text, sentence):
    with pytest.raises(DescriptionError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'mine.toml'}: {sentence}")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DescriptionError, match=r"none\.toml: expected a technology TOML, got: No"):
        ReRAM.from_toml(tmp_path / "none.toml")
    with pytest.raises(DescriptionError, match="expected a technology TOML, got: Is a directory"):
        ReRAM.from_toml(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DescriptionError, match=r"binary\.toml: .*can't decode"):
        ReRAM.from_toml(str(tmp_path / "binary.toml"))


def test_a_shipped_file_without_a_figure_is_an_error():
    text = SHIPPED_TEXT.replace("read_ns = {", "# read_ns = {")
    with pytest.raises(DescriptionError, match="here: crossbar: expected a figure 'read_ns'"):
        parse_technology(text, "here")


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"crossbar_rows": 0}, "crossbar.rows: expected 1 to 65536, got 0"),
        ({"adc_bits": 17}, "adc.bits: expected 1 to 16, got 17"),
        ({"replication": 0}, "element.replication: expected 1 to"),
        ({"buffer_kib": 0}, "tile.buffer_kib: expected 1 to"),
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
    }
    for choice, (section, figure) in names.items():
        changed = ReRAM().with_parameters(**{choice: 3}).technology
        assert changed == with_figures(SHIPPED, section, **{figure: 3}) != SHIPPED
    assert ReRAM().with_parameters() == ReRAM()
