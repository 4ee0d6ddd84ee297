"""Optuna's relational storage on SQLite: one worker a trial, and fewer transactions.

Optuna locks the row of a trial before it changes the trial's state, which SQLite has no statement
for: two workers that ask in the same moment both read a waiting trial as free, and both are given
it (optuna/optuna#4621). Here a change of state takes the lock of the file before it reads.

Optuna also writes each parameter and each attribute in a transaction of its own, half of a trial's
time in a search with a fast oracle. `BufferedStorage`, for one process, lets them wait until
they are read, the trial ends, or a second has passed, so that a page which shows the study shows a
trial that runs as well.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import threading
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Any

from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
)
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import OperationalError

from nasrec_opt.errors import StudyError

if TYPE_CHECKING:
    from optuna import Study

models: Any
try:
    from optuna.storages._rdb import models
except ImportError:  # an Optuna whose tables stand elsewhere
    models = None

WAIT_S = 1.0  # maximum delay before other processes see a value
TIMEOUT_S = 60.0  # how long a transaction waits for those of other workers

Row = dict[str, Any]
StaleCallback = Callable[["Study", FrozenTrial], None]

_OVERRIDDEN = {  # private methods that `BufferedStorage` replaces, and their parameters
    "_set_trial_param": (
        "trial_id",
        "param_name",
        "param_value_internal",
        "distribution",
        "previous_distribution",
    ),
    "_create_new_trial": ("study_id", "template_trial"),
    "_get_trials": ("study_id", "states", "included_trial_ids", "trial_id_greater_than"),
}
_COLUMNS = {  # of the tables that it writes to, but for their own keys
    "TrialParamModel": {"trial_id", "param_name", "param_value", "distribution_json"},
    "TrialUserAttributeModel": {"trial_id", "key", "value_json"},
    "TrialSystemAttributeModel": {"trial_id", "key", "value_json"},
}


class SQLiteStorage(RDBStorage):
    """A study in a SQLite file that several workers of one machine share.

    Like Optuna's `RDBStorage`, but only one worker gets a waiting trial, and only one worker
    handles a dead one. It also uses SQLite's write-ahead log, with which a trial takes a third of
    the time. A killed process loses nothing; a power cut loses the last trials at most.

    Args:
        url: URL of the file, for example `sqlite:///study.db`.
        timeout_s: How long a worker waits for the transactions of others, in seconds.
        heartbeat_interval: Seconds between two signs of life of a running trial, or None for none;
            see `optuna.storages.RDBStorage`, as for the parameters that follow.
        grace_period: Seconds without a sign of life after which a trial is taken for dead.
        heartbeat_stale_trial_callback: Called with a study and a trial that was taken for dead.

    Raises:
        StudyError: The URL is not one of SQLite.

    Example:
        >>> import optuna
        >>> study = optuna.create_study(storage=SQLiteStorage("sqlite:///shared.db"))
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        heartbeat_interval: int | None = None,
        grace_period: int | None = None,
        heartbeat_stale_trial_callback: StaleCallback | None = None,
    ) -> None:
        if not url.startswith("sqlite"):
            raise StudyError(f"url: expected one of SQLite, such as sqlite:///study.db, got {url}")
        self._claim = threading.local()  # whether this thread changes a trial's state
        super().__init__(
            url,
            {"connect_args": {"timeout": timeout_s}, "pool_events": [(_write_ahead, "connect")]},
            heartbeat_interval=heartbeat_interval,
            grace_period=grace_period,
            heartbeat_stale_trial_callback=heartbeat_stale_trial_callback,
        )
        self._listen()

    def __getstate__(self) -> dict[Any, Any]:
        state: dict[Any, Any] = super().__getstate__()
        del state["_claim"]
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        self._claim = threading.local()
        super().__setstate__(state)
        self._listen()

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Change a trial's state, after no other worker has.

        Args:
            trial_id: Identifier of the trial.
            state: The new state.
            values: Values of the objectives, for a complete trial.

        Returns:
            False if the trial was to run and another worker has it.

        Raises:
            UpdateFinishedTrialError: The trial has ended.
        """
        self._claim.is_made = True
        try:
            return super().set_trial_state_values(trial_id, state, values)
        finally:
            self._claim.is_made = False

    def _listen(self) -> None:
        # Without an engine by this name, workers are as apart as Optuna itself keeps them.
        engine = getattr(self, "engine", None)
        if engine is not None:
            event.listen(engine, "begin", self._lock_before_reading)

    def _lock_before_reading(self, connection: Any) -> None:
        if getattr(self._claim, "is_made", False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")


class BufferedStorage(SQLiteStorage):
    """A study in a SQLite file whose running trials no other process writes to.

    A process killed during a trial loses only that trial's parameters and attributes; a finished
    trial is complete.

    Args:
        url: As in `SQLiteStorage`.
        timeout_s: As in `SQLiteStorage`.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._rows: dict[type[Any], dict[tuple[int, str], Row]] = {}  # by table, trial and name
        self._running: set[int] = set()  # trials begun here; others are not waited for
        self._buffer_lock = threading.RLock()
        self._timer: threading.Timer | None = None
        super().__init__(url, timeout_s=timeout_s)

    def __getstate__(self) -> dict[Any, Any]:
        self.flush()  # then no timer runs
        state: dict[Any, Any] = super().__getstate__()
        del state["_buffer_lock"]
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        self._buffer_lock = threading.RLock()
        super().__setstate__(state)

    def flush(self) -> None:
        """Write all waiting values in one transaction."""
        with self._buffer_lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if not self._rows:
                return
            with self.engine.begin() as connection:
                for model, rows in self._rows.items():
                    statement = insert(model)
                    if model is models.TrialParamModel:
                        statement = statement.on_conflict_do_nothing()
                    else:
                        statement = statement.on_conflict_do_update(
                            index_elements=[model.trial_id, model.key],
                            set_={"value_json": statement.excluded.value_json},
                        )
                    connection.execute(statement, list(rows.values()))
            self._rows = {}

    def _put(self, model: type[Any], trial_id: int, name: str, row: Row) -> None:
        with self._buffer_lock:
            self._rows.setdefault(model, {})[trial_id, name] = {"trial_id": trial_id} | row
            if self._timer is None:
                self._timer = threading.Timer(WAIT_S, self._flush_late)
                self._timer.daemon = True
                self._timer.start()

    def _flush_late(self) -> None:
        # A file that is busy for long: values are written when the trial ends, or that fails.
        with contextlib.suppress(OperationalError):
            self.flush()

    def _set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None,
    ) -> None:
        if previous_distribution is None or trial_id not in self._running:  # to compare with a read
            super()._set_trial_param(
                trial_id, param_name, param_value_internal, distribution, previous_distribution
            )
            return
        check_distribution_compatibility(previous_distribution, distribution)
        row = {
            "param_name": param_name,
            "param_value": param_value_internal,
            "distribution_json": distribution_to_json(distribution),
        }
        self._put(models.TrialParamModel, trial_id, param_name, row)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        if trial_id not in self._running:
            return super().set_trial_user_attr(trial_id, key, value)
        row = {"key": key, "value_json": json.dumps(value)}
        return self._put(models.TrialUserAttributeModel, trial_id, key, row)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        if trial_id not in self._running:
            return super().set_trial_system_attr(trial_id, key, value)
        row = {"key": key, "value_json": json.dumps(value)}
        return self._put(models.TrialSystemAttributeModel, trial_id, key, row)

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        trial = super()._create_new_trial(study_id, template_trial)
        if trial.state == TrialState.RUNNING:
            self._running.add(trial._trial_id)
        return trial

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        self.flush()
        is_set = super().set_trial_state_values(trial_id, state, values)
        if is_set and state == TrialState.RUNNING:
            self._running.add(trial_id)
        else:
            self._running.discard(trial_id)
        return is_set

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        self.flush()
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)

    def get_trial_param(self, trial_id: int, param_name: str) -> float:
        self.flush()
        return super().get_trial_param(trial_id, param_name)

    def get_trial_user_attrs(self, trial_id: int) -> dict[str, Any]:
        self.flush()
        return super().get_trial_user_attrs(trial_id)

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        self.flush()
        return super().get_trial_system_attrs(trial_id)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        self.flush()
        return super().get_trial(trial_id)

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        self.flush()
        return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)


def run_storage(url: str) -> RDBStorage:
    """The storage of a run that no other process writes to: buffered where Optuna allows it.

    Args:
        url: Of a SQLite file.
    """
    if can_buffer():
        storage = BufferedStorage(url)
        if hasattr(storage, "engine"):
            return storage
    return SQLiteStorage(url)


def can_buffer() -> bool:
    """Whether the installed Optuna has the methods and tables that `BufferedStorage` knows."""
    for name, expected in _OVERRIDDEN.items():
        method = getattr(RDBStorage, name, None)
        if method is None or tuple(inspect.signature(method).parameters)[1:] != expected:
            return False
    for name, columns in _COLUMNS.items():
        table = getattr(getattr(models, name, None), "__table__", None)
        if table is None or {c.name for c in table.columns if not c.primary_key} != columns:
            return False
    return True


def shared_storage(storage: str | BaseStorage | None) -> str | BaseStorage | None:
    """What `optuna.create_study` takes, but for the URL of a SQLite file: a `SQLiteStorage`."""
    if isinstance(storage, str) and storage.startswith("sqlite"):
        return SQLiteStorage(storage)
    return storage


def _write_ahead(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
