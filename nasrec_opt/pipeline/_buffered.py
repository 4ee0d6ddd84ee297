"""SQLite for one process: what a trial is given waits a moment and is written at once.

Optuna writes each parameter and each attribute in a transaction of its own, half of a trial's time
in a search with a fast oracle. Here they wait until somebody reads, the trial ends, or a second has
passed, so that a page which shows the study shows a trial that runs as well.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Container, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
)
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import OperationalError

WAIT_S = 1.0  # what a look at the study from outside may be late

Row = dict[str, Any]


class BufferedStorage(RDBStorage):
    """`RDBStorage` on a SQLite file whose running trials no other process writes to.

    A process killed within a trial loses that trial's parameters and attributes, nothing else; a
    trial that ended is written whole.
    """

    def __init__(self, url: str, engine_kwargs: dict[str, Any]) -> None:
        self._rows: dict[type[Any], dict[tuple[int, str], Row]] = {}  # by table, trial and name
        self._running: set[int] = set()  # trials begun here; others are not waited for
        self._buffer_lock = threading.RLock()
        self._timer: threading.Timer | None = None
        super().__init__(url, engine_kwargs=engine_kwargs)

    def __getstate__(self) -> dict[Any, Any]:
        self.flush()  # then no timer runs
        state: dict[Any, Any] = super().__getstate__()
        del state["_buffer_lock"]
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        self._buffer_lock = threading.RLock()
        super().__setstate__(state)

    def flush(self) -> None:
        """Write what waits, in one transaction."""
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
        # A file that is busy for long: what waits is written when the trial ends, or that fails.
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
