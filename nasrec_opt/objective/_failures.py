"""One trial fails, not the study: the reason of a failure, and the end if all trials fail.

A user's oracle or cost model may raise any error and return anything. Whatever it does, only the
trial that asked it fails, with one sentence. The study ends only if trial after trial fails.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna import TrialPruned

from hw import HwError
from nasrec_opt.errors import NasrecError, StudyError, TrialError

FAILED = "failed"  # attribute of a failed trial: why
FIRST_FAILED = 16  # failed trials at the beginning that end a search: nothing works yet
FAILED_IN_A_ROW = 128  # the same later on: at nine of ten failing, one search in 700,000 trials
LONGEST = 500  # characters of a reason


@contextmanager
def blamed(what: str, *passing: type[Exception]) -> Iterator[None]:
    """Turn any error of the block into a `TrialError` that names its cause.

    Pruning passes, and so does a lack of memory, which the next trial would have as well.

    Args:
        what: What the block runs; the message begins with it.
        *passing: Errors that mean something else to the caller, and pass.

    Raises:
        TrialError: The block raised any other error.
    """
    passes: tuple[type[Exception], ...] = (TrialPruned, TrialError, MemoryError, *passing)
    try:
        yield
    except passes:
        raise
    except Exception as error:
        raise TrialError(f"{what}: {sentence(error)}") from error


def sentence(error: BaseException) -> str:
    """The message of an error in one line, with type and place if the error is not ours."""
    said = traceback.format_exception_only(error)[
        -1
    ]  # works even for an error that cannot be printed
    name, _, message = said.partition(": ")
    if isinstance(error, (NasrecError, HwError)):
        return one_line(message or name)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return one_line(said) + place


def one_line(text: str) -> str:
    """A text that any storage accepts: printable characters, single spaces, limited length."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(printable.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


class Failures:
    """Counts trials that fail one after another, and ends a study in which nothing succeeds."""

    def __init__(self) -> None:
        self._in_a_row = 0  # no lock: an objective can be sent to another process
        self._none_succeeded = True

    def succeeded(self) -> None:
        """Note that a trial got values, or was pruned."""
        self._in_a_row, self._none_succeeded = 0, False

    def failed(self, reason: str) -> None:
        """Note that a trial failed.

        Raises:
            StudyError: The first `FIRST_FAILED` trials failed, or `FAILED_IN_A_ROW` one after
                another later on.
        """
        self._in_a_row += 1
        if self._in_a_row >= (FIRST_FAILED if self._none_succeeded else FAILED_IN_A_ROW):
            which = "the first" if self._none_succeeded else "the last"
            raise StudyError(
                f"expected trials that succeed, but {which} {self._in_a_row} all failed, "
                f"the last of them with: {reason}"
            )
