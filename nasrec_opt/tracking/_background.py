"""A thread that writes submitted items, several at a time.

Submitting costs microseconds. Items that arrive within a moment are written together, because a
transaction costs more than a table row. While the store is away, items wait and writing is tried
again and again. Any other error loses the items that were being written; the next `flush` or
`close` raises the first one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from nasrec_opt.errors import StudyError
from nasrec_opt.tracking._record import one_line

Item = TypeVar("Item")

BATCH = 64
LINGER_S = 0.25  # how long the first item waits for further ones
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # between two attempts while the store is away
PATIENCE_S = 60.0


class Background(Generic[Item]):
    """Writes items in their order, in a daemon thread that starts with the first one.

    Args:
        write: Called in the thread with 1 to `BATCH` items.
        where: Name of the store in errors.
        again: Called instead of `write` after an attempt that failed because the store was away, so
            that some items may already be written; None means `write`.
        is_away: Whether an error means that the store is away for a while.
        patience_s: How long `flush` and `close` wait for a store that is away.
    """

    def __init__(
        self,
        write: Callable[[list[Item]], None],
        where: str,
        *,
        again: Callable[[list[Item]], None] | None = None,
        is_away: Callable[[Exception], bool] = lambda error: False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._write = write
        self._again = again or write
        self._where = where
        self._is_away = is_away
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._pending: deque[Item] = deque()
        self._is_writing = False
        self._waiting = 0  # callers inside flush and close: no lingering then
        self._give_up_at = float("inf")
        self._is_closing = False
        self._cause: Exception | None = None
        self._thread: threading.Thread | None = None

    def submit(self, item: Item) -> None:
        """Submit an item."""
        with self._changed:
            self._pending.append(item)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mlflow-log", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all submitted items are written.

        Raises:
            StudyError: Something could not be written.
        """
        with self._changed, self._awaited():
            self._changed.wait_for(lambda: not self._pending and not self._is_writing)
            self._raise()

    def close(self) -> None:
        """Write the rest and end the thread; the next item starts another.

        Raises:
            StudyError: Something could not be written.
        """
        with self._changed:
            thread, self._thread = self._thread, None
            self._is_closing = True
            self._changed.notify_all()
        if thread is not None:
            with self._awaited():
                thread.join()
        with self._changed:
            self._is_closing = False
            self._raise()

    @contextmanager
    def _awaited(self) -> Iterator[None]:
        """Let the thread hurry while a caller waits, and give up if the store stays away."""
        with self._changed:
            self._waiting += 1
            self._give_up_at = min(self._give_up_at, time.monotonic() + self._patience_s)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._waiting -= 1
                if not self._waiting:
                    self._give_up_at = float("inf")

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._is_closing)
                if not self._pending:
                    # If items arrived while it closed, nothing else notices the end of this thread.
                    if self._thread is threading.current_thread():
                        self._thread = None
                    return
                self._changed.wait_for(self._is_urgent, timeout=LINGER_S)
                batch = [self._pending.popleft() for _ in range(min(BATCH, len(self._pending)))]
                self._is_writing = True
            try:
                # Where the store is away, the patience is used up.
                if self._cause is None or not self._is_away(self._cause):
                    self._persist(batch)
            except Exception as error:  # a thread's boundary: raised by the next call
                self._cause = self._cause or error
            finally:
                with self._changed:
                    self._is_writing = False
                    self._changed.notify_all()

    def _persist(self, batch: list[Item]) -> None:
        """Write a batch, with as many attempts as it takes."""
        write, pause = self._write, FIRST_PAUSE_S
        while True:
            try:
                write(batch)
                return
            except Exception as error:
                if not self._is_away(error) or not self._pause(pause):
                    raise
            write, pause = self._again, min(2 * pause, LONGEST_PAUSE_S)

    def _pause(self, seconds: float) -> bool:
        """Wait for the next attempt; returns whether there is to be one."""
        with self._changed:
            if not self._waiting:
                self._changed.wait_for(lambda: self._waiting, timeout=seconds)
                return True
            left = self._give_up_at - time.monotonic()
            self._changed.wait_for(lambda: False, timeout=max(0.0, min(FIRST_PAUSE_S, left)))
            return left > 0

    def _is_urgent(self) -> bool:
        return bool(self._waiting or self._is_closing or len(self._pending) >= BATCH)

    def _raise(self) -> None:
        if self._cause is None or self._is_writing:
            return
        cause, self._cause = self._cause, None
        raise StudyError(
            f"{self._where}: trials could not be logged (sync logs what is missing): "
            f"{one_line(cause)}"
        ) from cause
