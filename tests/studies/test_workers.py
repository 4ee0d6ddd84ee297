"""Workers end with the process that started them, and are all alike."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import polars as pl
import pytest
from look_around import look
from patience import PATIENCE_S

from nasrec_opt.pipeline import SilentReporter
from studies._ledger import Ledger
from studies._workers import run_tasks


@pytest.fixture(scope="module", autouse=True)
def workers_are_forked() -> Iterator[None]:
    """From the process that a study has, not from that of the other tests."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def test_a_terminated_process_leaves_no_worker_behind(start_code, tmp_path):
    """Nothing in it handles the signal, so this is what a kill does as well."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    code = "from tests.studies.wait_in_a_worker import main; main()"
    parent = start_code(code, tmp_path / "results.parquet", pipe)
    try:
        worker = int(said(reader))
    finally:
        ended = parent.stop(signal.SIGTERM)
    try:
        assert ended.returncode == -signal.SIGTERM
        assert said(reader) == b""  # the other end is closed: the worker is no more
    except BaseException:
        os.kill(worker, signal.SIGKILL)
        raise
    finally:
        os.close(reader)


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
