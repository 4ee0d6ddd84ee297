"""The Optuna study of a run folder: in its `study.db`, or on a server that `storage.json` names."""

from __future__ import annotations

import sys
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import optuna
from optuna.exceptions import (
    DuplicatedStudyError,
    ExperimentalWarning,
    StorageInternalError,
)
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from nasrec_opt._addresses import knock, resolved
from nasrec_opt._files import read_json, write_json
from nasrec_opt._foreign.optuna_rdb import run_storage
from nasrec_opt._sqlite import sqlite_url
from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.objective import describe_study
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.space import SearchSpace

RUN = "run"  # user attribute of a study on a server: the run folder that it belongs to
PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
URL = "[storage]: url"  # of the option, for messages


def settle_storage(folder: RunFolder, url: str | None, name: str) -> None:
    """Write down where the searches of a folder are, and refuse what cannot be opened.

    Args:
        folder: The run folder.
        url: Address of a server as the study file has it, or None for the folder itself.
        name: Of the study.

    Raises:
        MissingExtraError: The driver of the database is not installed.
        StudyError: The server does not answer, the searches of the folder are elsewhere, or the
            study there belongs to another run folder.
    """
    known, run = _record(folder)
    if known is None and url is not None and folder.study_db.exists():
        raise StudyError(
            f"{URL}: expected none, since the searches of this folder are in {folder.study_db}, "
            f"got {url}; give another --out"
        )
    if known is not None and (url is None or _without_user(known) != _without_user(url)):
        raise StudyError(
            f"{URL}: expected {known}, where the searches of this folder are, got {url or 'none'}; "
            "give another --out"
        )
    if url is None:
        return
    run = run or uuid.uuid4().hex
    with as_study_error(url):
        storage = _opened(url)
        for study in storage.get_all_studies():
            if study.study_name == name:
                _require_own(url, name, study.user_attrs.get(RUN), run)
        _close(storage)
    if known != url:
        write_json(folder.storage_record, {"url": url, "run": run})


def require_storage(url: str) -> None:
    """Refuse a storage that cannot be opened, before anything is written.

    Args:
        url: Address of a server, as the study file has it.

    Raises:
        MissingExtraError: The driver of the database is not installed.
        StudyError: The server does not answer.
    """
    with as_study_error(url):
        storage = _opened(url)
        storage.get_all_studies()
        _close(storage)


@contextmanager
def kept_storage(folder: RunFolder) -> Iterator[None]:
    """Say in one sentence that a server was lost during the block.

    Args:
        folder: The run folder, whose own file is not lost.

    Yields:
        Nothing.

    Raises:
        StudyError: The server was lost.
    """
    try:
        yield
    except _lost() as error:
        url, _ = _record(folder)
        if url is None:
            raise
        raise StudyError(
            f"{url}: the storage was lost: {_reason(error)}; run the same command again to continue"
        ) from error


def home_of(folder: RunFolder) -> str:
    """Where the searches of a folder are, for messages."""
    return _record(folder)[0] or str(folder.study_db)


def open_study(
    folder: RunFolder,
    name: str,
    *,
    space: SearchSpace,
    metric_names: Sequence[str],
    sampler: optuna.samplers.BaseSampler,
    pruner: optuna.pruners.BasePruner | None = None,
) -> optuna.Study:
    """Create or load a study.

    Args:
        folder: The run folder.
        name: Name of the study.
        space: What is searched; recorded in the study, and compared when it is loaded.
        metric_names: The objectives, all minimised.
        sampler: Proposes trials.
        pruner: Stops trials on the way; None means that no trial is pruned.

    Raises:
        StudyError: There is no Optuna storage, or the study in it belongs to another run folder,
            another search space or other objectives.
    """
    home, run = home_of(folder), _record(folder)[1]
    pruner = pruner or optuna.pruners.NopPruner()
    with as_study_error(home):
        storage = writable_storage(folder)
        try:
            study = optuna.create_study(
                study_name=name,
                storage=storage,
                sampler=sampler,
                pruner=pruner,
                directions=["minimize"] * len(metric_names),
                load_if_exists=run is None,
            )
        except DuplicatedStudyError:
            study = optuna.load_study(
                study_name=name, storage=storage, sampler=sampler, pruner=pruner
            )
        if run is not None and not _require_own(home, name, study.user_attrs.get(RUN), run):
            study.set_user_attr(RUN, run)
    describe_study(study, space, metric_names, f"{home}: ")
    return study


def writable_storage(folder: RunFolder) -> BaseStorage:
    """The storage of a folder for the one process that works in it.

    Raises:
        MissingExtraError: The driver of the database is not installed.
        StudyError: The server does not answer.
    """
    url, _ = _record(folder)
    return run_storage(sqlite_url(folder.study_db)) if url is None else _opened(url)


@contextmanager
def storage_to_read(folder: RunFolder) -> Iterator[BaseStorage]:
    """Open the storage of a folder that has one; it is closed at the end of the block.

    Args:
        folder: The run folder.

    Yields:
        The storage.

    Raises:
        MissingExtraError: The driver of the database is not installed.
        StudyError: There is no Optuna storage, or its server does not answer.
    """
    url, _ = _record(folder)
    with as_study_error(home_of(folder)):
        if url is None:
            storage: BaseStorage = RDBStorage(
                sqlite_url(folder.study_db), {"connect_args": {"timeout": 60}}
            )
        else:
            storage = _opened(url)
        try:
            yield storage
        finally:
            _close(storage)


@contextmanager
def stored_study(folder: RunFolder, name: str) -> Iterator[optuna.Study]:
    """Open a study to read it.

    Args:
        folder: The run folder.
        name: Name of the study.

    Yields:
        The study; its storage is closed at the end of the block.

    Raises:
        StudyError: There is no Optuna storage, or no such study in it.
    """
    home = home_of(folder)
    if home == str(folder.study_db) and not folder.study_db.exists():  # it would be created
        raise StudyError(f"{home}: expected the study, found nothing there")
    with storage_to_read(folder) as storage:
        if name not in (study.study_name for study in storage.get_all_studies()):
            raise StudyError(f"{home}: expected the study {name!r}, found none of this name")
        yield optuna.load_study(study_name=name, storage=storage)


def is_of(folder: RunFolder, study: optuna.study._frozen.FrozenStudy) -> bool:
    """Whether a study of a storage belongs to a run folder."""
    run = _record(folder)[1]
    return "space" in study.user_attrs and (run is None or study.user_attrs.get(RUN) == run)


@contextmanager
def as_study_error(home: Path | str) -> Iterator[None]:
    """Turn errors of Optuna or the database into one sentence.

    Args:
        home: Where the storage is, for the message.

    Yields:
        Nothing.

    Raises:
        StudyError: There is no Optuna storage, or its server does not answer.
    """
    try:
        yield
    except _wrong() as error:
        raise StudyError(f"{home}: expected an Optuna storage, got: {_reason(error)}") from error


def _opened(url: str) -> BaseStorage:
    """The storage at an address."""
    whole = resolved(URL, url)
    place = urlsplit(whole)
    kind = place.scheme.partition("+")[0]
    if kind == "journal":
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        return JournalStorage(JournalFileBackend(place.path))
    port = place.port or PORTS.get(kind)
    if place.hostname and port:
        knock(place.hostname, port)
    try:
        if kind == "grpc":
            from optuna.storages import GrpcStorageProxy

            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                return GrpcStorageProxy(host=place.hostname or "", port=port or 13000)
        return RDBStorage(whole, {"pool_pre_ping": True})  # a server that was started anew
    except ImportError as error:
        if kind == "postgresql":
            raise MissingExtraError("psycopg", "postgresql") from error
        raise StudyError(f"{url}: expected a driver that is installed, got: {error}") from error


def _wrong() -> tuple[type[Exception], ...]:
    """The errors of what is no storage, or cannot be opened."""
    return (RuntimeError, OSError, *_lost())


def _lost() -> tuple[type[Exception], ...]:
    """The errors of a database, and of a proxy where gRPC is loaded."""
    grpc = sys.modules.get("grpc")
    errors: tuple[type[Exception], ...] = (SQLAlchemyError, StorageInternalError)
    return errors if grpc is None else (*errors, grpc.RpcError)


def _reason(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    details = getattr(cause, "details", None)  # of gRPC
    text = details() if callable(details) else str(getattr(cause, "orig", None) or cause)
    return str(text).splitlines()[0] if text else type(cause).__name__


def _close(storage: BaseStorage) -> None:
    if isinstance(storage, RDBStorage):
        storage.engine.dispose()
    elif isinstance(storage, optuna.storages.GrpcStorageProxy):
        storage.close()


def _require_own(home: str, name: str, found: str | None, run: str) -> bool:
    """Refuse the study of another run folder; whether the study says that it is of this one."""
    if found not in (None, run):
        raise StudyError(
            f"{home}: study {name!r} belongs to another run folder; give this study another name, "
            "or continue it in that folder"
        )
    return found == run


def _record(folder: RunFolder) -> tuple[str | None, str | None]:
    """The address that a folder has written down, and what it is called there."""
    if not folder.storage_record.exists():
        return None, None
    try:
        values = read_json(folder.storage_record)
        return str(values["url"]), str(values["run"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{folder.storage_record}: expected the address of a storage, got {error!r}"
        ) from error


def _without_user(url: str) -> str:
    place = urlsplit(url)
    return place._replace(netloc=place.netloc.rpartition("@")[2]).geturl()
