"""The storage of a run: Optuna's contract, fewer transactions, and a view for those outside."""

from __future__ import annotations

import time

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.testing.pytest_storages import StorageTestCase
from patience import PATIENCE_S
from sqlalchemy import event
from tracking import studies

from nasrec_opt._foreign.optuna_rdb import BufferedStorage
from nasrec_opt._sqlite import sqlite_url


class TestContract(StorageTestCase):
    """What Optuna expects of every storage."""

    @pytest.fixture
    def storage(self, tmp_path) -> BaseStorage:
        return get_storage(BufferedStorage(sqlite_url(tmp_path / "study.db")))


def study_in(storage: BaseStorage) -> optuna.Study:
    return optuna.create_study(
        study_name="toy", storage=storage, directions=["minimize"] * 3, load_if_exists=True
    )


def test_a_trial_takes_a_few_transactions(tmp_path):
    commits = {}
    for cls in (RDBStorage, BufferedStorage):
        storage = cls(sqlite_url(tmp_path / f"{cls.__name__}.db"))
        study = study_in(storage)
        study.optimize(studies.objective, n_trials=1)  # the first looks for older parameters
        counted = []
        event.listen(storage.engine, "commit", counted.append)
        study.optimize(studies.objective, n_trials=1)
        commits[cls] = len(counted)
        writes = len(study.trials[1].params) + len(study.trials[1].user_attrs)
    assert commits[BufferedStorage] <= commits[RDBStorage] - writes + 2


def test_those_outside_see_a_trial_that_runs(tmp_path):
    study = study_in(BufferedStorage(sqlite_url(tmp_path / "study.db")))
    study.optimize(studies.objective, n_trials=1)
    running = study.ask()
    studies.SPACE.suggest(running)
    running.set_user_attr("seen", True)
    outside = study_in(RDBStorage(sqlite_url(tmp_path / "study.db")))
    ends = time.monotonic() + PATIENCE_S
    while not outside.trials[1].user_attrs and time.monotonic() < ends:
        pass
    assert outside.trials[1].params == running.params
    assert outside.trials[1].user_attrs == {"seen": True}


def test_a_file_that_is_busy_for_long_loses_nothing(tmp_path):
    storage = BufferedStorage(sqlite_url(tmp_path / "study.db"), timeout_s=0.1)
    study = study_in(storage)
    trial = study.ask()
    trial.set_user_attr("kept", 1)
    with storage.engine.connect() as other:
        other.exec_driver_sql("BEGIN EXCLUSIVE")
        storage._flush_late()
    study.tell(trial, [1.0, 2.0, 3.0])
    assert study.trials[0].user_attrs == {"kept": 1}
