"""SQLite files whose writes wait for no disk: a killed process loses nothing by it.

Optuna's own storage syncs a file several times for each parameter of a trial.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Engine, event


def wait_for_no_disk() -> None:
    """Open the SQLite files of SQLAlchemy in this process so from now on."""
    if not event.contains(Engine, "connect", _on_connect):
        event.listen(Engine, "connect", _on_connect)


def _on_connect(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF").close()
