"""Slow imports made once, in a process that others are then forked from.

A fork copies no thread but its own, so nothing here may start one.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module

LIBRARIES = ("torch", "sklearn.linear_model", "optuna.storages", "matplotlib.figure")
THREADED = "polars"  # starts threads; MLflow, which would load it, does without
# pyarrow comes with scikit-learn; its allocator has a thread unless it is told not to.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}


def load_without_threads(names: Iterable[str]) -> None:
    """Import modules in a process that has loaded nothing yet; one that is missing is left out.

    Args:
        names: Modules that start no thread.
    """
    os.environ |= ENVIRONMENT
    gc.disable()  # all of it stays
    sys.modules[THREADED] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        for name in names:
            with suppress(ImportError):  # an extra that is not installed
                import_module(name)
    finally:
        del sys.modules[THREADED]
        gc.enable()
    gc.freeze()  # or each process would write to, and so copy, all of it when it ends
