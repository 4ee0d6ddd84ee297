"""As a user's process sees it: quiet, lazy, and nothing lost when it ends or fails."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from conftest import environment
from patience import PATIENCE_S
from tracking import studies

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

from mlflow.tracking import MlflowClient

import nasrec_opt
from nasrec_opt.errors import StudyError
from nasrec_opt.tracking import MLflowLogger

TESTS = Path(__file__).parents[1]
CODE = str(Path(nasrec_opt.__file__).parents[1])  # first, since tests/ has a folder hw as well
SCRIPT = """
import logging, warnings, optuna
warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
optuna.logging.set_verbosity(optuna.logging.WARNING)
from tracking import studies
from nasrec_opt import MLflowLogger
study = studies.create()
study.optimize(studies.objective, n_trials=3, callbacks=[MLflowLogger({uri!r})])
{end}
"""


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment() | {"PYTHONPATH": os.pathsep.join((CODE, str(TESTS)))},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def statuses(uri: str) -> list[str]:
    """Of the study's run and of its trials' runs."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("toy").experiment_id
    runs = client.search_runs([experiment])
    runs.sort(key=lambda run: int(run.data.tags.get("nasrec.trial", -1)))
    return [run.info.status for run in runs]


def test_new_store_is_made_quietly_and_the_end_of_the_process_writes_the_queue(tmp_path):
    uri = f"sqlite:///{tmp_path}/new.db"
    done = python(SCRIPT.format(uri=uri, end=""), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert statuses(uri) == ["FINISHED"] * 4
    assert sorted(p.name for p in tmp_path.iterdir() if "new.db" not in p.name) == []


def test_queue_is_written_when_the_script_fails(start_code, uri):
    done = start_code(SCRIPT.format(uri=uri, end="raise SystemExit(3)")).wait()
    assert done.returncode == 3
    assert len(statuses(uri)) == 4


def test_without_mlflow_the_error_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['mlflow'] = None\n"  # what Python does with a blocked import
        "from nasrec_opt.errors import MissingExtraError\n"
        "from nasrec_opt import MLflowLogger\n"
        "try: MLflowLogger()\n"
        "except MissingExtraError as error: print(error)"
    )
    done = python(code, tmp_path)
    assert done.stdout == "MLflow is not installed: pip install 'nasrec-opt[mlflow]'\n"


def test_importing_the_logger_loads_neither_mlflow_nor_torch(tmp_path):
    code = "import sys, nasrec_opt.tracking; print({'mlflow', 'torch'} & set(sys.modules))"
    assert python(code, tmp_path).stdout == "set()\n"


def test_another_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "study.db"
    studies.create(f"sqlite:///{path}")
    before = path.read_bytes()
    with pytest.raises(StudyError, match=r"expected an MLflow store, got: another SQLite"):
        MLflowLogger(f"sqlite:///{path}", experiment="toy")
    assert path.read_bytes() == before


@pytest.mark.parametrize("uri", ["sqlite:////proc/nowhere/mlflow.db", "nonsense://x"])
def test_store_that_cannot_be_is_one_sentence(uri):
    with pytest.raises(StudyError, match=f"^{uri}: expected an MLflow store, got: [^\n]+$"):
        MLflowLogger(uri, experiment="toy")


def test_store_that_breaks_is_heard_of_at_the_next_call(uri):
    study = studies.create()
    logger = MLflowLogger(uri)
    study.optimize(studies.objective, n_trials=1, callbacks=[logger])
    logger.flush()
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        connection.execute("ALTER TABLE params RENAME TO lost")
    study.optimize(studies.objective, n_trials=1, callbacks=[logger])
    with pytest.raises(StudyError, match=r"trials could not be logged \(sync logs .*\): [^\n]+$"):
        logger.flush()
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        connection.execute("ALTER TABLE lost RENAME TO params")
    assert logger.sync(study) == 1
    logger.close()
    assert statuses(uri) == ["FINISHED"] * 3


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (OSError, "FAILED")])
def test_parent_says_how_the_search_ended(uri, error, status):
    def interrupted(study, trial):
        if trial.number == 1:
            raise error

    study = studies.create()
    with pytest.raises(error), MLflowLogger(uri) as logger:
        study.optimize(studies.objective, callbacks=[logger, interrupted])
    assert statuses(uri) == [status, "FINISHED", "FINISHED"]


def test_threads_share_a_logger(uri):
    study = studies.create()
    with MLflowLogger(uri) as logger:
        study.optimize(studies.objective, n_trials=12, n_jobs=4, callbacks=[logger])
    assert statuses(uri) == ["FINISHED"] * 13


def test_one_logger_serves_two_studies(uri):
    with MLflowLogger(uri) as logger:
        for name in ("toy", "other"):
            study = studies.create(name=name)
            study.optimize(studies.objective, n_trials=2, callbacks=[logger])
    client = MlflowClient(uri)
    for name in ("toy", "other"):
        experiment = client.get_experiment_by_name(name)
        assert len(client.search_runs([experiment.experiment_id])) == 3
