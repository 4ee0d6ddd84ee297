"""MLflow: its tables, where it remembers artifacts, and what it logs of itself.

The client needs three calls of several transactions for each run. Where the store is a SQL database
that this process reaches itself, and has the tables that are known here, the rows of many runs can
be inserted in one transaction; any other store is written to through the client.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

STORE_TABLE = "experiments"  # a SQLite file with other tables and without this is no MLflow store
ADDRESSES = (  # columns that begin with the location of an experiment
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)
COLUMNS = {  # that a run is written to, by the model of a table; runs first: others refer to them
    "SqlRun": (
        "run_uuid",
        "name",
        "source_type",
        "source_name",
        "entry_point_name",
        "user_id",
        "status",
        "start_time",
        "end_time",
        "source_version",
        "lifecycle_stage",
        "artifact_uri",
        "experiment_id",
    ),
    "SqlTag": ("run_uuid", "key", "value"),
    "SqlParam": ("run_uuid", "key", "value"),
    "SqlMetric": ("run_uuid", "key", "value", "timestamp", "step", "is_nan"),
    "SqlLatestMetric": ("run_uuid", "key", "value", "timestamp", "step", "is_nan"),
}

Rows = dict[str, list[dict[str, Any]]]  # by the model of a table


class Metric(Protocol):
    """One value of a run, with its step."""

    @property
    def name(self) -> str: ...

    @property
    def value(self) -> float: ...

    @property
    def step(self) -> int: ...


class Record(Protocol):
    """A finished run; see `nasrec_opt.tracking`."""

    @property
    def name(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def start_ms(self) -> int: ...

    @property
    def end_ms(self) -> int: ...

    @property
    def params(self) -> Mapping[str, str]: ...

    @property
    def metrics(self) -> Sequence[Metric]: ...

    @property
    def tags(self) -> Mapping[str, str]: ...


def quieten() -> None:
    """Leave out a line for each migration of a database, and a traceback for each error."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def forget_places() -> None:
    """Clear MLflow's cache of artifact locations, which for a copied store are the original's."""
    with suppress(ImportError, AttributeError):
        from mlflow.tracking._tracking_service import utils

        utils._artifact_repos_cache.clear()  # for the whole process, by nothing but the run


def sql_store(client: Any) -> Any:
    """The store of a client, where it is a SQL database that is known here; otherwise None."""
    try:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = client._tracking_client.store
        is_known = isinstance(store, SqlAlchemyStore) and run_tables() is not None
        return store if is_known and store.engine and store.sanitize_metric_value else None
    except (ImportError, AttributeError):
        return None


def run_tables() -> dict[str, Any] | None:
    """The tables that a run is written to; None where they are not those that are known here."""
    try:
        from mlflow.store.tracking.dbmodels import models

        tables = {name: getattr(models, name).__table__ for name in COLUMNS}
    except (ImportError, AttributeError):
        return None
    for name, table in tables.items():
        given = set(COLUMNS[name])
        if not given <= set(table.columns.keys()):
            return None
        if any(_must_be_given(column) and column.name not in given for column in table.columns):
            return None
    return tables


def _must_be_given(column: Any) -> bool:
    return not (column.nullable or column.default is not None or column.server_default is not None)


def rows_of(
    records: Mapping[str, Record],
    experiment_id: int,
    artifacts: str,
    sanitized: Callable[[float], tuple[bool, float]],
) -> Rows:
    """The rows that `MlflowClient` would write of some runs.

    Args:
        records: By the identifiers of the runs.
        experiment_id: Of their experiment.
        artifacts: Where it keeps artifacts, without a slash at the end.
        sanitized: How the store keeps NaN and infinities.
    """
    rows: Rows = defaultdict(list)
    for run_id, record in records.items():
        rows["SqlRun"].append(
            {
                "run_uuid": run_id,
                "name": record.name,
                "source_type": "UNKNOWN",
                "source_name": "",
                "entry_point_name": "",
                "user_id": "unknown",
                "status": record.status,
                "start_time": record.start_ms,
                "end_time": record.end_ms,
                "source_version": "",
                "lifecycle_stage": "active",
                "artifact_uri": f"{artifacts}/{run_id}/artifacts",
                "experiment_id": experiment_id,
            }
        )
        tags = {**record.tags, "mlflow.runName": record.name}
        for table, texts in (("SqlTag", tags), ("SqlParam", record.params)):
            for name, text in texts.items():
                rows[table].append({"run_uuid": run_id, "key": name, "value": text})
        latest: dict[str, dict[str, Any]] = {}
        for metric in record.metrics:
            is_nan, value = sanitized(metric.value)
            row = {
                "run_uuid": run_id,
                "key": metric.name,
                "value": value,
                "timestamp": record.end_ms,
                "step": metric.step,
                "is_nan": is_nan,
            }
            rows["SqlMetric"].append(row)
            if metric.name not in latest or metric.step >= latest[metric.name]["step"]:
                latest[metric.name] = row
        rows["SqlLatestMetric"] += latest.values()
    return rows


def locations(connection: sqlite3.Connection, tag: str) -> list[str]:
    """Where the experiments with runs that have a tag, or without runs, keep artifacts."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not {"experiments", "runs", "tags"} <= tables:
        return []
    found = connection.execute(
        "SELECT DISTINCT artifact_location FROM experiments AS e WHERE artifact_location IS NOT "
        "NULL AND (NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.experiment_id = e.experiment_id) OR "
        "EXISTS (SELECT 1 FROM runs AS r JOIN tags AS t ON t.run_uuid = r.run_uuid WHERE "
        "r.experiment_id = e.experiment_id AND t.key = ?))",
        (tag,),
    )
    return [location for (location,) in found]


def move_location(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Replace the beginning of all addresses that begin with a location."""
    old = old.rstrip("/")
    for table, column in _present(connection):
        connection.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # both names are ours
            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
        )


def _present(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Those of `ADDRESSES` that this version of MLflow has."""
    for table, column in ADDRESSES:
        if any(row[1] == column for row in connection.execute(f"PRAGMA table_info({table})")):
            yield table, column
