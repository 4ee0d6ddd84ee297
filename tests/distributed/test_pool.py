"""Processes that do tasks: every result comes once, whoever dies, and nobody is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from processes import is_gone, wait_until_gone

from nasrec_opt.distributed import Here, NotSharedError, WorkerDiedError, WorkerPool, executor_of

linux = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")


class CustomError(Exception):
    """Cannot be unpickled: its arguments are not those of `__init__`."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def work(task, note):
    """Do one of several things."""
    what, value = task
    if what == "pid":
        return os.getpid()
    if what == "raise":
        raise value
    if what == "custom":
        raise CustomError(1, 2)
    if what == "unpicklable":
        return lambda: value
    if what == "note":
        note("on the way", value)
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "die once" and not value.exists():
        value.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "sleep":
        time.sleep(value)
    if what == "threads":
        import torch

        return torch.get_num_threads()
    return value


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(work, 2) as pool:
        yield pool


def test_workers_write_nothing_to_the_console_of_a_run(capfd):
    with WorkerPool(work, 2) as pool:
        assert [pool.submit(("value", n)).result() for n in range(2)] == [0, 1]
    assert capfd.readouterr() == ("", "")


def test_results_errors_and_notes_come_back(pool, tmp_path):
    noted = []
    results = [pool.submit(("give", number)) for number in range(20)]
    raised = [pool.submit(("raise", ValueError("wrong"))), pool.submit(("raise", OSError(2, "no")))]
    note = pool.submit(("note", 3), lambda *values: noted.append(values))
    assert [future.result() for future in results] == list(range(20))
    assert note.result() == 3
    assert noted == [("on the way", 3)]
    assert repr(raised[0].exception()) == "ValueError('wrong')"
    assert isinstance(raised[1].exception(), FileNotFoundError)  # not taken for a worker that died
    assert "CustomError: 1 and 2" in str(pool.submit(("custom", None)).exception())
    assert pool.submit(("unpicklable", 1)).exception() is not None
    assert pool.submit(("give", 1)).result() == 1
    assert pool.submit(("threads", None)).result() == 1


@linux
def test_the_task_of_a_killed_worker_is_done_by_another(pool, tmp_path):
    before = set(pool.pids)
    others = [pool.submit(("give", number)) for number in range(10)]
    assert pool.submit(("die once", tmp_path / "died")).result() == tmp_path / "died"
    assert [future.result() for future in others] == list(range(10))
    assert len(pool.pids) == 2
    [dead] = before - set(pool.pids)
    assert is_gone(dead)


@linux
def test_an_idle_worker_that_was_killed_is_replaced(pool):
    for pid in pool.pids:
        os.kill(pid, signal.SIGKILL)
    assert wait_until_gone(pool.pids)
    assert [pool.submit(("give", number)).result() for number in range(4)] == list(range(4))


def test_a_task_that_kills_its_workers_fails_alone(pool):
    deadly, harmless = pool.submit(("die", None)), pool.submit(("give", 1))
    with pytest.raises(WorkerDiedError, match="the 3 processes asked for it died"):
        deadly.result()
    assert harmless.result() == 1


@linux
def test_the_end_of_a_pool_is_the_end_of_its_processes():
    pool = WorkerPool(work, 2)
    pids = pool.pids
    futures = [pool.submit(("sleep", 1000)) for _ in range(4)]
    with pytest.raises(KeyboardInterrupt), pool:
        raise KeyboardInterrupt
    assert len(pids) == 2
    assert all(map(is_gone, pids))
    assert all(future.done() for future in futures)


PARENT = """
import sys
from distributed.test_pool import *
pool = WorkerPool(work, 2)
futures = [pool.submit(("sleep", 1000)) for _ in range(4)]
print(*pool.pids, flush=True)
futures[0].result()
"""


@linux
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_a_parent_that_is_killed(how):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=env
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.send_signal(how)
    parent.communicate()
    assert wait_until_gone(pids)


def test_what_cannot_be_sent_is_done_here(caplog):
    lock = threading.Lock()  # which belongs to this process

    def locked(task, note):
        with lock:
            return -task

    with executor_of(locked, 2, "work is done") as executor:
        assert isinstance(executor, Here)
        assert executor.submit(1).result() == -1
        assert isinstance(executor.submit("text").exception(), TypeError)
    [record] = caplog.records
    assert record.getMessage().startswith("work is done by one process instead of 2: TypeError")


def test_what_cannot_be_read_is_refused():
    class Elsewhere:
        def __reduce__(self):
            return __import__, ("no_such_module",)

    with pytest.raises(NotSharedError, match="No module named 'no_such_module'"):
        WorkerPool(Elsewhere(), 1)
