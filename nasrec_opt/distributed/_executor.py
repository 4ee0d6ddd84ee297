"""Who does tasks: other processes, or this one where they cannot."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Protocol

from nasrec_opt.distributed._mapped import NotSharedError
from nasrec_opt.distributed._pool import Note, WorkerPool
from nasrec_opt.distributed._ray import RayPool

logger = logging.getLogger(__name__)


class Executor(Protocol):
    """Does tasks, several at once."""

    def submit(self, task: Any) -> Future[Any]:
        """Begin a task.

        Args:
            task: What the executor's function takes.

        Returns:
            The result to come.
        """


class Here:
    """Does each task at once, in this process.

    Args:
        function: Does a task; see `WorkerPool`.
    """

    def __init__(self, function: Callable[[Any, Note], Any]) -> None:
        self._function = function

    def submit(self, task: Any) -> Future[Any]:
        """Do a task.

        Args:
            task: What the function takes.

        Returns:
            The result that is there.
        """
        future: Future[Any] = Future()
        try:
            future.set_result(self._function(task, lambda *values: None))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def executor_of(
    function: Callable[[Any, Note], Any], workers: int, what: str, *, ray: str | None = None
) -> Iterator[Executor]:
    """Start workers; if they cannot have the function, this process does the tasks instead.

    Args:
        function: Does a task; see `WorkerPool`.
        workers: Number of processes; 1 means this one.
        what: What is done, for the warning that one process does it.
        ray: Address of the Ray cluster that has the processes, or None for this machine.

    Yields:
        The executor.

    Raises:
        MissingExtraError: An address is given, and Ray is not installed.
        StudyError: There is no cluster at the address.
    """
    pool: WorkerPool | RayPool | None = None
    try:
        if workers > 1:
            pool = WorkerPool(function, workers) if ray is None else RayPool(function, workers, ray)
    except NotSharedError as error:
        logger.warning("%s by one process instead of %d: %s", what, workers, error)
    if pool is None:
        yield Here(function)
        return
    with pool:
        yield pool
