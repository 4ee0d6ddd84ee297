"""What a kill, two workers or a person leave in MLflow is put right; nothing is there twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tracking import studies

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

from mlflow.tracking import MlflowClient

from nasrec_opt.tracking import MLflowLogger, genotype_of

SCRIPT = Path(__file__).with_name("log_and_wait.py")


def runs(uri: str, experiment: str = "toy") -> list:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id], max_results=5000)


def trial_runs(uri: str) -> dict[int, object]:
    """Runs of trials, each trial once."""
    found = [run for run in runs(uri) if "nasrec.trial" in run.data.tags]
    numbers = [int(run.data.tags["nasrec.trial"]) for run in found]
    assert len(set(numbers)) == len(numbers)
    return dict(zip(numbers, found, strict=True))


def kill_after(start_code, storage: Path, uri: str, trials: int) -> None:
    """Search and log in a process that is killed after so many trials, not all of them logged."""
    store = Path(uri.removeprefix("sqlite:///"))
    code = f"import runpy; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    process = start_code(code, storage, store)
    while process.is_running():
        os.kill(process.pid, signal.SIGSTOP)  # so that nothing changes while we look
        while not is_stopped(process.pid):
            time.sleep(0.001)
        # A writer that was stopped while it opens the file keeps its locks: look again later.
        with suppress(sqlite3.OperationalError):
            finished = count(storage, "trials WHERE state = 'COMPLETE'")
            if finished >= trials and count(store, "tags WHERE key = 'nasrec.trial'") < finished:
                break  # something is still in the queue
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.02)
    assert process.stop(signal.SIGKILL).returncode == -signal.SIGKILL


def is_stopped(pid: int) -> bool:
    """Whether all threads of a process are."""
    states = [
        task.read_text().rpartition(") ")[2][0] for task in Path(f"/proc/{pid}/task").glob("*/stat")
    ]
    return set(states) <= {"T", "Z"}


def count(database: Path, rows: str) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {rows}").fetchone()[0])


def test_killed_searches_lose_nothing_and_repeat_nothing(start_code, uri, tmp_path):
    storage = tmp_path / "study.db"
    with closing(sqlite3.connect(storage)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # a stopped writer locks no reader out
    for trials in (1, 9, 22):  # inside the first batch, and later
        kill_after(start_code, storage, uri, trials)
    study = studies.create(f"sqlite:///{storage}")
    finished = {t.number: t for t in study.trials if t.state.is_finished()}
    before = len(trial_runs(uri))
    assert 0 < before < len(finished)
    with MLflowLogger(uri) as logger:
        assert logger.sync(study) == len(finished) - before
        logger.flush()
        assert logger.sync(study) == 0
    logged = trial_runs(uri)
    assert sorted(logged) == sorted(finished)
    for number, run in logged.items():
        trial = finished[number]
        assert run.info.status == "FINISHED"
        assert genotype_of(run).to_json() == trial.user_attrs["genotype"]
        assert [run.data.metrics[name] for name in studies.METRIC_NAMES] == trial.values
        assert run.info.end_time == int(trial.datetime_complete.timestamp() * 1000)
    assert sum(run.data.tags.get("nasrec.kind") == "study" for run in runs(uri)) == 1


def test_half_written_run_is_completed_in_place(uri):
    study = studies.create()
    study.optimize(studies.objective, n_trials=2)
    with MLflowLogger(uri) as logger:
        parent = logger._parent(study)  # as the client leaves it when it is killed between calls
        half = parent.store.client.create_run(
            parent.store.experiment_id, tags={**parent.tags, "nasrec.trial": "1"}
        ).info.run_id
        name, value = next(iter(study.trials[1].params.items()))
        parent.store.client.log_param(half, name, value)
        assert logger.sync(study) == 2
    run = trial_runs(uri)[1]
    assert (run.info.run_id, run.info.status) == (half, "FINISHED")
    assert run.data.metrics["log_loss"] == study.trials[1].values[0]
    assert len(run.data.params) == len(study.trials[1].params)
    assert genotype_of(run).to_json() == study.trials[1].user_attrs["genotype"]


def test_second_run_of_a_trial_goes_and_a_deleted_one_stays_deleted(uri):
    study = studies.create()
    with MLflowLogger(uri) as logger:
        study.optimize(studies.objective, n_trials=2, callbacks=[logger])
        logger(study, study.trials[0])  # as another worker would
        logger.flush()
        client = MlflowClient(uri)
        (unwanted,) = [r for r in runs(uri) if r.data.tags.get("nasrec.trial") == "1"]
        client.delete_run(unwanted.info.run_id)
        assert logger.sync(study) == 0
    assert sorted(trial_runs(uri)) == [0]


def test_studies_of_one_name_have_runs_of_their_own(uri):
    first, second = studies.create(seed=0), studies.create(seed=1)
    for study in (first, second):
        with MLflowLogger(uri) as logger:
            assert logger.sync(study) == 0
            study.optimize(studies.objective, n_trials=2, callbacks=[logger])
    parents = [run for run in runs(uri) if run.data.tags.get("nasrec.kind") == "study"]
    assert len(parents) == 2
    with MLflowLogger(uri) as logger:  # and each is found again
        assert [logger.sync(study) for study in (first, second)] == [0, 0]


@pytest.mark.parametrize("name", ["it's", 'a "quoted" `one`', "percent % and ü"])
def test_any_study_name_is_found_again(uri, name):
    study = studies.create(name=name)
    for _ in range(2):
        with MLflowLogger(uri) as logger:
            study.optimize(studies.objective, n_trials=1, callbacks=[logger])
            assert logger.sync(study) == 0
    kinds = [run.data.tags["nasrec.kind"] for run in runs(uri, name)]
    assert sorted(kinds) == ["study", "trial", "trial"]
