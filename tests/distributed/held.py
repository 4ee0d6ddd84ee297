"""A task that waits; a module of its own, since a new process of Ray loads it in an instant."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any


def hold(folder: Path, note: Any) -> str:
    """Say that a task has begun, and wait until it may end; the node that did it."""
    import ray

    node = str(ray.get_runtime_context().get_node_id())
    (folder / f"{os.getpid()} {node}").touch()
    while not (folder / "go").exists():
        note("waits")
        time.sleep(0.05)
    return node
