"""SQLite shared by workers: one of them gets a waiting trial, whatever the moment they ask in."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState
from patience import PATIENCE_S
from sqlalchemy import event

from nasrec_opt import SQLiteStorage
from nasrec_opt.errors import StudyError


class TestContract(StorageTestCase):
    """What Optuna expects of every storage."""

    @pytest.fixture
    def storage(self, tmp_path) -> BaseStorage:
        return get_storage(SQLiteStorage(f"sqlite:///{tmp_path / 'study.db'}"))


def studies(url: str, kind: type[RDBStorage]) -> list[optuna.Study]:
    """The same study, as two processes have it."""
    return [
        optuna.create_study(study_name="one", storage=kind(url), load_if_exists=True)
        for _ in range(2)
    ]


def before_first_write(study: optuna.Study, act: Callable[[], None]) -> None:
    """Do something once, after a study's storage read a trial's state and before it changes it."""
    acted: list[bool] = []

    @event.listens_for(study._storage._backend.engine, "before_cursor_execute")
    def _(connection, cursor, statement, *_):
        if statement.startswith("UPDATE trials") and not acted:
            acted.append(True)
            act()


def race(
    ours: optuna.Study, theirs: optuna.Study, ask: Callable[[optuna.Study], object]
) -> tuple[object, object]:
    """Both ask; they begin when we have read, and we go on once they are done or have to wait."""
    found: list[object] = []
    done, waits = threading.Event(), threading.Event()

    def other() -> None:
        found.append(ask(theirs))
        done.set()

    thread = threading.Thread(target=other)
    engine = theirs._storage._backend.engine

    @event.listens_for(engine, "before_cursor_execute")
    def _(connection, cursor, statement, *_):
        if statement.startswith("BEGIN IMMEDIATE"):
            waits.set()
            done.set()  # they wait for us from here on

    def between() -> None:
        thread.start()
        assert done.wait(PATIENCE_S)

    before_first_write(ours, between)
    mine = ask(ours)
    thread.join(PATIENCE_S)
    [their] = found
    return mine, their


def claimed(study: optuna.Study) -> int | None:
    """Number of the waiting trial that a worker is given, or None."""
    trial_id = study._pop_waiting_trial_id()
    return None if trial_id is None else study._storage.get_trial(trial_id).number


def failed(study: optuna.Study) -> bool:
    """Whether a worker was the one who failed the trial that is running."""
    [running] = study._storage.get_all_trials(0 + study._study_id, deepcopy=False)
    try:
        return study._storage.set_trial_state_values(running._trial_id, TrialState.FAIL)
    except optuna.exceptions.UpdateFinishedTrialError:
        return False


@pytest.mark.parametrize(("kind", "winners"), [(RDBStorage, 2), (SQLiteStorage, 1)])
def test_a_waiting_trial_is_given_to_one_worker(tmp_path, kind, winners):
    ours, theirs = studies(f"sqlite:///{tmp_path / 'study.db'}", kind)
    ours.enqueue_trial({"x": 1.0})
    found = race(ours, theirs, claimed)
    assert sum(number == 0 for number in found) == winners  # with Optuna's own, both


@pytest.mark.parametrize(("kind", "winners"), [(RDBStorage, 2), (SQLiteStorage, 1)])
def test_a_dead_trial_is_failed_by_one_worker(tmp_path, kind, winners):
    ours, theirs = studies(f"sqlite:///{tmp_path / 'study.db'}", kind)
    ours.ask()
    assert sum(map(bool, race(ours, theirs, failed))) == winners


def test_two_workers_that_ask_at_once_both_end_their_trials(tmp_path):
    ours, theirs = studies(f"sqlite:///{tmp_path / 'study.db'}", SQLiteStorage)
    ours.enqueue_trial({"x": 0.5})
    mine, their = race(ours, theirs, lambda study: study.ask())
    for study, trial in ((ours, mine), (theirs, their)):
        study.tell(trial, trial.suggest_float("x", 0, 1))
    assert sorted((mine.number, their.number)) == [0, 1]
    assert [trial.state for trial in ours.trials] == [TrialState.COMPLETE] * 2


def test_a_pickled_storage_is_as_careful(tmp_path):
    storage = pickle.loads(pickle.dumps(SQLiteStorage(f"sqlite:///{tmp_path / 'study.db'}")))
    study = optuna.create_study(storage=storage)
    study.enqueue_trial({"x": 1.0})
    statements: list[str] = []
    event.listen(storage.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    assert claimed(study) == 0
    assert "BEGIN IMMEDIATE" in statements


def test_another_database_is_one_sentence():
    with pytest.raises(StudyError, match=r"url: expected one of SQLite, .* got postgresql://x"):
        SQLiteStorage("postgresql://x")
