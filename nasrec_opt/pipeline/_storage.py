"""The Optuna study of a run folder: opened, checked, and put right after a kill."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError

from nasrec_opt._sqlite import sqlite_url
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._buffered import BufferedStorage
from nasrec_opt.pipeline._folder import plain
from nasrec_opt.space import SearchSpace


def open_study(
    path: Path,
    name: str,
    *,
    space: SearchSpace,
    metric_names: Sequence[str],
    sampler: optuna.samplers.BaseSampler,
    pruner: optuna.pruners.BasePruner | None = None,
) -> optuna.Study:
    """Create or load a study.

    Args:
        path: The SQLite file.
        name: Name of the study in it.
        space: What is searched; recorded in the study, and compared when it is loaded.
        metric_names: The objectives, all minimised.
        sampler: Proposes trials.
        pruner: Stops trials on the way; None means that no trial is pruned.

    Raises:
        StudyError: The file is no Optuna storage, or the study in it belongs to another search
            space or other objectives.
    """
    with as_study_error(path):
        storage = BufferedStorage(sqlite_url(path), {"connect_args": {"timeout": 60}})
        write_ahead(storage)
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            sampler=sampler,
            pruner=pruner or optuna.pruners.NopPruner(),
            directions=["minimize"] * len(metric_names),
            load_if_exists=True,
        )
    _check(study, path, space, list(metric_names))
    return study


@contextmanager
def as_study_error(path: Path) -> Iterator[None]:
    """Turn what Optuna or the database says of a file into one sentence.

    Raises:
        StudyError: The file is no Optuna storage.
    """
    try:
        yield
    except (DatabaseError, StorageInternalError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        reason = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        raise StudyError(f"{path}: expected an Optuna storage, got: {reason}") from error


def requeue_interrupted(study: optuna.Study) -> int:
    """Give trials that a killed process left running back to the queue, under their own numbers.

    Only for a study that no other process works on. A sampler that draws from (seed, trial number)
    then proposes what it proposed before, so the study ends as if nothing had happened.

    Returns:
        Number of trials given back.
    """
    storage = study._storage  # the public API can fail a trial, not restart it
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in running:
        storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
    return len(running)


def write_ahead(storage: RDBStorage) -> None:
    """Take SQLite's write-ahead log, which costs a third of the time of its defaults.

    A killed process loses nothing with it; a power cut the last trials at most.
    """

    def on_connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    event.listen(storage.engine, "connect", on_connect)
    storage.engine.dispose()  # connections from before the listener


def _check(study: optuna.Study, path: Path, space: SearchSpace, metric_names: list[str]) -> None:
    """Write down whose study this is, or compare with what is written."""
    recorded = study.user_attrs.get("space")
    if recorded is None:
        if study.get_trials(deepcopy=False):
            raise StudyError(
                f"{path}: study {study.study_name!r} was not made by nasrec-opt: expected the "
                "attribute 'space', got none"
            )
        with warnings.catch_warnings():
            # Experimental since Optuna 3.2, and what the dashboard reads.
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(metric_names)
        study.set_user_attr("space", space.to_dict())  # last: a study that has it is complete
        return
    expected = plain(space.to_dict())  # tuples as lists, the way the storage gives them back
    if recorded != expected:
        differing = sorted(key for key, value in expected.items() if recorded.get(key) != value)
        key = differing[0] if differing else "name"
        raise StudyError(
            f"{path}: study {study.study_name!r} belongs to another search space: expected {key} = "
            f"{expected.get(key)}, got {recorded.get(key)}"
        )
    if study.metric_names != metric_names:
        raise StudyError(
            f"{path}: study {study.study_name!r} has other objectives: expected "
            f"{', '.join(metric_names)}, got {', '.join(study.metric_names or [])}"
        )
