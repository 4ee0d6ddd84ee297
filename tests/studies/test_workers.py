"""Workers end with the process that started them, and are all alike."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from conftest import REPOSITORY, environment
from look_around import look
from patience import PATIENCE_S

from nasrec_opt.pipeline import SilentReporter
from studies._ledger import Ledger
from studies._workers import run_tasks

SCRIPT = Path(__file__).with_name("wait_in_a_worker.py")


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
        assert parent.wait(PATIENCE_S) == -signal.SIGTERM
        assert said(reader) == b""  # the other end is closed: the worker is no more
        left.clear()
    finally:
        os.close(reader)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        parent.wait()


def said(reader: int) -> bytes:
    """What comes next, at the latest after a while."""
    ready, _, _ = select.select([reader], [], [], PATIENCE_S)
    assert ready, "the worker goes on without its parent"
    return os.read(reader, 100)


def looks(folder: Path, count: int, **options) -> pl.DataFrame:
    tasks = [{"number": number} for number in range(count)]
    ledger = Ledger(folder / "looks.parquet", ["number"])
    run_tasks("look", look, tasks, ledger, SilentReporter(), **options)
    return pl.read_parquet(folder / "looks.parquet")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")
def test_workers_are_forked_from_a_process_of_one_thread(tmp_path, monkeypatch):
    """It has the libraries loaded; what has changed since then, a worker still sees."""
    first = looks(tmp_path, 3, workers=2)
    (tmp_path / "looks.parquet").unlink()
    monkeypatch.setenv("A_VARIABLE", "of now")
    second = looks(tmp_path, 3, workers=1)
    assert first["parent"].unique().to_list() == second["parent"].unique().to_list()
    assert first["parent"][0] != os.getpid()
    assert set(first["threads_of_parent"]) == set(second["threads_of_parent"]) == {1}
    assert set(first["variable"]) == {""}
    assert set(second["variable"]) == {"of now"}
    # The state that numbers are drawn from is not that of the process they were forked from.
    assert len({*first["drawn"], *second["drawn"]}) == 6
    assert set(first["threads"]) == {1}


def test_a_fresh_worker_does_one_task_and_loads_what_it_needs_itself(tmp_path):
    found = looks(tmp_path, 2, workers=1, is_fresh=True)
    assert found["pid"].n_unique() == 2
    assert set(found["parent"]) == {os.getpid()}
    assert set(found["threads"]) == {1}
