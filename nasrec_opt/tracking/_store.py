"""The MLflow store: opened quietly, checked before MLflow writes into it, fast on SQLite."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nasrec_opt._foreign.mlflow import STORE_TABLE, forget_places, quieten, sql_store
from nasrec_opt._sqlite import sqlite_path
from nasrec_opt.errors import MissingExtraError, NasrecError, StudyError
from nasrec_opt.tracking._names import encode_title
from nasrec_opt.tracking._record import (
    IDENTITY_TAGS,
    INCOMPLETE_TAG,
    PARENT_TAG,
    TRIAL_TAG,
    RunRecord,
    one_line,
)
from nasrec_opt.tracking._relocate import came_along, local_path, relocate
from nasrec_opt.tracking._values import MAX_TAG, shortened, storable
from nasrec_opt.tracking._view import VIEW_TAG, view_state
from nasrec_opt.tracking._writer import ClientWriter, TransactionWriter

logger = logging.getLogger(__name__)

EXPERIMENT_KIND_TAG = "mlflow.experimentKind"
EXPERIMENT_KIND = "custom_model_development"  # runs, not traces of agents
BUSY_MS = 20_000  # how long a writer waits for another process
KNOCK_S = 5.0  # how long a tracking server may take to answer at all


class Store:
    """One experiment of an MLflow store.

    Args:
        tracking_uri: URI of the store, for example `sqlite:///mlflow.db`.
        experiment: Name of the experiment; it is created if it is missing.
        artifact_location: URI for the artifacts of an experiment that is created.

    Raises:
        MissingExtraError: MLflow is not installed.
        StudyError: The store cannot be opened, is not an MLflow store, or its experiment is
            deleted.
    """

    def __init__(
        self, tracking_uri: str, experiment: str, artifact_location: str | None = None
    ) -> None:
        require_mlflow()
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        self.uri = tracking_uri
        path = sqlite_path(tracking_uri)
        try:
            if path is not None:
                _check_sqlite(path)
            require_reachable(tracking_uri)
            forget_places()
            self.client = MlflowClient(tracking_uri)
            if artifact_location is None and path is not None:
                # MLflow's default is a folder in the directory where the process started.
                artifact_location = (path.parent / "mlartifacts").resolve().as_uri()
            found = self.client.get_experiment_by_name(encode_title(experiment))
            here = local_path(artifact_location)
            if found and path and here and came_along(found.artifact_location, here):
                relocate(path, here)
                found = self.client.get_experiment_by_name(encode_title(experiment))
            if found is None:
                found = _created(self.client, encode_title(experiment), artifact_location)
        except (MlflowException, OSError, sqlite3.Error, ImportError) as error:
            raise StudyError(
                f"{tracking_uri}: expected an MLflow store, got: {one_line(error)}"
            ) from error
        if found.lifecycle_stage != "active":
            raise StudyError(
                f"{tracking_uri}: expected the experiment {experiment!r}, got a deleted one; "
                "restore it in MLflow or name another"
            )
        self.experiment_id = found.experiment_id
        kind = found.tags.get(EXPERIMENT_KIND_TAG, "")
        if kind in ("", "empty", "no_inferred_type") or kind.endswith("_inferred"):
            # A person's choice stays.
            self.client.set_experiment_tag(
                found.experiment_id, EXPERIMENT_KIND_TAG, EXPERIMENT_KIND
            )
        if found.tags.get(VIEW_TAG) != view_state():
            self.client.set_experiment_tag(found.experiment_id, VIEW_TAG, view_state())
        self._has_said = False
        self.through_client = ClientWriter(self.client, self.experiment_id)
        self.writer = self._fast_writer(found) or self.through_client

    def runs(self, filter_string: str = "", *, with_deleted: bool = False) -> list[Any]:
        """List all runs of the experiment that match, newest first.

        Args:
            filter_string: A filter in MLflow's syntax; empty for all runs.
            with_deleted: Whether deleted runs are listed too.

        Returns:
            The runs, as `MlflowClient.search_runs` gives them.
        """
        from mlflow.entities import ViewType

        view = ViewType.ALL if with_deleted else ViewType.ACTIVE_ONLY
        found: list[Any] = []
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id], filter_string, view, max_results=1000, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found

    def write(self, records: Sequence[RunRecord]) -> None:
        """Create runs with everything about them.

        Args:
            records: The runs.

        Raises:
            OSError: The store is away.
        """
        require_reachable(self.uri)
        if not records:
            return
        try:
            self.writer.write(records)
        except Exception as error:  # the boundary to MLflow, which raises what its store raises
            if is_away(error):
                raise
            self.write_again(records)

    def write_again(self, records: Sequence[RunRecord]) -> None:
        """Create or complete runs that an earlier attempt may have written in part.

        A run that the store refuses is written with as much of it as the store accepts.

        Args:
            records: The runs.

        Raises:
            OSError: The store is away.
        """
        require_reachable(self.uri)
        for record in records:
            refused: Exception | None = None
            for less in _ever_less(record):
                try:
                    self._write_or_complete(less if refused is None else _marked(less, refused))
                    break
                except Exception as error:  # the boundary to MLflow
                    if is_away(error):
                        raise
                    refused = refused or error
            else:
                assert refused is not None
                raise refused
            if refused is not None:
                self._say_once(record, refused)

    def _write_or_complete(self, record: RunRecord) -> None:
        parent, number = record.tags[PARENT_TAG], record.tags[TRIAL_TAG]
        found = self.runs(f"tags.`{PARENT_TAG}` = '{parent}' and tags.`{TRIAL_TAG}` = '{number}'")
        if found:
            self.through_client.complete(found[0].info.run_id, record)
        else:
            self.writer.write([record])

    def _say_once(self, record: RunRecord, error: Exception) -> None:
        log = logger.debug if self._has_said else logger.warning
        self._has_said = True
        log("%s: %s is not logged in full: %s", self.uri, record.name, one_line(error))

    def _fast_writer(self, experiment: Any) -> TransactionWriter | None:
        """A writer that inserts in one transaction, if the store is a known SQL database."""
        store = sql_store(self.client)
        if store is None:
            return None  # a tracking server, or an MLflow that is built otherwise
        from sqlalchemy import event

        if sqlite_path(self.uri) and not event.contains(store.engine, "connect", _on_connect):
            event.listen(store.engine, "connect", _on_connect)
            store.engine.dispose()  # connections from before the listener
        return TransactionWriter(store, experiment, self.through_client)


def _created(client: Any, name: str, artifact_location: str | None) -> Any:
    """A new experiment, or the one of this name that somebody else has just made."""
    from mlflow.exceptions import MlflowException

    try:
        made = client.create_experiment(name, artifact_location=artifact_location)
        return client.get_experiment(made)
    except MlflowException:
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found


def _ever_less(record: RunRecord) -> Iterator[RunRecord]:
    """A record, and then smaller and smaller versions of it."""
    yield record
    yield replace(record, files={})
    yield replace(record, files={}, params={})
    yield replace(record, files={}, metrics=())
    tags = {name: record.tags[name] for name in IDENTITY_TAGS if name in record.tags}
    yield replace(record, files={}, params={}, metrics=(), tags=tags)


def _marked(record: RunRecord, error: Exception) -> RunRecord:
    reason = shortened(storable(one_line(error)), MAX_TAG)
    return replace(record, tags={**record.tags, INCOMPLETE_TAG: reason})


def require_mlflow() -> None:
    """Import MLflow quietly.

    Raises:
        MissingExtraError: It is not installed.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import mlflow.tracking  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("MLflow", "mlflow") from error
    quieten()


def require_reachable(uri: str) -> None:
    """Check that a tracking server answers; MLflow would retry for minutes.

    Raises:
        OSError: It does not answer.
    """
    if not uri.startswith(("http://", "https://")):
        return
    import requests

    try:
        requests.get(uri, timeout=KNOCK_S, stream=True).close()
    except requests.exceptions.SSLError:
        pass  # the server is there: MLflow has settings of its own for certificates
    except (requests.ConnectionError, requests.Timeout) as error:
        raise ConnectionError("the tracking server does not answer") from error
    except requests.RequestException:
        pass  # an answer that is not a page, or an invalid address: MLflow reports it


def require_server(uri: str) -> None:
    """Refuse a tracking server that does not answer, before hours of work.

    Args:
        uri: Tracking URI; only that of a server is checked.

    Raises:
        StudyError: The server does not answer.
    """
    try:
        require_reachable(uri)
    except OSError as error:
        raise StudyError(f"{uri}: expected an MLflow store, got: {one_line(error)}") from error


def is_away(error: BaseException) -> bool:
    """Whether an error, or its cause, is a server that could not be reached."""
    import requests

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, requests.exceptions.SSLError):
            return False
        if isinstance(
            cause,
            (
                ConnectionError,
                TimeoutError,
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.RetryError,
            ),
        ):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


@contextmanager
def as_study_error(where: str) -> Iterator[None]:
    """Turn an error of MLflow or its database into one sentence.

    Args:
        where: What the sentence begins with, such as the URI of the store.

    Yields:
        Nothing; the block runs inside.

    Raises:
        StudyError: The block raised an error that is not one of ours.
    """
    try:
        yield
    except NasrecError:
        raise
    except Exception as error:  # the boundary to MLflow, which raises what its store raises
        raise StudyError(f"{where}: could not be logged: {one_line(error)}") from error


def _check_sqlite(path: Path) -> None:
    """Refuse other databases, before MLflow adds its tables to them or retries for minutes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=BUSY_MS / 1000)) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if names and STORE_TABLE not in names:
            raise OSError(f"another SQLite database, with the table {min(names)}")
        # Readers and a writer side by side; kept in the file. A file system that cannot answers
        # with the mode that it keeps.
        connection.execute("PRAGMA journal_mode=WAL")


def _on_connect(connection: Any, _record: Any) -> None:
    # With WAL, a killed process loses nothing; a power cut the last runs, which sync writes again.
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    cursor.close()
