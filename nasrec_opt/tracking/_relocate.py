"""Artifacts of an MLflow store in SQLite that was copied or moved together with them.

MLflow writes the absolute address of its artifacts into each experiment and each run. A store that
was copied or moved would read from, and write into, the original folder.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nasrec_opt._foreign.mlflow import locations, move_location
from nasrec_opt.errors import StudyError
from nasrec_opt.tracking._record import KIND_TAG

BUSY_S = 20.0  # how long to wait for another process, such as an open `mlflow ui`


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
            moved = [old for old in locations(connection, KIND_TAG) if _has_moved(old, artifacts)]
            if moved:
                connection.execute("BEGIN IMMEDIATE")
            for old in moved:
                move_location(connection, old, here)
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
