"""Technology files of every kind."""

from __future__ import annotations

import pytest

from hw import CPU, DescriptionError, RecNMP, ReRAM, read_accelerator

SHIPPED = {"reram_32nm.toml": ReRAM(), "cpu.toml": CPU(), "recnmp.toml": RecNMP()}


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_that_ships_is_found_by_its_name_and_is_the_default_of_its_kind(name):
    assert read_accelerator(name) == SHIPPED[name]


@pytest.mark.parametrize("kind", ["reram", "cpu", "recnmp"])
def test_a_kind_alone_is_its_default(tmp_path, kind):
    model = read_accelerator(written(tmp_path, f'kind = "{kind}"'))
    assert model in SHIPPED.values()
    assert type(model).__name__.lower() == kind


def test_a_base_gives_the_kind(tmp_path):
    path = written(tmp_path, 'base = "recnmp.toml"\n[near_memory]\npooling = 4\n')
    assert read_accelerator(path) == RecNMP().with_figures(pooling=4.0) == RecNMP.from_toml(path)
    for other in (CPU, ReRAM):
        with pytest.raises(DescriptionError, match=r"kind: expected '.*', got 'recnmp'"):
            other.from_toml(path)


def test_memory_is_the_same_for_all_kinds():
    assert CPU().dram == RecNMP().dram == ReRAM().technology.dram
    assert RecNMP().cpu == CPU().cpu


def test_the_handcrafted_design_is_isaacs_and_states_every_choice_that_a_search_has():
    assert read_accelerator("handcrafted.toml") == ReRAM()
    searched = ReRAM().with_parameters(
        crossbar_rows=256, crossbar_cols=64, cell_bits=4, dac_bits=2, adc_bits=10, replication=3,
        buffer_kib=16,
    ).technology  # fmt: skip
    mine = read_accelerator("handcrafted.toml").technology
    stated = ("crossbar", "dac", "adc", "element", "tile")
    assert all(getattr(searched, s) != getattr(mine, s) for s in stated)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kind = 'gpu'", "mine.toml:1: kind: expected reram or cpu or recnmp, got 'gpu'"),
        ("kind = 'cpu'\n[crossbar]\nrows = 1", "mine.toml:2: crossbar: unknown key 'crossbar'"),
        (
            "kind = 'recnmp'\n[near_memory]\npooling = 0.5",
            "mine.toml:3: near_memory.pooling: expected 1 to inf",
        ),
        (
            "kind = 'cpu'\n[cpu]\nflop_pj = {value = 1.0, unit = 'fJ'}",
            "mine.toml:3: cpu.flop_pj: expected the unit 'pJ per operation', got 'fJ'",
        ),
    ],
)
def test_mistakes_name_line_key_and_unit(tmp_path, text, sentence):
    with pytest.raises(DescriptionError) as error:
        read_accelerator(written(tmp_path, text))
    assert sentence in str(error.value)


def test_a_file_that_is_not_there_is_a_sentence():
    with pytest.raises(DescriptionError, match="expected a technology TOML, got: No such file"):
        read_accelerator("nowhere.toml")
