"""A search whose trials fail: what is enqueued from outside, weights that are no numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from safetensors.torch import load_file, save_file

from nasrec_opt.pipeline import StudyConfig, run_study

SENTENCE = "b1.dense_width: expected one of 16, 32, 64, 128, 256, 512, 768, 1024, got 17"
STUDY = """
name = "tiny"
seed = 3
[data]
synthetic_rows = 1200
[space]
preset = "nasrec_small"
num_blocks = 1
[supernet]
batch_size = 128
[oracle]
rows = 64
[search]
sampler = "{sampler}"
n_trials = {n_trials}
[search.evolution]
population_size = 4
tournament_size = 2
children_per_round = 2
[retrain]
top = 1
[retrain.model]
epochs = 1
batch_size = 128
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    run_study(StudyConfig.from_toml(study_file(folder)), folder / "run", until="train")
    return folder / "run"


def study_file(folder: Path, sampler: str = "evolution", n_trials: int = 4) -> Path:
    file = folder / "tiny.toml"
    file.write_text(STUDY.format(sampler=sampler, n_trials=n_trials))
    return file


def enqueue(out: Path, name: str) -> None:
    """What a user's own script does."""
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{out}/study.db")
    study.enqueue_trial({"b1.dense_width": 17})


@pytest.mark.parametrize("engine", ["evolution", "tpe", "nsga2", "pool_bayes", "ax"])
def test_a_bad_enqueued_trial_fails_and_the_run_goes_on(trained, tmp_path, engine):
    out = shutil.copytree(trained, tmp_path / "run")

    def run(n_trials, until):
        file = study_file(tmp_path, "evolution" if engine == "ax" else engine, n_trials)
        if engine == "ax":
            file.write_text(file.read_text().replace("[search]", '[search]\nengine = "ax"'))
        return run_study(StudyConfig.from_toml(file), out, until=until)

    name = run(3, "search").study().study_name
    enqueue(out, name)
    study = run(6, "search").study()
    states = [trial.state for trial in study.trials]
    assert states == [*[TrialState.COMPLETE] * 3, TrialState.FAIL, *[TrialState.COMPLETE] * 3]
    assert study.trials[3].user_attrs == {"failed": SENTENCE}


def test_a_run_with_failed_trials_is_shown_whole(cli, trained, tmp_path):
    from mlflow import MlflowClient

    out = shutil.copytree(trained, tmp_path / "run")
    assert cli("search", study_file(tmp_path), "--out", out).returncode == 0
    enqueue(out, "tiny")
    enqueue(out, "tiny")
    result = cli("run", study_file(tmp_path, n_trials=7), "--out", out)
    assert result.returncode == 0, result.stderr
    assert f"trial 4 failed: {SENTENCE}" in result.stderr
    assert f"2 failed (trials 4, 5: {SENTENCE})" in result.stderr
    assert "Traceback" not in result.stderr
    page = (out / "report.html").read_text()
    assert "7 complete, 2 fail" in page
    assert f"trials 4, 5: {SENTENCE}" in page
    client = MlflowClient(f"sqlite:///{out}/mlflow.db")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(ids, "tags.`nasrec.state` = 'FAIL'")
    assert {run.data.tags["nasrec.fail_reason"] for run in runs} == {SENTENCE}
    assert {run.info.status for run in runs} == {"FAILED"}
    assert len(runs) == 2


def test_a_trial_left_running_by_an_older_version_is_failed_too(trained, tmp_path):
    out = shutil.copytree(trained, tmp_path / "run")
    config = StudyConfig.from_toml(study_file(tmp_path))
    study = run_study(config, out, until="search").study()
    enqueue(out, "tiny")
    study.ask()  # the process ended here, with a traceback
    study = run_study(
        StudyConfig.from_toml(study_file(tmp_path, n_trials=5)), out, until="search"
    ).study()
    assert [trial.state for trial in study.trials[4:]] == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_search_in_which_everything_fails_ends_with_one_sentence(cli, trained, tmp_path):
    out = shutil.copytree(trained, tmp_path / "run")
    [file] = (out / "supernet").glob("*.safetensors")
    save_file({name: weight * float("nan") for name, weight in load_file(file).items()}, file)
    for number in range(2):
        result = cli("search", study_file(tmp_path, n_trials=500), "--out", out)
        assert result.returncode == 2
        [line] = [x for x in result.stderr.splitlines() if x.startswith("nasrec-opt: ")]
        assert "the first 16 all failed, the last of them with: oracle SupernetOracle: " in line
        assert "Traceback" not in result.stderr
        study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{out}/study.db")
        assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 16 * (number + 1)
