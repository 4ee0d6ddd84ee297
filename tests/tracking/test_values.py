"""Whatever people put into a trial: its run has it, and the study goes on."""

from __future__ import annotations

import json
import logging
import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

from mlflow.tracking import MlflowClient
from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag
from optuna.trial import FrozenTrial, TrialState, create_trial

from nasrec_opt.space import SearchSpace
from nasrec_opt.tracking import MLflowLogger, genotype_of
from nasrec_opt.tracking._names import decode
from nasrec_opt.tracking._trial import trial_record
from nasrec_opt.tracking._values import as_json, joined, split

HUGE = 10**400


def logged(uri: str, study: optuna.Study) -> dict[int, Any]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(study.study_name)
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    return {
        int(run.data.tags["nasrec.trial"]): run for run in runs if "nasrec.trial" in run.data.tags
    }


def in_full(uri: str, run: Any, folder: Path) -> dict[str, Any]:
    path = MlflowClient(uri).download_artifacts(run.info.run_id, "trial.json", str(folder))
    return json.loads(Path(path).read_text(encoding="utf-8"))


def search(uri: str, objective: Any, n_trials: int = 1, **options: Any) -> optuna.Study:
    study = optuna.create_study(study_name="odd", **options)
    with MLflowLogger(uri) as logger:
        study.optimize(objective, n_trials=n_trials, callbacks=[logger])
    return study


def test_names_that_differ_in_odd_characters_are_all_there(uri):
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        for i, name in enumerate(("a%b", "a$b", "a/b", "a_b", "a//b", "", "..")):
            trial.suggest_int(name, i, i)
            trial.set_user_attr(name, 10.0 + i)
        return 1.0, 2.0

    study = optuna.create_study(study_name="odd", directions=["minimize"] * 2)
    study.set_metric_names(["log/loss", "log_loss"])
    with MLflowLogger(uri) as logger:
        study.optimize(objective, n_trials=1, callbacks=[logger])
    data = logged(uri, study)[0].data
    assert data.metrics["log/loss"] == 1.0  # `/` groups in MLflow
    assert data.metrics["log_loss"] == 2.0
    assert {decode(name): int(v) for name, v in data.params.items()} == study.trials[0].params
    metrics = {decode(name): value for name, value in data.metrics.items()}
    assert metrics == {"log/loss": 1.0, "log_loss": 2.0, **study.trials[0].user_attrs}
    names = json.loads(data.tags["nasrec.names"])
    assert set(names.values()) == {"a%b", "a$b", "a//b", "", ".."}
    assert all(decode(name) == original for name, original in names.items())


def test_names_of_objectives_constraints_and_attributes_do_not_meet(uri):
    def objective(trial: optuna.Trial) -> float:
        trial.set_constraint("area", -1.0)
        trial.report(9.0, step=0)
        trial.set_user_attr("seconds", {"oracle": 0.5})
        for name in ("loss", "constraint.area", "intermediate", "seconds.oracle", "attr/loss"):
            trial.set_user_attr(name, 100.0)
        trial.set_user_attr("mlflow.parentRunId", "mine")
        return 1.0

    study = optuna.create_study(study_name="odd")
    study.set_metric_names(["loss"])
    with MLflowLogger(uri) as logger:
        study.optimize(objective, n_trials=1, callbacks=[logger])
    data = logged(uri, study)[0].data
    assert {name for name, value in data.metrics.items() if value != 100.0} == {
        "loss", "constraint.area", "intermediate", "seconds.oracle",
    }  # fmt: skip
    assert list(data.metrics.values()).count(100.0) == 5
    assert data.tags["attr/mlflow.parentRunId"] == "mine"
    assert data.tags["mlflow.parentRunId"] != "mine"


def test_values_that_no_database_takes_end_nothing_and_are_there_in_full(uri, tmp_path, caplog):
    attributes = {
        "n": HUGE,
        "far": 2**53 + 1,
        "longer": 10**5000,
        "text": "x" * 20_000,
        "nul": "a\0b",
        "surrogate": "\ud800",
        "bytes": b"\xff",
        "nested": {"a": [1, {"b": (2, None)}], 3: "three"},
        "array": np.arange(3),
        "object": object(),
    }

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_categorical("long", ["y" * 9000])
        trial.report(0.5, step=2**63)
        trial.report(0.25, step=2**63 - 1)
        trial.report(math.nan, step=3)
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        trial.set_user_attr("float32", np.float32(0.5))
        trial.set_user_attr("int64", np.int64(7))
        trial.set_user_attr("nan", math.nan)
        return math.inf

    study = search(uri, objective, n_trials=2)
    assert len(study.trials) == 2
    assert not [record for record in caplog.records if record.name.startswith("nasrec_opt")]
    for run in logged(uri, study).values():
        tags, metrics = run.data.tags, run.data.metrics
        assert tags["attr/n"] == str(HUGE)
        assert tags["attr/far"] == str(2**53 + 1)
        assert tags["attr/nested"] == '{"a": [1, {"b": [2, null]}], "3": "three"}'
        assert tags["attr/array"] == "[0, 1, 2]"
        assert json.loads(tags["attr/bytes"]) == repr(attributes["bytes"])
        assert tags["attr/nul"] == "a\\x00b"
        assert metrics["float32"] == 0.5
        assert metrics["int64"] == 7
        assert math.isnan(metrics["nan"])
        assert run.data.params["long"].endswith("y … (9,000 characters)")
        for what in ("step 9223372036854775808", "parameter long", "attr/text", "attr/nul"):
            assert what in tags["nasrec.in_full"]
        history = MlflowClient(uri).get_metric_history(run.info.run_id, "intermediate")
        assert {m.step for m in history} == {3, 2**63 - 1}
        whole = in_full(uri, run, tmp_path)
        assert whole["params"]["long"] == "y" * 9000
        assert whole["intermediate_values"][str(2**63)] == 0.5
        assert whole["user_attrs"]["text"] == "x" * 20_000
        assert whole["user_attrs"]["nul"] == "a\0b"
        assert int(whole["user_attrs"]["longer"], 16) == 10**5000
        assert whole["user_attrs"]["object"].startswith("<object object")


def test_many_values_are_all_there(uri, tmp_path):
    def objective(trial: optuna.Trial) -> float:
        for i in range(250):
            trial.suggest_float(f"x{i}", 0, 1)
        for step in range(2500):
            trial.report(float(step), step)
        for i in range(150):
            trial.set_user_attr(f"note {i}", "n")
        trial.set_user_attr("text", "x" * 9000)  # so that the client writes it, in batches
        return 0.0

    study = search(uri, objective, sampler=optuna.samplers.RandomSampler(seed=0))
    run = logged(uri, study)[0]
    assert run.data.params == {name: str(value) for name, value in study.trials[0].params.items()}
    assert len(MlflowClient(uri).get_metric_history(run.info.run_id, "intermediate")) == 2500
    assert sum(name.startswith("attr/note ") for name in run.data.tags) == 150


def test_what_a_database_refuses_is_said_once_and_the_rest_is_logged(uri, caplog):
    store = uri.removeprefix("sqlite:///")
    MLflowLogger(uri, experiment="odd").close()
    with closing(sqlite3.connect(store)) as connection:
        connection.execute(
            "CREATE TRIGGER picky BEFORE INSERT ON params WHEN new.value = '7' "
            "BEGIN SELECT RAISE(ABORT, 'no sevens'); END"
        )
        connection.commit()

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr("auc", 0.75)
        return trial.suggest_int("x", 7 if trial.number % 2 else 0, 7 if trial.number % 2 else 0)

    with caplog.at_level(logging.WARNING, "nasrec_opt"):
        study = search(uri, objective, n_trials=6)
    [said] = [record for record in caplog.records if record.name.startswith("nasrec_opt")]
    assert said.levelno == logging.WARNING
    assert "trial-00001 is not logged in full" in said.getMessage()
    assert "no sevens" in said.getMessage()
    runs = logged(uri, study)
    assert sorted(runs) == list(range(6))
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert {run.data.metrics["auc"] for run in runs.values()} == {0.75}
    assert {n for n, run in runs.items() if "x" not in run.data.params} == {1, 3, 5}
    assert {n for n, run in runs.items() if "nasrec.incomplete" in run.data.tags} == {1, 3, 5}
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("DROP TRIGGER picky")
        connection.commit()
    with MLflowLogger(uri) as logger:
        assert logger.sync(study) == 3
    for number, run in logged(uri, study).items():
        assert run.data.params == {"x": str(study.trials[number].params["x"])}
        assert "nasrec.incomplete" not in run.data.tags


def test_a_store_that_is_none_does_not_end_the_study_from_inside_the_callback(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database")
    study = optuna.create_study(study_name="odd")
    logger = MLflowLogger(f"sqlite:///{tmp_path}/mlflow.db")
    study.optimize(lambda trial: 0.0, n_trials=20, callbacks=[logger])
    assert len(study.trials) == 20
    with pytest.raises(Exception, match="not a database"):
        logger.close()


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 700, "a/b", "\ud800", "50 % #1?"])
def test_any_name_of_a_study_has_its_experiment(uri, name):
    study = optuna.create_study(study_name=name)
    for _ in range(2):
        with MLflowLogger(uri) as logger:
            study.optimize(lambda trial: 0.0, n_trials=1, callbacks=[logger])
            assert logger.sync(study) == 0
    client = MlflowClient(uri)
    [experiment] = [e for e in client.search_experiments() if e.name != "Default"]
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["nasrec.kind"] for run in runs) == ["study", "trial", "trial"]


def test_artifacts_keep_names_that_mlflow_takes_and_no_two_become_one(uri, tmp_path):
    folder = tmp_path / "a#b?"
    (folder / "50 %").mkdir(parents=True)
    (folder / "50 %" / "x#.txt").write_text("inside")
    files = [tmp_path / name for name in ("plot.svg", "p#1.txt", "p?1.txt")]
    for file in files:
        file.write_text(file.name)
    study = optuna.create_study(study_name="odd")
    with MLflowLogger(uri) as logger:
        study.optimize(lambda trial: 0.0, n_trials=1, callbacks=[logger])
        logger.log_files(study, {0: [*files, folder]})
        logger.log_artifact(study, folder / "50 %" / "x#.txt")
    run_id = logged(uri, study)[0].info.run_id
    found = Path(MlflowClient(uri).download_artifacts(run_id, "", str(tmp_path / "down")))
    texts = {
        decode(str(f.relative_to(found))): f.read_text() for f in found.rglob("*") if f.is_file()
    }
    assert texts == {**{f.name: f.name for f in files}, "a#b?/50 %/x#.txt": "inside"}


def test_genotype_longer_than_a_tag_is_enough_to_rebuild(uri):
    genotype = SearchSpace.codesign(num_blocks=40, max_inputs=2).sample(np.random.default_rng(0))
    text = genotype.to_json()
    assert len(text) > 8000

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr("genotype", text)
        return 0.0

    study = search(uri, objective)
    assert genotype_of(logged(uri, study)[0]) == genotype


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
VALUES = JSON_LIKE | st.integers().map(lambda n: n**40) | st.sampled_from(["x" * 9000, "\ud800"])


def trial_of(attributes: dict[Any, Any], steps: dict[int, float]) -> FrozenTrial:
    trial = create_trial(state=TrialState.COMPLETE, value=1.0)
    trial.user_attrs = attributes
    trial.intermediate_values = steps
    return trial


@settings(deadline=None)
@given(
    attributes=st.dictionaries(st.text() | st.integers(), VALUES, max_size=6),
    steps=st.dictionaries(st.integers(), st.floats(), max_size=4),
)
def test_a_record_has_everything_and_mlflow_takes_it(attributes, steps):
    record = trial_record(trial_of(attributes, steps), ["loss"], {"mlflow.parentRunId": "0"})
    for metric in record.metrics:
        _validate_metric(metric.name, metric.value, 0, metric.step)
        assert isinstance(metric.value, float)
    for name, value in record.params.items():
        _validate_param(name, value)
    for name, value in record.tags.items():
        _validate_tag(name, value)
        value.encode()
    names = {metric.name for metric in record.metrics} - {"loss", "intermediate"}
    shown = len(names) + sum(decode(name).startswith("attr/") for name in record.tags)
    assert shown >= len(attributes) - ("genotype" in attributes) - ("seconds" in attributes)
    assert ("nasrec.in_full" in record.tags) == ("trial.json" in record.files)
    if record.files:
        assert json.loads(record.files["trial.json"])["values"] == [1.0]


@given(text=st.text(max_size=100) | st.integers(0, 20_000).map(lambda n: "ab" * n))
def test_a_long_tag_is_put_together_again(text):
    tags = split("name", text)
    assert joined({**tags, "name.x": "other"}, "name") == text


def test_a_list_within_itself_is_described():
    inner: list[Any] = [1]
    inner.append(inner)
    assert "[...]" in as_json(inner)
