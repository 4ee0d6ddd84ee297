"""Imports Ax once, without its remarks on things that users of this library cannot change."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from nasrec_opt.errors import MissingExtraError


def check_ax() -> None:
    """Check whether Ax is installed, without importing it, which takes seconds.

    Raises:
        MissingExtraError: It is not installed.
    """
    if find_spec("ax") is None:
        raise MissingExtraError("Ax", "ax")


def require_ax() -> None:
    """Import Ax quietly; from then on its log shows only warnings and errors.

    Raises:
        MissingExtraError: It is not installed.
    """
    before = logging.root.manager.disable
    logging.disable(max(before, logging.INFO))  # its messages while it is imported
    try:
        import ax.api.client  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Ax", "ax") from error
    finally:
        logging.disable(before)
    for handler in logging.getLogger("ax").handlers:
        handler.addFilter(_console)  # once only; Ax sets the levels of its handlers back at will


class _Threshold(logging.Filter):
    """Lets Ax's records of a level and above through, and all of others.

    The handlers of Ax may be those of the root logger, which show what everybody logs.
    """

    threshold = logging.WARNING

    def filter(self, record: logging.LogRecord) -> bool:
        """Check whether a record is at the level or above, or not Ax's."""
        is_of_ax = record.name.partition(".")[0] == "ax"
        return not is_of_ax or record.levelno >= self.threshold


_console = _Threshold()


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing below an error from Ax on the console, and no warnings of the libraries under it."""
    before, _console.threshold = _console.threshold, logging.ERROR
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _console.threshold = before
