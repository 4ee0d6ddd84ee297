"""Independent tasks in several processes of one thread each, every result kept as it comes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from threadpoolctl import threadpool_limits

from nasrec_opt.pipeline import Reporter
from studies._ledger import Ledger

Task = Mapping[str, Any]


def run_tasks(
    stage: str,
    work: Callable[[Task], dict[str, Any]],
    tasks: Sequence[Task],
    ledger: Ledger,
    reporter: Reporter,
    *,
    workers: int,
    is_fresh: bool = False,
) -> None:
    """Do what of `tasks` the ledger lacks.

    Args:
        stage: Name that the progress is shown under.
        work: Does a task; a function of a module, since other processes call it. Its result holds
            the task's columns.
        tasks: All tasks, best in an order in which neighbours read the same files.
        ledger: Gets the results.
        reporter: Is told how far it is.
        workers: Processes.
        is_fresh: Whether every task gets a process of its own, so that none finds memory filled or
            modules loaded by another one.
    """
    missing = ledger.missing(tasks)
    reporter.begin(stage, f"{len(missing)} of {len(tasks)} to do")
    # Forked, a process would inherit the threads of torch and polars in whatever state they are.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_begin,
        max_tasks_per_child=1 if is_fresh else None,
    ) as pool:
        futures = [pool.submit(work, task) for task in missing]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                ledger.add(future.result())
                reporter.advance(len(tasks) - len(missing) + done, len(tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()  # an unfinished task is done again by the next start
            raise
    reporter.end(f"{len(tasks)} done, {len(missing)} of them now")


def _begin() -> None:
    # Read when torch and scikit-learn are loaded; what NumPy has loaded already is told.
    os.environ["OMP_NUM_THREADS"] = "1"
    threadpool_limits(1)
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    torch.set_num_threads(1)
