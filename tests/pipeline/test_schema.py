"""A run folder of an older version continues: what it says that it depends on still says so.

`schema_1/` has, of three runs of the first scheme, what they wrote down: the stages in `run.json`,
the settings of the study, the digest of the climb, and of a retrained model what it was made with.
A version that adds a key with a default leaves these tests as they are.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.errors import StudyError
from nasrec_opt.options import RetrainConfig, TrainConfig, differences, json_values
from nasrec_opt.pipeline import STAGES, RunFolder, StudyConfig
from nasrec_opt.pipeline._console import SilentReporter
from nasrec_opt.pipeline._identity import (
    finished_search_settings,
    ladder_settings,
    search_settings,
    train_settings,
)
from nasrec_opt.pipeline._log_recipe import with_recipe
from nasrec_opt.pipeline._run import Run
from nasrec_opt.pipeline._schema import SCHEMA, digest, upgraded_record
from nasrec_opt.pipeline.stages.retrain import RETRAIN
from nasrec_opt.retrain._wanted import is_same_training

OLD = Path(__file__).parent / "schema_1"
RUNS = sorted(path.name for path in OLD.iterdir())
ROWS = 1600  # training rows of each of these runs


def old_run(name: str, tmp_path: Path, **changes: object) -> Run:
    """A run of an older version, opened by this one: its records, and outputs that are empty."""
    folder = RunFolder(tmp_path / name)
    folder.path.mkdir()
    for file in ("run.json", "recipe.json", "precision.json"):
        shutil.copy(OLD / name / file, folder.path / file)
    for stage in STAGES:
        output = stage.output(folder, "")
        output.parent.mkdir(parents=True, exist_ok=True)
        if stage.name != "search":
            output.touch()
    config = dataclasses.replace(StudyConfig.from_toml(OLD / name / "study.toml"), name=name)
    study = opened(config, folder).study(create=True)
    study.set_user_attr("settings", json.loads((OLD / name / "study.json").read_text()))
    for table, values in changes.items():
        part = dataclasses.replace(getattr(config, table), **values)
        config = dataclasses.replace(config, **{table: part})
    return opened(config, folder)


def opened(config: StudyConfig, folder: RunFolder) -> Run:
    run = Run(config, folder, None, SilentReporter())
    run.config = with_recipe(run.config, folder, ROWS)
    return run


@pytest.mark.parametrize("name", RUNS)
def test_a_finished_run_of_the_first_scheme_has_nothing_to_do(name, tmp_path):
    run = old_run(name, tmp_path)
    config, folder, space = run.config, run.folder, run.config.space.build()
    record = folder.record()
    for stage in STAGES:
        if stage.is_wanted(config) and stage.name != "register":  # which there was not
            assert record[stage.name]["settings"] == stage.inputs(run)
            assert stage.is_done(run)
    if config.search.ladder:
        climb = (OLD / name / "climb.txt").read_text().strip()
        assert folder.upgraded_digest(climb) == digest(ladder_settings(config, folder, space))
    assert run.study_name == name
    # What the study states is of this scheme from now on; it need not find the old one again.
    run.study()
    assert run.study().user_attrs["settings"] == search_settings(config, folder, space)


@pytest.mark.parametrize("name", RUNS)
def test_what_named_a_stage_by_its_old_digest_still_finds_it(name, tmp_path):
    run = old_run(name, tmp_path)
    config, folder, space = run.config, run.folder, run.config.space.build()
    old = json.loads((OLD / name / "study.json").read_text())
    folder.finish("train", train_settings(config, folder, space), 1.0)
    folder.finish("search", finished_search_settings(config, folder, space), 1.0)
    assert json.loads(folder.record_path.read_text())["train"]["settings"]["schema"] == SCHEMA
    assert RETRAIN.is_done(run)
    assert folder.upgraded_search(old) == search_settings(config, folder, space)
    # What was made in another way goes by none of its names.
    folder.finish("train", train_settings(config, folder, space) | {"seed": 9}, 1.0)
    assert folder.upgraded_search(old)["train"] == old["train"]


REFUSED = [
    ("climb", "supernet", {"warmup_fraction": 0.3}, r"supernet\.warmup_fraction was 0\.2 then"),
    ("other", "supernet", {"initialization": "uniform"}, r"initialization was 'xavier' then"),
    ("other", "supernet", {"connections": "binomial"}, "was 'uniform' then, is 'binomial' now"),
    ("climb", "space", {"wide": (True,)}, r"space\.wide was \[False\] then, is \[True\] now"),
    ("other", "data", {"binned_dense": False}, r"data\.binned_dense was True then, is False now"),
    ("other", "oracle", {"fit_rows": 65}, r"oracle\.fit_rows was 64 then, is 65 now"),
    ("other", "oracle", {"rows": None}, r"oracle\.rows was 100 then, is None now"),
    ("climb", "oracle", {"bits": "float"}, r"oracle\.bits was 'genotype' then, is 'float' now"),
    ("climb", "search", {"constraints": {"area_mm2": 1.0}}, r"constraints\.area_mm2 was None then"),
    ("other", "search", {"constraints": {}}, r"latency_us was 1000000\.0 then"),
]


@pytest.mark.parametrize(("name", "table", "values", "sentence"), REFUSED)
def test_a_run_of_the_first_scheme_is_refused_what_it_did_not_do(
    name, table, values, sentence, tmp_path
):
    run = old_run(name, tmp_path, **{table: values})
    settings = train_settings(run.config, run.folder, run.config.space.build())

    def go_on():
        run.folder.require_same("train", settings, run.folder.record_path, run.folder.supernet)
        run.study()

    with pytest.raises(StudyError, match=sentence):
        go_on()


def test_options_of_a_sampler_that_is_not_used_do_not_count(tmp_path):
    other = StudyConfig.from_toml(OLD / "other" / "study.toml").search.evolution
    run = old_run("other", tmp_path, search={"evolution": dataclasses.replace(other, archive=True)})
    assert run.study_name == "other"
    run.study()


def test_options_of_a_sampler_that_is_used_make_another_search(tmp_path):
    evolution = StudyConfig.from_toml(OLD / "climb" / "study.toml").search.evolution
    run = old_run(
        "climb", tmp_path, search={"evolution": dataclasses.replace(evolution, archive=True)}
    )
    assert run.study_name == "climb-evolution"


@pytest.mark.parametrize("name", RUNS)
def test_a_model_of_the_first_scheme_is_not_trained_again(name):
    stored = json.loads((OLD / name / "model.json").read_text())
    config = StudyConfig.from_toml(OLD / name / "study.toml")
    now = dataclasses.replace(config.retrain.model, seed=config.seed, balance=True).for_rows(ROWS)
    assert is_same_training(stored, stored | {"config": json_values(now)})
    other = dataclasses.replace(now, patience=7)
    assert not is_same_training(stored, stored | {"config": json_values(other)})
    assert not is_same_training(stored | {"dataset": "other"}, stored)
    without = {k: v for k, v in stored["config"].items() if k != "rate_warmup_steps"}
    assert is_same_training(stored | {"config": without}, stored)  # of before there was a choice


def test_settings_of_a_newer_version_are_refused(tmp_path):
    run = old_run("climb", tmp_path)
    record = json.loads(run.folder.record_path.read_text())
    record["train"]["settings"]["schema"] = SCHEMA + 1
    run.folder.record_path.write_text(json.dumps(record))
    with pytest.raises(StudyError, match=r"run\.json: train: .*written by a newer version"):
        run.folder.record()


@pytest.mark.parametrize("settings", [None, {}, [], "x", {"supernet": 1}, {"source": "a.tsv"}])
@pytest.mark.parametrize("stage", ["prepare", "train", "probe", "search", "ladder", "retrain"])
def test_damaged_settings_are_compared_as_they_are(stage, settings):
    record = {stage: {"settings": settings, "seconds": 1.0}}
    assert upgraded_record(record)[0] == record


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


@given(values=TABLES, usual=TABLES, added=TABLES)
def test_keys_that_are_added_at_their_default_change_nothing(values, usual, added):
    added = {name: value for name, value in added.items() if name not in {*values, *usual}}
    assert differences(values | added, usual | added) == differences(values, usual)


@given(st.data())
@pytest.mark.parametrize("kind", [TrainConfig, RetrainConfig])
def test_differences_are_what_was_changed(kind, data):
    usual = json_values(kind())
    name = data.draw(st.sampled_from(sorted(usual)))
    assert differences(usual, usual) == {}
    assert differences(usual | {name: "other"}, usual) == {name: "other"}
