"""Learning rates that were compared are trials of a study, and runs in MLflow."""

from __future__ import annotations

import json

import optuna
import pytest
from study_files import tiny_study_with

from nasrec_opt.pipeline import RunFolder, StudyConfig, run_study
from nasrec_opt.pipeline._rates import write_rate_studies

RATES = [1e-3, 3e-3, 1e-2]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    folder = tmp_path_factory.mktemp("rates")
    (folder / "tiny.toml").write_text(
        tiny_study_with(
            data={"synthetic_rows": 1000},
            search={"n_trials": 4},
            retrain={"model": {"learning_rates": RATES, "epochs": 1, "batch_size": 128}},
        )
    )
    config = StudyConfig.from_toml(folder / "tiny.toml")
    run_study(config, folder / "run", until="retrain")
    return RunFolder(folder / "run")


def model_of(run: RunFolder) -> dict:
    [model] = json.loads(run.results.read_text())["models"]
    return model


def studies(run: RunFolder) -> list[optuna.Study]:
    storage = f"sqlite:///{run.study_db}"
    names = optuna.get_all_study_names(storage)
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def test_they_are_a_study_in_the_storage_of_the_run(run):
    search, rates = studies(run)
    assert search.study_name == "tiny"
    model = model_of(run)
    assert rates.study_name.startswith(f"learning rate of trial {model['trial']}, ")
    assert rates.metric_names == ["log_loss"]
    assert [t.params["learning_rate"] for t in rates.trials] == RATES
    assert [[t.params["learning_rate"], t.value] for t in rates.trials] == model["rate_trials"]
    assert rates.best_params == {"learning_rate": model["learning_rate"]}
    assert json.loads(rates.user_attrs["genotype"]) == model["genotype"]


def test_they_are_runs_in_mlflow(run):
    mlflow = pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    client = mlflow.MlflowClient(f"sqlite:///{run.mlflow_db}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(ids, "tags.`nasrec.kind` = 'learning_rate'")
    found = {float(r.data.params["learning_rate"]): r.data.metrics["log_loss"] for r in runs}
    assert found == pytest.approx(dict(model_of(run)["rate_trials"]))


def test_a_second_time_adds_nothing_and_a_single_rate_has_no_study(run):
    model = model_of(run)
    before = [study.study_name for study in studies(run)]
    write_rate_studies(run, [model, {**model, "rate_trials": []}])
    assert [study.study_name for study in studies(run)] == before
    failed = {**model, "rate_trials": [[1e-3, 0.5], [1.0, float("inf")]]}
    write_rate_studies(run, [failed])
    *_, added = studies(run)
    assert [trial.state.name for trial in added.trials] == ["COMPLETE", "FAIL"]
