"""Tasks on the machines of a Ray cluster.

Ray places each task where a core is free, begins it again elsewhere if its process or machine is
lost, and asks for more machines where tasks wait and the cluster may grow. The function is in the
object store of each machine once, and each process there reads it once.
"""

from __future__ import annotations

import logging
import os
import pickle
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nasrec_opt._addresses import knock
from nasrec_opt.distributed._answers import answer_to
from nasrec_opt.distributed._mapped import NotSharedError, read_bytes, share
from nasrec_opt.distributed._pool import ATTEMPTS, THREADS, Note, WorkerDiedError
from nasrec_opt.errors import MissingExtraError, StudyError

NOTES_S = 0.5  # between two looks for notes


class RayPool:
    """Does tasks with one function on a Ray cluster; a context manager that ends them.

    Args:
        function: As in `WorkerPool`; what it reads from files must be on all machines. Its arrays
            and tensors are views of Ray's object store: it must not write to them.
        workers: Maximum number of tasks that are done at once, each on one core with one thread.
        address: Of the cluster: `HOST:PORT` of its head, from one of its machines; `ray://...` of
            its client server, from elsewhere; or `auto` for the cluster that this machine is in. A
            process that is connected already stays with its cluster.
        attempts: How often a task is begun whose process or machine is lost.

    Raises:
        MissingExtraError: Ray is not installed.
        NotSharedError: The function cannot be sent.
        StudyError: There is no cluster at the address, or none with this Ray and this Python.
    """

    def __init__(
        self,
        function: Callable[[Any, Note], Any],
        workers: int,
        address: str,
        *,
        attempts: int = ATTEMPTS,
    ) -> None:
        with share(function, with_files=True) as file:
            self._connection = ExitStack()
            self._connection.enter_context(connected(address))
            import ray

            self._function = ray.put(np.asarray(np.memmap(file, np.uint8, "r")))
        self._ray, self._attempts, self._key = ray, attempts, uuid.uuid4().hex
        self._do_there = ray.remote(num_cpus=1, max_retries=attempts - 1)(_do)
        self._lock = threading.Lock()
        self._running: dict[Any, None] = {}  # references of the tasks
        self._is_closed = False
        self._board: Any = None
        self._threads = ThreadPoolExecutor(workers, "ray")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, task: Any, note: Note | None = None) -> Future[Any]:
        """Begin a task, as soon as a core is free.

        Args:
            task: What the function takes; it is sent to the machine.
            note: Called in another thread with what the function notes; None for nothing. Notes of
                a machine that is lost may be lost.

        Returns:
            The result to come, or the error that the function raises. It is a `WorkerDiedError` if
            processes or machines were lost at each attempt.
        """
        return self._threads.submit(self._wait_for, pickle.dumps(task), note)

    def close(self) -> None:
        """End all tasks, whatever they do, and the connection if the pool has made it."""
        with self._lock:
            self._is_closed = True
            running = list(self._running)
        with suppress(self._ray.exceptions.RayError):
            for reference in running:
                self._ray.cancel(reference, force=True)
            if self._board is not None:
                self._ray.kill(self._board)
        self._threads.shutdown(cancel_futures=True)
        self._connection.close()

    def _wait_for(self, task: bytes, note: Note | None) -> Any:
        number = uuid.uuid4().hex
        board = None if note is None else self._notes()
        with self._lock:
            if self._is_closed:
                raise CancelledError
            reference = self._do_there.remote(self._key, self._function, task, board, number)
            self._running[reference] = None
        try:
            while note is not None:
                ready, _ = self._ray.wait([reference], timeout=NOTES_S)
                self._tell(number, note)
                if ready:
                    break
            is_done, result = _opened(self._ray.get(reference))
        except self._ray.exceptions.RayTaskError as error:  # the process could not begin it
            raise NotSharedError(f"Ray: {type(error.cause).__name__}: {error.cause}") from None
        except self._ray.exceptions.RayError as error:
            if self._is_closed:
                raise CancelledError from None
            reason = type(error).__name__
            raise WorkerDiedError(
                f"expected an answer, but it was lost at {self._attempts} attempts: {reason}"
            ) from None
        finally:
            with self._lock:
                self._running.pop(reference, None)
        if is_done:
            return result
        raise result

    def _notes(self) -> Any:
        """The actor that keeps notes until they are read; it needs no core."""
        with self._lock:
            if self._board is None:
                self._board = self._ray.remote(num_cpus=0, max_restarts=-1)(_Board).remote()
            return self._board

    def _tell(self, number: str, note: Note) -> None:
        with suppress(self._ray.exceptions.RayError):  # the machine of the notes is lost
            for values in self._ray.get(self._board.take.remote(number), timeout=NOTES_S):
                note(*values)


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to a Ray cluster, whose processes then stay from one pool to the next.

    Args:
        address: As of `RayPool`, or None for no cluster.

    Yields:
        Nothing; the connection ends with the block, unless it was there before.

    Raises:
        MissingExtraError: Ray is not installed.
        StudyError: There is no cluster at the address, or none with this Ray and this Python.
    """
    if address is None:
        yield
        return
    try:
        import ray
    except ImportError:
        raise MissingExtraError("Ray", "ray") from None
    if ray.is_initialized():
        yield
        return
    try:
        if address != "auto":
            host, _, port = address.removeprefix("ray://").rpartition(":")
            knock(host.strip("[]"), int(port))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on what a later version of Ray will do
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray has several
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StudyError(f"{address}: expected a Ray cluster, got: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()


class _Board:
    """Keeps the notes of tasks until they are read."""

    def __init__(self) -> None:
        self._kept: dict[str, list[tuple[Any, ...]]] = {}

    def put(self, number: str, values: tuple[Any, ...]) -> None:
        """Keep a note of a task."""
        self._kept.setdefault(number, []).append(values)

    def take(self, number: str) -> list[tuple[Any, ...]]:
        """Hand out the notes of a task."""
        return self._kept.pop(number, [])


_held: tuple[str, Any] = ("", None)  # in a process of Ray: the key of a pool, and its function


def _do(key: str, whole: npt.NDArray[np.uint8], task: bytes, board: Any, number: str) -> bytes:
    """What a process of Ray does: read the function the first time, and do a task."""
    global _held
    if _held[0] != key:
        _held = ("", None)  # frees what an earlier pool had here
        os.environ.update(dict.fromkeys(THREADS, "1"))  # before torch is loaded
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, on arrays that must not be written to
            _held = (key, read_bytes(whole))

    def note(*values: Any) -> None:
        if board is not None:
            board.put.remote(number, values)

    return answer_to(task, _held[1], note)


def _opened(answer: bytes) -> tuple[bool, Any]:
    kind, value = pickle.loads(answer)
    return kind == "result", value
