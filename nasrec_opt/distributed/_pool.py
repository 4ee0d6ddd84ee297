"""Processes of this machine that do tasks, each with one thread.

A worker that dies is replaced, and its task is done again by the next one. A worker reads its
tasks from a socket whose other end is in this process alone, so it ends with this process, however
that ends.
"""

from __future__ import annotations

import os
import pickle
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Self, TypeAlias

from nasrec_opt.distributed._mapped import NotSharedError, share
from nasrec_opt.errors import NasrecError

PROGRAM = "nasrec_opt.distributed._worker"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ATTEMPTS = 3

Note: TypeAlias = Callable[..., None]  # called by a function on its way, for whoever submitted it


class WorkerDiedError(NasrecError):
    """The workers that did a task died."""


class WorkerPool:
    """Processes that do tasks with one function; a context manager that ends them.

    Args:
        function: Called with a task and a `Note`. It is sent once. Its arrays are in memory once
            for all workers, and so are its tensors, which must be on the CPU. If it is defined in a
            script or a notebook, cloudpickle must be installed, which comes with MLflow.
        workers: Number of processes.
        attempts: How often a task is begun whose worker dies.

    Raises:
        NotSharedError: The function cannot be sent to another process.

    Example:
        >>> import operator
        >>> from functools import partial
        >>> def doubled(number, note):
        ...     return 2 * number
        >>> with WorkerPool(doubled, workers=2) as pool:
        ...     futures = [pool.submit(number) for number in range(3)]
        ...     print([future.result() for future in futures])
        [0, 2, 4]
    """

    def __init__(
        self, function: Callable[[Any, Note], Any], workers: int, *, attempts: int = ATTEMPTS
    ) -> None:
        self._attempts = attempts
        self._lock = threading.Lock()
        self._is_closed = False
        self._all: dict[_Worker, None] = {}  # oldest first
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._function = share(function)
        self._threads = ThreadPoolExecutor(workers, "worker")
        try:
            for worker in [self._start() for _ in range(workers)]:
                worker.require_ready()
                self._idle.put(worker)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pids(self) -> list[int]:
        """Identifiers of the processes that live."""
        with self._lock:
            return [worker.pid for worker in self._all]

    def submit(self, task: Any, note: Note | None = None) -> Future[Any]:
        """Begin a task, as soon as a worker is free.

        Args:
            task: What the function takes; it is sent to the worker.
            note: Called in another thread with what the function notes; None for nothing.

        Returns:
            The result to come, or the error that the function raises. It is a `WorkerDiedError` if
            the workers died at each attempt.
        """
        return self._threads.submit(self._do, task, note)

    def close(self) -> None:
        """End all processes, whatever they do."""
        with self._lock:
            self._is_closed = True
            living = list(self._all)
        for worker in living:
            worker.end()
        self._threads.shutdown(cancel_futures=True)
        self._function.close()

    def _do(self, task: Any, note: Note | None) -> Any:
        for _ in range(self._attempts):
            worker = self._idle.get()
            try:
                is_done, result = worker.ask(task, note)
                break
            except (EOFError, OSError):
                worker = self._replaced(worker)
            finally:
                self._idle.put(worker)
        else:
            raise WorkerDiedError(
                f"expected an answer, but the {self._attempts} processes asked for it died"
            )
        if is_done:
            return result
        raise result

    def _start(self) -> _Worker:
        with self._lock:
            if self._is_closed:
                raise CancelledError
            worker = _Worker(self._function.fileno())
            self._all[worker] = None
            return worker

    def _replaced(self, worker: _Worker) -> _Worker:
        """Another worker for one that died; the same one if no other comes up."""
        with self._lock:
            self._all.pop(worker, None)
        worker.end()
        other = self._start()
        with suppress(EOFError, OSError, NotSharedError):  # the next task will show
            other.require_ready()
        return other


class _Worker:
    """This process's end of another one.

    Args:
        function: Descriptor of the file with the function.
    """

    def __init__(self, function: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            passed = (theirs.fileno(), function)
            self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, *map(str, passed)],
                stdin=subprocess.DEVNULL,
                pass_fds=passed,
                env=os.environ
                | dict.fromkeys(THREADS, "1")
                | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # Ctrl-C is for this process, which then ends them
            )
        self._connection = Connection(ours.detach())

    @property
    def pid(self) -> int:
        return self._process.pid

    def require_ready(self) -> None:
        """Wait until it has the function.

        Raises:
            NotSharedError: It cannot have it.
        """
        try:
            failure = self._connection.recv()
        except (EOFError, OSError):
            raise NotSharedError("a worker ended as soon as it was started") from None
        if failure is not None:
            raise NotSharedError(failure)

    def ask(self, task: Any, note: Note | None) -> tuple[bool, Any]:
        """Let it do a task.

        Returns:
            Whether it was done, and the result or the error.

        Raises:
            EOFError: The process died, as with `OSError`.
        """
        self._connection.send_bytes(pickle.dumps(task))
        while True:
            kind, values = self._connection.recv()
            if kind != "note":
                return kind == "result", values
            if note is not None:
                note(*values)

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        self._process.kill()
        self._process.wait()
