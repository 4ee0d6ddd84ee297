"""`engine = "ax"`: the run of a study file, and what is said where Ax is not there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from study_files import ONE_EPOCH, tiny_study_with

from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import StudyConfig

SEARCH = {"engine": "ax", "sampler": None, "n_trials": 36}  # the first 32 are random


@pytest.fixture(scope="module")
def ax_study(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("ax") / "tiny.toml"
    path.write_text(tiny_study_with(search=SEARCH, retrain=ONE_EPOCH))
    return path


@pytest.fixture(scope="module")
def finished(cli, ax_study, tmp_path_factory):
    pytest.importorskip("ax", reason="the extra 'ax' is not installed")
    out = tmp_path_factory.mktemp("run") / "tiny"
    result = cli("run", ax_study, "--out", out)  # in a process that has not loaded Ax yet
    assert result.returncode == 0, result.stderr
    return out, result


def test_a_run_through_ax_has_every_part_of_a_run(finished):
    mlflow = pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    out, result = finished
    assert "36 trials by ax-pool_bayes" in result.stderr
    assert "Warning" not in result.stderr
    study = load(out)
    assert [trial.number for trial in study.trials] == list(range(36))
    assert {"genotype", "breakdown", "seconds"} <= study.trials[-1].user_attrs.keys()
    client = mlflow.MlflowClient(f"sqlite:///{out}/mlflow.db")
    [experiment] = [e for e in client.search_experiments() if e.name == "tiny"]
    runs = client.search_runs([experiment.experiment_id], "tags.`nasrec.kind` = 'trial'")
    assert sorted(int(run.data.tags["nasrec.trial"]) for run in runs) == list(range(36))
    assert "tiny" in (out / "report.html").read_text()


def test_a_search_that_stopped_ends_with_the_same_trials(cli, ax_study, finished, tmp_path):
    out = tmp_path / "tiny"
    shutil.copytree(finished[0], out)
    study = load(finished[0])
    stopped_in_trial(study, 34, out / "study.db")
    result = cli("search", ax_study, "--out", out)
    assert result.returncode == 0, result.stderr
    assert described(load(out)) == described(study)


def test_wrong_settings_are_a_sentence(tmp_path):
    path = tmp_path / "study.toml"
    for text, sentence in (
        ('engine = "axe"', "engine: expected one of 'optuna', 'ax', got 'axe'"),
        ('engine = "ax"\nsampler = "tpe"', 'sampler: expected none with engine = "ax"'),
        ('engine = "ax"\n[search.ax]\nstrategy = "x"', "strategy: expected one of 'pool_bayes'"),
    ):
        path.write_text(f"[search]\n{text}\n")
        with pytest.raises(StudyError, match=sentence):
            StudyConfig.from_toml(path)


def test_without_ax_a_run_says_what_to_install_before_it_begins(ax_study, tmp_path):
    code = (
        "import sys; sys.modules['ax'] = None\n"
        "from nasrec_opt.__main__ import main\n"
        f"sys.argv = ['nasrec-opt', 'run', {str(ax_study)!r}, '--out', {str(tmp_path / 'r')!r}]\n"
        "main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr.strip().endswith("Ax is not installed: pip install 'nasrec-opt[ax]'")


def test_nobody_loads_ax_who_does_not_use_it():
    code = (
        "import sys, nasrec_opt, nasrec_opt.cli, nasrec_opt.ax\n"
        "from nasrec_opt.pipeline import StudyConfig\n"
        "print([m for m in ('ax', 'botorch', 'mlflow') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def stopped_in_trial(study: optuna.Study, number: int, path: Path) -> None:
    """The study as a kill in that trial leaves it."""
    path.unlink()
    stopped = optuna.create_study(
        study_name=study.study_name, storage=f"sqlite:///{path}", directions=study.directions
    )
    stopped.add_trials(study.trials[:number])
    for name, value in study.user_attrs.items():
        stopped.set_user_attr(name, value)
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        stopped.set_metric_names(study.metric_names)
    stopped.ask()


def load(out: Path) -> optuna.Study:
    return optuna.load_study(study_name="tiny", storage=f"sqlite:///{out}/study.db")


def described(study):
    return [(t.number, t.state, t.params, t.values) for t in study.trials]
