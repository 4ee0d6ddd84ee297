"""The table from hwcomponents: technology files say what it says, and it can be made again."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2] / "hw"
TABLE_PATH = ROOT / "calibrate" / "components.toml"
TABLE = tomllib.loads(TABLE_PATH.read_text(encoding="utf-8"))
SHIPPED = tomllib.loads((ROOT / "technology" / "reram_32nm.toml").read_text(encoding="utf-8"))
DERIVED = {"digital.leakage_mw": ("digital.mac_leakage_uw", 64 * 1e-3)}  # 64 multipliers, uW -> mW


def figures(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{section}.{name}": figure
        for section, entries in values.items()
        if section != "versions" and isinstance(entries, dict)
        for name, figure in entries.items()
    }


SOURCED = {
    name: figure
    for name, figure in figures(SHIPPED).items()
    # The converters' scaling is of the library's notes, not of its programs.
    if "hwcomponents" in figure["source"] and "Saberi" not in figure["source"]
}


@pytest.mark.parametrize("name", SOURCED)
def test_what_a_file_has_from_hwcomponents_stands_in_the_table(name):
    figure = SOURCED[name]
    made, factor = DERIVED.get(name, (name, 1.0))
    expected = figures(TABLE)[made]["value"]
    expected = [factor * v for v in (expected if isinstance(expected, list) else [expected])]
    found = figure["value"] if isinstance(figure["value"], list) else [figure["value"]]
    # Files round to three or four digits.
    assert found == pytest.approx(expected, rel=5e-3)
    if name not in DERIVED:
        assert figures(TABLE)[made]["unit"] in figure["unit"]


def test_the_table_names_the_versions_that_made_it():
    script = _script()
    assert set(TABLE["versions"]) == set(script.PACKAGES)
    assert all(figure["source"] and figure["unit"] for figure in figures(TABLE).values())


def test_the_table_is_what_hwcomponents_says():
    for package in ("hwcomponents", "hwcomponents_cacti", "hwcomponents_neurosim"):
        pytest.importorskip(package, reason="hwcomponents is not installed: tox run -e calibrate")
    made = figures(tomllib.loads(_script().as_toml(_script().all_figures())))
    assert made.keys() == figures(TABLE).keys()
    for name, figure in figures(TABLE).items():
        assert made[name]["value"] == pytest.approx(figure["value"], rel=1e-3), name


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_table", ROOT / "calibrate/make_table.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script
