"""MLflow logging with a real store: every trial once, nested, rebuildable, also after a kill."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import optuna
import pytest

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

from mlflow.tracking import MlflowClient

from nasrec_opt.errors import StudyError
from nasrec_opt.space import SearchSpace
from nasrec_opt.tracking import MLflowLogger, genotype_of

SPACE = SearchSpace.nasrec_small(num_blocks=2)
SCRIPT = """
import os, signal, sys
import optuna
sys.path.insert(0, sys.argv[2])
from tracking_study import objective
from nasrec_opt.tracking import MLflowLogger
folder = sys.argv[1]
study = optuna.load_study(study_name="toy", storage=f"sqlite:///{folder}/study.db")
logger = MLflowLogger(f"sqlite:///{folder}/mlflow.db")
study.optimize(objective, n_trials=2, callbacks=[logger])
logger.flush()
study.optimize(objective, n_trials=3, callbacks=[logger])
os.kill(os.getpid(), signal.SIGKILL)  # some of the three are still in the queue
"""


def objective(trial: optuna.Trial) -> tuple[float, float]:
    genotype = SPACE.suggest(trial)
    trial.set_user_attr("genotype", genotype.to_json())
    trial.set_user_attr("auc", 0.7)
    trial.set_user_attr("area_mm2", 3.5)
    return 0.5 + trial.number / 100, 10.0


@pytest.fixture
def study(tmp_path) -> optuna.Study:
    created = optuna.create_study(
        study_name="toy",
        storage=f"sqlite:///{tmp_path}/study.db",
        directions=["minimize"] * 2,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    created.set_metric_names(["log_loss", "latency_us"])
    return created


def runs_of(folder: Path) -> list:
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("toy")
    return client.search_runs([experiment.experiment_id], max_results=1000)


def trial_runs(folder: Path) -> dict[int, object]:
    runs = [run for run in runs_of(folder) if "nasrec.trial" in run.data.tags]
    numbers = [int(run.data.tags["nasrec.trial"]) for run in runs]
    assert len(set(numbers)) == len(numbers)
    return dict(zip(numbers, runs, strict=True))


def test_every_trial_is_a_nested_run_that_rebuilds_its_model(study, tmp_path):
    with MLflowLogger(f"sqlite:///{tmp_path}/mlflow.db", tags={"seed": "7"}) as logger:
        study.optimize(objective, n_trials=4, callbacks=[logger])
    runs = trial_runs(tmp_path)
    assert sorted(runs) == [0, 1, 2, 3]
    parents = {run.data.tags["mlflow.parentRunId"] for run in runs.values()}
    assert len(parents) == 1
    for trial in study.trials:
        run = runs[trial.number]
        assert genotype_of(run) == SPACE.decode(trial.params)
        assert run.data.metrics["log_loss"] == trial.values[0]
        assert run.data.metrics["latency_us"] == trial.values[1]
        assert run.data.metrics["area_mm2"] == 3.5
        assert run.data.tags["seed"] == "7"
        assert run.info.status == "FINISHED"


def test_failed_trial_has_a_failed_run(study, tmp_path):
    def failing(trial: optuna.Trial) -> tuple[float, float]:
        raise ValueError("no")

    with MLflowLogger(f"sqlite:///{tmp_path}/mlflow.db") as logger:
        study.optimize(failing, n_trials=1, callbacks=[logger], catch=(ValueError,))
    assert trial_runs(tmp_path)[0].info.status == "FAILED"


def test_second_logger_finds_the_parent_and_logs_nothing_twice(study, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with MLflowLogger(uri) as logger:
        study.optimize(objective, n_trials=2, callbacks=[logger])
    with MLflowLogger(uri) as logger:
        assert logger.sync(study) == 0
        study.optimize(objective, n_trials=1, callbacks=[logger])
    assert sorted(trial_runs(tmp_path)) == [0, 1, 2]
    assert sum("nasrec.study" in run.data.tags for run in runs_of(tmp_path)) == 1


def test_sync_after_a_kill_logs_what_is_missing(start_code, study, tmp_path):
    module = tmp_path / "tracking_study.py"
    module.write_text(
        "import optuna\n"
        "def objective(trial):\n"
        "    trial.suggest_int('x', 0, 9)\n"
        "    return 0.5, 1.0\n"
    )
    process = start_code(SCRIPT, tmp_path, tmp_path).wait()
    assert process.returncode == -signal.SIGKILL
    finished = [t.number for t in study.get_trials() if t.state.is_finished()]
    assert len(finished) == 5
    with MLflowLogger(f"sqlite:///{tmp_path}/mlflow.db") as logger:
        logger.sync(study)
    assert sorted(trial_runs(tmp_path)) == finished


def test_models_are_replaced_not_repeated(study, tmp_path):
    genotype = SPACE.sample(np.random.default_rng(0))
    models = [{"genotype": genotype.to_dict(), "test_log_loss": 0.44, "test_auc": 0.8}]
    for _ in range(2):
        with MLflowLogger(f"sqlite:///{tmp_path}/mlflow.db") as logger:
            logger.log_models(study, models)
    runs = [run for run in runs_of(tmp_path) if "nasrec.model" in run.data.tags]
    assert len(runs) == 1
    assert genotype_of(runs[0]) == genotype
    assert runs[0].data.metrics["test_log_loss"] == 0.44


BASELINES = {
    "constant": {"test_log_loss": 0.57, "test_auc": 0.5, "validation_auc": 0.5},
    "logistic_regression": {"test_log_loss": 0.52, "test_auc": None, "seconds": 2.0},
}


def baselines_of(folder: Path) -> dict[str, list]:
    found: dict[str, list] = {}
    for run in runs_of(folder):
        if run.data.tags["nasrec.kind"] == "baseline":
            found.setdefault(run.data.tags["nasrec.baseline"], []).append(run)
    return found


def test_studies_on_the_same_data_share_their_baselines(study, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    other = optuna.create_study(study_name="other", directions=["minimize"] * 2)
    summary = {"source": "a/log.txt", "fingerprint": "f" * 64}
    for searched in (study, other, study):
        with MLflowLogger(uri, experiment="toy") as logger:
            logger.log_dataset(searched, summary)
            logger.log_baselines(searched, BASELINES)
    found = baselines_of(tmp_path)
    assert {name: len(runs) for name, runs in found.items()} == dict.fromkeys(BASELINES, 1)
    for name, [run] in found.items():
        figures = {key: value for key, value in BASELINES[name].items() if value is not None}
        assert run.data.metrics == figures
        assert run.data.params == {"dataset": "log.txt", "data.fingerprint": "f" * 64}
        assert "mlflow.parentRunId" not in run.data.tags
        assert run.info.status == "FINISHED"


def test_baselines_with_other_figures_or_on_other_data_are_other_runs(study, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    better = {"constant": {"test_log_loss": 0.56}}
    other = optuna.create_study(study_name="other", directions=["minimize"] * 2)
    with MLflowLogger(uri, experiment="toy") as logger:
        logger.log_baselines(study, BASELINES)
        logger.log_baselines(study, better)
        logger.log_dataset(other, {"source": "b.txt", "fingerprint": "e" * 64})
        logger.log_baselines(other, better)
    found = baselines_of(tmp_path)
    assert {name: len(runs) for name, runs in found.items()} == {
        "constant": 2,
        "logistic_regression": 1,
    }
    assert [run.data.metrics for run in found["constant"]] == [better["constant"]] * 2


def test_figures_of_a_study_are_metrics_of_its_run(study, tmp_path):
    with MLflowLogger(f"sqlite:///{tmp_path}/mlflow.db") as logger:
        for seconds in (3.0, 5.0):
            logger.log_metrics(study, {"seconds": seconds})
    [run] = [run for run in runs_of(tmp_path) if run.data.tags["nasrec.kind"] == "study"]
    assert run.data.metrics["seconds"] == 5.0


def test_an_ensemble_is_one_more_run_for_as_long_as_there_is_one(study, tmp_path):
    genotype = SPACE.sample(np.random.default_rng(0)).to_dict()
    models = [{"genotype": genotype, "test_log_loss": 0.44}]
    together = {
        "members": [{"genotype": genotype, "seed": seed} for seed in (0, 1)],
        "test_log_loss": 0.43,
        "against": {"constant": {"difference": -0.1}},
    }
    for ensemble, kinds in ((together, ["ensemble", "model"]), (None, ["model"])):
        with MLflowLogger(f"sqlite:///{tmp_path}/mlflow.db") as logger:
            logger.log_models(study, models, ensemble=ensemble)
        runs = {
            run.data.tags["nasrec.kind"]: run
            for run in runs_of(tmp_path)
            if "nasrec.model" in run.data.tags
        }
        assert sorted(runs) == kinds
        if ensemble:
            data = runs["ensemble"].data
            assert data.metrics["test_log_loss"] == 0.43
            assert json.loads(data.params["member.2"])["seed"] == 1


def test_dataset_and_artifact_are_on_the_parent(study, tmp_path):
    report = tmp_path / "report.html"
    report.write_text("<html></html>")
    with MLflowLogger(
        f"sqlite:///{tmp_path}/mlflow.db", artifact_location=(tmp_path / "artifacts").as_uri()
    ) as logger:
        logger.log_dataset(study, {"fingerprint": "abc", "rows": {"train": 80}})
        logger.log_artifact(study, report)
    parent = next(run for run in runs_of(tmp_path) if "nasrec.study" in run.data.tags)
    params = parent.data.params
    assert (params["data.fingerprint"], params["data.rows.train"]) == ("abc", "80")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    assert [f.path for f in client.list_artifacts(parent.info.run_id)] == ["report.html"]


def test_an_experiment_that_somebody_else_makes_meanwhile_is_theirs(tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    first = MLflowLogger(uri, experiment="ours")
    first.page("ours")  # opens the store
    ask, asked = MlflowClient.get_experiment_by_name, []

    def not_yet(client, name):
        asked.append(name)
        return ask(client, name) if len(asked) > 1 else None

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", not_yet)
    second = MLflowLogger(uri, experiment="ours")
    assert second.page("ours") == first.page("ours")
    assert len(asked) > 1
    assert [e.name for e in MlflowClient(uri).search_experiments()].count("ours") == 1


def test_store_that_is_no_store_is_one_sentence(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database")
    with pytest.raises(StudyError, match="expected an MLflow store"):
        MLflowLogger(f"sqlite:///{tmp_path}/mlflow.db", experiment="toy")
