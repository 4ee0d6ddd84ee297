"""Work on chunks in threads, whose results come in the order of the chunks.

polars, numpy and hashes let other threads run, so two threads keep two cores busy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

WORKERS = 2  # threads; polars has more of its own

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Apply a function to items in threads that are at most `WORKERS` items ahead.

    Args:
        function: Called from several threads at a time.
        items: Taken one by one, in the thread that asks for results.

    Yields:
        The results in the order of the items. The first error ends them, be it of the function or
        of the items; those of earlier items come first.
    """
    waiting: deque[Future[Result]] = deque()
    taken, failure = iter(items), None
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            while failure is None:
                try:
                    waiting.append(pool.submit(function, next(taken)))
                except Exception as error:
                    failure = error
                if len(waiting) > WORKERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
    if not isinstance(failure, StopIteration):
        raise failure
