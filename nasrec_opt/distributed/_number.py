"""How many workers there are, unless a user says so."""

from __future__ import annotations

import math
import os
import sys


def free_workers(most: int, bytes_of_each: float) -> int:
    """As many workers as this process has cores; fewer if half of the memory does not hold them.

    Args:
        most: Maximum number.
        bytes_of_each: Memory of one that it does not share.

    Returns:
        The number; 1 if there is a GPU, which they would share.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return max(1, min(most, cores, int(memory() / 2 / bytes_of_each)))


def memory() -> float:
    """Bytes of the machine's memory; infinite if unknown."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf
