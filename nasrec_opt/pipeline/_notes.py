"""Warnings of the library during a run, shown as the run's own notes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from nasrec_opt._secrets import redacted
from nasrec_opt.pipeline._console import Reporter


@contextmanager
def warnings_as_notes(reporter: Reporter) -> Iterator[None]:
    """Show warnings of the library between the lines of the stages."""
    handler = _Notes(reporter)
    log = logging.getLogger("nasrec_opt")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Notes(logging.Handler):
    def __init__(self, reporter: Reporter) -> None:
        super().__init__(logging.WARNING)
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        """A note for each warning."""
        self._reporter.note(redacted(record.getMessage()))
