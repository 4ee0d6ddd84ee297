"""New MLflow stores in SQLite without the fifty migrations that MLflow takes half a second for.

MLflow makes one store, whose tables are kept as SQL; that makes the others of the same process.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Any

from mlflow.store.db import utils
from sqlalchemy import create_engine


def copy_new_stores() -> None:
    """Let MLflow make the tables of a new SQLite store by copying, in this process."""
    own: Callable[[Any], None] = utils._initialize_tables
    if hasattr(own, "__wrapped__"):
        return
    tables = tables_of_a_new_store(own)

    @wraps(own)
    def initialize(engine: Any) -> None:
        if engine.dialect.name != "sqlite" or not create(engine.url.database, tables):
            own(engine)

    utils._initialize_tables = initialize


def tables_of_a_new_store(make: Callable[[Any], None]) -> list[str]:
    """The statements that make what MLflow makes, and the end of their transaction."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        engine = create_engine(f"sqlite:///{path}")
        make(engine)
        engine.dispose()
        with closing(sqlite3.connect(path)) as connection:
            begin, *statements = connection.iterdump()
    assert begin == "BEGIN TRANSACTION;"
    return statements


def create(path: str, tables: Sequence[str]) -> bool:
    """Whether the file was empty; it then has the tables."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # another process may be making the same store
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            return False
        for statement in tables:
            connection.execute(statement)
    return True
