"""What workers of the studies find loaded here: the libraries, and our own packages as well.

A study's own process for forks leaves Polars to each worker, since it starts threads. The one that
is left when its allocator has none removes files of queries beyond memory, and only waits.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module

from studies._preload import LIBRARIES, load_without_threads

LOADED = (
    "pytest",
    *LIBRARIES,
    "optuna.storages._rdb.models",
    "alembic.command",
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
)
STUDIES = ("ablation", "averaging", "compare_samplers", "curves", "worth")


def load() -> None:
    load_without_threads(LOADED)
    if "mlflow.store.db.utils" in sys.modules:
        from tests.mlflow_stores import copy_new_stores

        copy_new_stores()
    from tests.optuna_stores import read_migrations_once

    read_migrations_once()
    for name in STUDIES:
        import_module(f"studies.{name}")
    gc.freeze()


load()
