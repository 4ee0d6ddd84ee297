"""Artifacts of an MLflow store in SQLite that was copied or moved together with them.

MLflow writes the absolute address of its artifacts into each experiment and each run. A store that
was copied or moved would read from, and write into, the original folder.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nasrec_opt.errors import StudyError
from nasrec_opt.tracking._record import KIND_TAG

BUSY_S = 20.0  # how long to wait for another process, such as an open `mlflow ui`

ADDRESSES = (  # columns that begin with the location of an experiment
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)


def relocate(database: Path, artifacts: Path) -> bool:
    """Point a store at the artifacts beside it, if it names those of another place.

    Only experiments of this library are changed, and only if their artifacts were in a folder of
    the same name on a local disk. All addresses change in one transaction.

    Args:
        database: The SQLite file; one that is missing, or holds no MLflow store, is left alone.
        artifacts: The folder of artifacts that belongs to it.

    Returns:
        Whether an address was changed.

    Raises:
        StudyError: The file cannot be read, or has to be changed and cannot be written.
    """
    if not database.is_file() or not database.stat().st_size:
        return False
    here = artifacts.resolve().as_uri()
    try:
        with closing(sqlite3.connect(database, timeout=BUSY_S)) as connection, connection:
            moved = [old for old in _locations(connection) if _has_moved(old, artifacts)]
            if moved:
                connection.execute("BEGIN IMMEDIATE")
            for old in moved:
                for table, column in _present(connection):
                    _replace(connection, table, column, old, here)
            return bool(moved)
    except sqlite3.Error as error:
        raise StudyError(f"{database}: expected an MLflow store, got: {error}") from error


def _has_moved(location: str, artifacts: Path) -> bool:
    """Whether a location is a folder of the same name in another place of a local disk."""
    then = local_path(location)
    here = artifacts.resolve()
    return then is not None and then.name == here.name and then != here


def came_along(location: str | None, artifacts: Path) -> bool:
    """Whether artifacts are beside their store, and not where the store says they are."""
    then = local_path(location)
    return then is not None and (artifacts.exists() or not then.exists())


def local_path(location: str | None) -> Path | None:
    """The folder of a location on a local disk, or None for another kind of store."""
    parts = urlsplit(location or "s3:")
    if not parts.scheme:
        return Path(str(location))
    return Path(unquote(parts.path)) if parts.scheme == "file" and not parts.netloc else None


def _locations(connection: sqlite3.Connection) -> list[str]:
    """Artifact locations of this library's experiments: those with its runs, or without runs."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not {"experiments", "runs", "tags"} <= tables:
        return []
    found = connection.execute(
        "SELECT DISTINCT artifact_location FROM experiments AS e WHERE artifact_location IS NOT "
        "NULL AND (NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.experiment_id = e.experiment_id) OR "
        "EXISTS (SELECT 1 FROM runs AS r JOIN tags AS t ON t.run_uuid = r.run_uuid WHERE "
        "r.experiment_id = e.experiment_id AND t.key = ?))",
        (KIND_TAG,),
    )
    return [location for (location,) in found]


def _present(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Those of `ADDRESSES` that this version of MLflow has."""
    for table, column in ADDRESSES:
        if any(row[1] == column for row in connection.execute(f"PRAGMA table_info({table})")):
            yield table, column


def _replace(connection: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    old = old.rstrip("/")
    connection.execute(
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # both names are ours
        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
    )
