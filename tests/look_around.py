"""What a worker finds about itself: a task of `run_tasks`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch


def look(task: dict[str, Any]) -> dict[str, Any]:
    parent = Path(f"/proc/{os.getppid()}/task")
    return {
        "number": task["number"],
        "drawn": int(np.random.randint(2**31)),  # noqa: NPY002 - the state of the process
        "threads": torch.get_num_threads(),
        "threads_of_parent": len(list(parent.iterdir())) if parent.exists() else 1,
        "pid": os.getpid(),
        "parent": os.getppid(),
        "variable": os.environ.get("A_VARIABLE", ""),
    }
