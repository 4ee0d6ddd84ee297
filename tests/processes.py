"""Whether other processes are gone."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from patience import PATIENCE_S


def wait_until_gone(pids: Iterable[int]) -> bool:
    """Wait for the end of processes; False if one does not end."""
    left = set(pids)
    deadline = time.monotonic() + PATIENCE_S
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if not is_gone(pid)}
        time.sleep(0.02)
    return not left


def is_gone(pid: int) -> bool:
    """Whether a process has ended, also if nobody has asked how."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return True
    return state == "Z"
