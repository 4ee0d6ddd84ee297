"""Workers end with the process that started them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from conftest import REPOSITORY, environment

SCRIPT = Path(__file__).with_name("wait_in_a_worker.py")
TIMEOUT_S = 120.0


def test_a_terminated_process_leaves_no_worker_behind(tmp_path):
    """Nothing in it handles the signal, so this is what a kill does as well."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = os.pathsep.join((str(REPOSITORY), os.environ.get("PYTHONPATH", "")))
    parent = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(tmp_path / "results.parquet"), str(pipe)],
        env=environment() | {"PYTHONPATH": path},
    )
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    left = [parent.pid]
    try:
        left.append(int(said(reader)))
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(TIMEOUT_S) == -signal.SIGTERM
        assert said(reader) == b""  # the other end is closed: the worker is no more
        left.clear()
    finally:
        os.close(reader)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        parent.wait()


def said(reader: int) -> bytes:
    """What comes next, at the latest after a while."""
    ready, _, _ = select.select([reader], [], [], TIMEOUT_S)
    assert ready, "the worker goes on without its parent"
    return os.read(reader, 100)
