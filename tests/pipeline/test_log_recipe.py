"""What a study leaves open follows its log, is written down, and stays what it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import TINY_STUDY

from nasrec_opt._recipe import supernet_recipe
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import RunFolder, StudyConfig, run_study
from nasrec_opt.pipeline._identity import train_settings
from nasrec_opt.pipeline._log_recipe import recipe_of, with_recipe

OPEN = TINY_STUDY.replace("batch_size = 128\nepochs = 1\n", "", 1).replace(
    "n_trials = 12", "n_trials = 8"
)


def configured(tmp_path: Path, text: str) -> StudyConfig:
    (tmp_path / "study.toml").write_text(text)
    return StudyConfig.from_toml(tmp_path / "study.toml")


def test_what_is_open_is_filled_in_and_what_is_given_wins(tmp_path):
    config = configured(tmp_path, TINY_STUDY)
    settled = with_recipe(config, RunFolder(tmp_path), 2400)
    assert settled.data.min_count == 1
    assert settled.supernet.batch_size == 128  # the study's
    assert settled.supernet.learning_rate == supernet_recipe(2400).learning_rate
    assert settled.oracle.scratch.batch_size == supernet_recipe(2400).batch_size
    assert settled.retrain.model.batch_size == 32
    again = with_recipe(config, RunFolder(tmp_path), 2400)
    assert again == settled


def test_a_ladder_leaves_the_supernet_fewer_passes(tmp_path):
    epochs = {}
    for name, text in (("without", OPEN), ("with", OPEN + "[search.ladder]\n")):
        folder = tmp_path / name
        folder.mkdir()
        settled = with_recipe(configured(folder, text), RunFolder(folder), 96_000)
        epochs[name] = (settled.supernet.epochs, settled.oracle.scratch.epochs)
    assert epochs == {"without": (3, 3), "with": (1, 3)}


def test_a_run_goes_on_with_what_it_began_with(tmp_path):
    config, folder = configured(tmp_path, OPEN), RunFolder(tmp_path)
    then = recipe_of(2400)
    then["supernet"] |= {"epochs": 9}
    then["data"]["min_count"] = 3
    folder.recipe.write_text(json.dumps(then))
    settled = with_recipe(config, folder, 2400)
    assert (settled.supernet.epochs, settled.data.min_count) == (9, 3)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"data": 1}'])
def test_a_damaged_recipe_is_one_sentence(tmp_path, text):
    folder = RunFolder(tmp_path)
    config = configured(tmp_path, OPEN)
    folder.recipe.write_text(text)
    with pytest.raises(StudyError, match=r"recipe\.json: expected the recipe of a run"):
        with_recipe(config, folder, 2400)


def test_a_run_of_before_recipes_opens_with_the_settings_it_wrote_down(tmp_path):
    folder = RunFolder(tmp_path)
    config = configured(tmp_path, OPEN)
    first = {
        "batch_size": 512,
        "epochs": 1,
        "learning_rate": 0.12,
        "embedding_rate": None,
        "embedding_prior": 0.0,
    }
    others = {"path_sampling": "single-any", "connections": "binomial", "warmup_fraction": 0.2}
    folder.supernet.mkdir()
    (folder.supernet / "model.json").touch()
    record = {"space": {}, "binned_dense": False, "seed": 0, "prepare": None}
    folder.finish("train", record | {"supernet": first | others, "min_count": 1}, 1.0)
    settled = with_recipe(config, folder, 2400)
    space = settled.space.build()
    del first["embedding_rate"]  # the default
    assert train_settings(settled, folder, space)["supernet"] == first
    assert settled.oracle.scratch.epochs == 1


def test_a_run_says_what_it_came_to(tmp_path):
    text = OPEN.replace("= 1000", "= 3000").replace("n_trials = 8", "n_trials = 2")
    config = configured(tmp_path, text.replace("num_blocks = 2", "num_blocks = 1"))
    run = run_study(config, tmp_path / "run")
    results = json.loads(run.folder.results.read_text())
    assert results["training"]["batch_size"] == 32
    assert results["training"]["min_count"] == 1
    assert results["winner"]["name"] in ("model", "logistic_regression", "constant")
    assert "steps of 32 rows, stopped on validation rows" in run.folder.report_of("").read_text()
    assert json.loads(run.folder.recipe.read_text()) == recipe_of(2400)
