"""What workers of the studies find loaded here: the libraries, and our own packages as well.

A study's own process for forks leaves Polars to each worker, since it starts threads. The one that
is left when its allocator has none removes files of queries beyond memory, and only waits.
"""

from __future__ import annotations

import gc
from importlib import import_module

from studies._preload import LIBRARIES, load_without_threads

STUDIES = ("ablation", "averaging", "compare_samplers", "curves", "worth")

load_without_threads(("pytest", *LIBRARIES, "mlflow"))
for name in STUDIES:
    import_module(f"studies.{name}")
gc.freeze()
