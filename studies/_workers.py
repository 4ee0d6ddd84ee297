"""Independent tasks in several processes of one thread each, every result kept as it comes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.context import BaseContext
from multiprocessing.sharedctypes import Synchronized
from threading import Thread
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nasrec_opt.pipeline import Reporter
from studies._ledger import Ledger

Task = Mapping[str, Any]


def run_tasks(
    stage: str,
    work: Callable[[Task], dict[str, Any] | None],
    tasks: Sequence[Task],
    ledger: Ledger,
    reporter: Reporter,
    *,
    workers: int,
    is_fresh: bool = False,
    gpu_workers: int | None = None,
) -> None:
    """Do what of `tasks` the ledger lacks.

    Args:
        stage: Name that the progress is shown under.
        work: Does a task; a function of a module, since other processes call it. Its result holds
            the task's columns. None says that it was not done; a later start does it.
        tasks: All tasks, best in an order in which neighbours read the same files.
        ledger: Gets the results.
        reporter: Is told how far it is.
        workers: Processes.
        is_fresh: Whether every task gets a process of its own, so that none finds memory filled or
            modules loaded by another one. It loads all that it needs itself.
        gpu_workers: How many of the processes see a GPU, or None for all.
    """
    missing = ledger.missing(tasks)
    reporter.begin(stage, f"{len(missing)} of {len(tasks)} to do")
    context = _context(is_fresh)
    kept = 0
    with ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_begin,
        initargs=(dict(os.environ), context.Value("i", 0), gpu_workers),
        max_tasks_per_child=1 if is_fresh else None,
    ) as pool:
        futures = [pool.submit(work, task) for task in missing]
        try:
            for ended, future in enumerate(as_completed(futures), start=1):
                result = future.result()
                if result is not None:
                    ledger.add(result)
                    kept += 1
                reporter.advance(len(tasks) - len(missing) + ended, len(tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()  # an unfinished task is done again by the next start
            raise
    done = len(tasks) - len(missing) + kept
    reporter.end(f"{done} done, {kept} of them now")


def _context(is_fresh: bool) -> BaseContext:
    """How processes start: never as forks of this one, whose threads may hold locks of torch.

    On Linux they are forked from one that has loaded the libraries and has no thread besides its
    own. A fresh process begins from nothing, so that loading is part of what it measures.
    """
    if is_fresh or sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["studies._forkserver"])
    return context


def _begin(
    environment: Mapping[str, str], begun: Synchronized[int], gpu_workers: int | None
) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()  # that of the process it was forked from may be of another time
    os.environ.update(environment)
    with begun.get_lock():
        number = begun.value
        begun.value += 1
    if gpu_workers is not None and number >= gpu_workers:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # read when a GPU is first asked for
    # Read when torch and scikit-learn are loaded; what NumPy has loaded already is told.
    os.environ["OMP_NUM_THREADS"] = "1"
    threadpool_limits(1)
    import torch

    np.random.seed()  # noqa: NPY002 - forked processes would all draw the same
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    """Wait for the parent's end, then end too: one that is terminated cannot see to its workers."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # _begin runs in children alone
    parent.join()
    os._exit(1)
