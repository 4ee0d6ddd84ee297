"""The Optuna study of a run folder: opened and checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import DatabaseError

from nasrec_opt._foreign.optuna_rdb import run_storage
from nasrec_opt._sqlite import sqlite_url
from nasrec_opt.errors import StudyError
from nasrec_opt.objective import describe_study
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
        study = optuna.create_study(
            study_name=name,
            storage=run_storage(sqlite_url(path)),
            sampler=sampler,
            pruner=pruner or optuna.pruners.NopPruner(),
            directions=["minimize"] * len(metric_names),
            load_if_exists=True,
        )
    describe_study(study, space, metric_names, f"{path}: ")
    return study


@contextmanager
def stored_study(path: Path, name: str) -> Iterator[optuna.Study]:
    """Open a study to read it.

    Args:
        path: The SQLite file.
        name: Name of the study in it.

    Yields:
        The study; its file is closed at the end of the block.

    Raises:
        StudyError: The file is missing or no Optuna storage, or has no such study.
    """
    if not path.exists():  # SQLAlchemy would create it
        raise StudyError(f"{path}: expected the study, found nothing there")
    with as_study_error(path):
        storage = RDBStorage(sqlite_url(path), {"connect_args": {"timeout": 60}})
        try:
            if name not in (study.study_name for study in storage.get_all_studies()):
                raise StudyError(f"{path}: expected the study {name!r}, found none of this name")
            yield optuna.load_study(study_name=name, storage=storage)
        finally:
            storage.engine.dispose()


@contextmanager
def as_study_error(path: Path) -> Iterator[None]:
    """Turn errors of Optuna or the database about a file into one sentence.

    Raises:
        StudyError: The file is no Optuna storage.
    """
    try:
        yield
    except (DatabaseError, StorageInternalError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        reason = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        raise StudyError(f"{path}: expected an Optuna storage, got: {reason}") from error
