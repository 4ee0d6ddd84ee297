"""What a user has in hand at any time: a clock, the models finished so far, and the pick of them.

A curve is a step function of the seconds spent. Before its first model is finished a contender has
the constant click rate; from then on the model with the lowest validation log loss so far. The test
rows have no say in what is picked.
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple


def cpu_seconds() -> float:
    """CPU seconds of this process, all threads, and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


CLOCKS: dict[str, Callable[[], float]] = {"cpu": cpu_seconds, "wall": time.perf_counter}


class OutOfTime(BaseException):
    """The budget is spent. No `Exception`: nothing on the way may take it for a failed trial."""


class Event(NamedTuple):
    """A finished model.

    Args:
        seconds: Spent until it was finished and scored.
        validation: Its log loss on validation rows, which decides.
        test: Its log loss on test rows, read once.
        name: What model it is.
        is_final: Whether the contender itself names it as its answer, whatever came before.
    """

    seconds: float
    validation: float
    test: float
    name: str = ""
    is_final: bool = False


class Race:
    """A contender's time and the models that it has finished; the clock runs from here on.

    Args:
        budget_s: Seconds that the contender has.
        clock: Of `CLOCKS`.
    """

    def __init__(self, budget_s: float, clock: str) -> None:
        self.events: list[Event] = []
        self._budget_s = budget_s
        self._now = CLOCKS[clock]
        self._began = self._now()

    @property
    def seconds(self) -> float:
        """Seconds spent so far."""
        return self._now() - self._began

    def check(self, *_progress: object) -> None:
        """End a contender whose time is over; takes the arguments of a progress callback.

        Raises:
            OutOfTime: The budget is spent.
        """
        if self.seconds > self._budget_s:
            raise OutOfTime

    def finished(
        self, validation: float, test: float, name: str = "", *, is_final: bool = False
    ) -> None:
        """Take down a model that is finished and scored now.

        Raises:
            OutOfTime: The budget is spent.
        """
        self.events.append(Event(self.seconds, validation, test, name, is_final))
        self.check()


class Step(NamedTuple):
    """From so many seconds on, the pick has this log loss on test rows."""

    seconds: float
    test: float


def steps(events: Iterable[Event]) -> list[Step]:
    """The pick over time, a step for each change of it.

    A model replaces the pick where its validation log loss is lower, the earlier one winning ties;
    a final answer replaces it always, and nothing replaces a final answer.

    Args:
        events: In any order; one whose validation log loss is no number is never picked.
    """
    lowest = math.inf
    found: list[Step] = []
    for event in sorted(events, key=lambda event: event.seconds):
        if event.is_final or event.validation < lowest:
            lowest = min(lowest, event.validation)
            found.append(Step(event.seconds, event.test))
        if event.is_final:
            break
    return found


def value_at(curve: Sequence[Step], seconds: float) -> float | None:
    """Test log loss of the pick after so many seconds; None while there is no model."""
    value = None
    for step in curve:
        if step.seconds > seconds:
            break
        value = step.test
    return value
