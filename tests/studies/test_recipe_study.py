"""The study of the recipe: which rows a log has, whom its table picks, and that it goes on."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from studies import recipe
from studies.recipe import Log, as_table, models


def test_a_part_of_a_log_has_the_rows_that_its_name_says(tmp_path):
    (tmp_path / "frappe").mkdir()
    lines = ["label,item", *(f"{i % 2},i{i}" for i in range(400))]
    (tmp_path / "frappe" / "frappe.csv").write_text("\n".join(lines) + "\n")
    log = Log("frappe", 100, 200)
    assert log.name == "frappe, 200 rows from 100"
    path = log.prepared(tmp_path / "logs", tmp_path)
    assert sum(Dataset.open(path).meta["rows"].values()) == 200
    values = pl.concat([pl.read_parquet(file) for file in path.rglob("*.parquet")])["value"]
    assert {*values} <= {f"i{i}" for i in range(100, 300)}
    assert log.prepared(tmp_path / "logs", None) == path  # made once
    with pytest.raises(StudyError, match=r"criteo_sample\.txt: expected a click log"):
        Log("criteo", 0, 10).prepared(tmp_path / "logs", tmp_path)


def test_the_table_picks_by_validation_and_compares_the_pick():
    def row(model, validation, test):
        return {
            "log": "l", "recipe": "r", "model": model, "seed": 0, "validation": validation,
            "test": test, "difference": test - 0.5, "standard_error": 0.01, "regression": 0.5,
            "constant": 0.6,
        }  # fmt: skip

    table = as_table([row(0, 0.4, 0.52), row(1, 0.41, 0.48)], ["l"])
    assert table.splitlines()[-1] == (
        "| l | 0.6000 | 0.5000 | r | 0.5000 | 0.5200 | +0.0200 ± 0.0100 |"
    )


def test_every_second_model_has_a_first_order_term():
    assert [genotype.wide for genotype in models(4)] == [False, True, False, True]
    assert models(2) == models(4)[:2]


def test_a_study_that_was_interrupted_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recipe, "REPORTED", (Log("synthetic", 3, 400),))
    brief = {name: (replace(how, epochs=1), least) for name, (how, least) in recipe.RECIPES.items()}
    monkeypatch.setattr(recipe, "RECIPES", brief)
    options = ["--out", str(tmp_path), "--models", "1"]
    assert recipe.main(options) == 0
    table = (tmp_path / "recipe.md").read_text()
    assert table.count("| synthetic, 400 rows, seed 3 |") == len(recipe.RECIPES)
    before = (tmp_path / "models.parquet").read_bytes()
    assert recipe.main(options) == 0
    assert (tmp_path / "models.parquet").read_bytes() == before
    assert "follows the log" in capsys.readouterr().out
