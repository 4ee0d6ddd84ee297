"""The logger in a study that uses nothing else of ours; and what people compare runs by."""

from __future__ import annotations

import json
import math

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from tracking import studies

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

from mlflow.tracking import MlflowClient

from nasrec_opt.space import Genotype
from nasrec_opt.tracking import MLflowLogger


def runs(uri: str, experiment: str) -> tuple[object, dict[int, object]]:
    """The run of the study, and those of its trials by number."""
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    [parent] = [run for run in found if "nasrec.study" in run.data.tags]
    trials = {
        int(run.data.tags["nasrec.trial"]): run for run in found if "nasrec.trial" in run.data.tags
    }
    assert {run.data.tags["mlflow.parentRunId"] for run in trials.values()} == {parent.info.run_id}
    return parent, trials


def objective(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("rate", 1e-5, 1.0, log=True)
    depth = trial.suggest_int("depth", 1, 9)
    kind = trial.suggest_categorical("kind", ["adam", None, 3, True])
    trial.set_user_attr("notes", ["a", {"b": 1}])
    trial.report(0.5, step=10)
    if trial.number == 1:
        raise optuna.TrialPruned
    if trial.number == 2:
        raise ValueError("diverged")
    return depth - abs(math.log(rate)) + (kind == "adam")


def test_a_study_of_somebody_else(uri):
    study = optuna.create_study(
        study_name="theirs", direction="maximize", sampler=optuna.samplers.TPESampler(seed=0)
    )
    with MLflowLogger(uri) as logger:
        study.optimize(objective, n_trials=5, callbacks=[logger], catch=(ValueError,))
    parent, trials = runs(uri, "theirs")
    assert parent.data.tags["nasrec.directions"] == "maximize"
    assert parent.data.tags["nasrec.sampler"] == "TPESampler"
    statuses = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED"}
    for trial in study.trials:
        run = trials[trial.number]
        assert run.info.status == statuses.get(trial.state, "FAILED")
        assert run.data.params == {name: str(value) for name, value in trial.params.items()}
        assert run.data.tags["nasrec.sampler"] == "TPESampler"
        assert run.data.tags["nasrec.state"] == trial.state.name
        assert "nasrec.genotype" not in run.data.tags
        expected = {"intermediate": 0.5}
        if trial.values:  # for Optuna, a pruned trial has the value that it reported last
            expected["value_0"] = trial.value
        assert run.data.metrics == expected


def test_runs_of_trials_have_what_people_compare_them_by(uri):
    study = studies.create()
    study.set_user_attr("space", studies.SPACE.to_dict())
    with MLflowLogger(uri, tags={"nasrec.sampler": "nsga2"}, seeds={"search": 7}) as logger:
        study.optimize(studies.objective, n_trials=3, callbacks=[logger])
    parent, trials = runs(uri, "toy")
    for run in (parent, *trials.values()):
        assert run.data.tags["nasrec.sampler"] == "nsga2"  # a name given is before the class
        assert run.data.tags["nasrec.space_name"] == "nasrec_small"
        assert run.data.tags["nasrec.seed.search"] == "7"
    for run in trials.values():  # the axes of parallel coordinates
        assert set(studies.METRIC_NAMES) <= run.data.metrics.keys()
        assert {"b1.dense_width", "b2.dense_width"} <= run.data.params.keys()


def test_files_lie_beside_the_runs_of_trials_and_models(uri, tmp_path):
    study = studies.create()
    drawing, model = tmp_path / "architecture.svg", tmp_path / "model"
    drawing.write_text("<svg/>")
    model.mkdir()
    (model / "weights").write_text("1")
    genotype = studies.SPACE.sample(np.random.default_rng(0))
    with MLflowLogger(uri) as logger:
        study.optimize(studies.objective, n_trials=3, callbacks=[logger])
        logger.log_files(study, {1: [drawing]})
        logger.log_models(study, [{"genotype": genotype.to_dict()}], files=[[drawing, model]])
    _, trials = runs(uri, "toy")
    client = MlflowClient(uri)

    def names(run_id: str, folder: str | None = None) -> list[str]:
        return [file.path for file in client.list_artifacts(run_id, folder)]

    assert {n: names(run.info.run_id) for n, run in trials.items()} == {
        0: [],
        1: ["architecture.svg"],
        2: [],
    }
    experiment = client.get_experiment_by_name("toy").experiment_id
    [retrained] = client.search_runs([experiment], "tags.`nasrec.kind` = 'model'")
    assert names(retrained.info.run_id) == ["architecture.svg", "model"]
    assert names(retrained.info.run_id, "model") == ["model/weights"]
    assert Genotype.from_dict(json.loads(retrained.data.tags["nasrec.genotype"])) == genotype
