"""Optuna's SQL storages without reading its dozen migrations for each of them.

Optuna reads them to know the newest version: when a storage is made, and when it is opened.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from optuna.storages._rdb.storage import _VersionManager


def read_migrations_once() -> None:
    """Let the storages of this process share what one of them has read."""
    own = _VersionManager._create_alembic_script
    if hasattr(own, "__wrapped__"):
        return
    read: list[Any] = []

    @wraps(own)
    def create(manager: _VersionManager) -> Any:
        if not read:
            read.append(own(manager))
        return read[0]

    _VersionManager._create_alembic_script = create  # type: ignore[method-assign]
