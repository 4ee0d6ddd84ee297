"""A technology file as results keep it: its name, what it describes, at which nodes."""

from __future__ import annotations

import pytest

from hw import CPU, DescriptionError, ReRAM, TechnologyFile

UNKNOWN = "no node stated"


@pytest.mark.parametrize(
    ("text", "kind", "nodes"),
    [
        ("", "ReRAM", ("32 nm", "130 nm")),
        ('kind = "cpu"', "CPU", ("Xeon Gold 6254", "Cascade Lake")),
        ('base = "cpu.toml"', "CPU", ("Xeon Gold 6254", "Cascade Lake")),
        ("[crossbar]\nread_ns = 50.0", "ReRAM", ("32 nm", UNKNOWN, "130 nm")),
        (
            '[crossbar]\nread_ns = { value = 50.0, node = "22 nm" }',
            "ReRAM",
            ("32 nm", "22 nm", "130 nm"),
        ),
        # What a file says of a figure of its base counts, and what its base says of all others.
        ('base = "cpu.toml"\n[cpu]\nflop_pj = 30.0', "CPU", ("Xeon Gold 6254", UNKNOWN)),
        # The memory is a part to buy: its node is not the accelerator's.
        ("[dram]\nchannels = 2", "ReRAM", ("32 nm", "130 nm")),
    ],
)
def test_a_technology_file_says_its_kind_and_nodes(tmp_path, text, kind, nodes):
    (tmp_path / "t.toml").write_text(text)
    file = TechnologyFile.read(tmp_path / "t.toml")
    assert (file.name, file.text, file.kind) == ("t.toml", text, kind)
    assert not file.is_shipped
    assert nodes[0] == file.nodes[0]
    assert set(nodes) <= set(file.nodes)
    assert "any" not in file.nodes
    assert not {node for node in file.nodes if "DDR4" in node}


def test_a_file_that_ships_is_known_to_the_letter(tmp_path):
    shipped = TechnologyFile.read("cpu.toml")
    assert (shipped.name, shipped.kind, shipped.is_shipped) == ("cpu.toml", "CPU", True)
    assert shipped.accelerator == CPU()
    assert not TechnologyFile("cpu.toml", shipped.text + "\n").is_shipped
    assert not TechnologyFile("mine.toml", shipped.text).is_shipped
    assert TechnologyFile.read() == TechnologyFile.read("reram_32nm.toml")
    assert TechnologyFile.read().accelerator == ReRAM()


def test_an_error_names_the_file(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text("[crossbar]\nrows = 0")
    with pytest.raises(DescriptionError, match=rf"^{path}:2: crossbar.rows: expected 1 to 65536"):
        TechnologyFile.read(path)
    with pytest.raises(DescriptionError, match=r"^kept.toml:2: crossbar.rows: expected 1 to"):
        TechnologyFile("kept.toml", path.read_text())
