"""Every error a user can cause, under one root.

The command line prints any of them as one sentence and exits with code 2.
"""

from __future__ import annotations

from typing import Any

from nasrec_opt._secrets import redacted

__all__ = [
    "DataError",
    "GenotypeError",
    "MissingExtraError",
    "NasrecError",
    "StudyError",
    "TrialError",
]


class NasrecError(Exception):
    """Root of the errors of this library; its message has no secrets of the environment in it."""

    def __str__(self) -> str:
        return redacted(super().__str__())


class GenotypeError(NasrecError, ValueError):
    """A genotype or a search space is not valid."""


class DataError(NasrecError):
    """A log, row, field or dataset folder is bad."""


class StudyError(NasrecError):
    """A study, a checkpoint or an option does not fit."""


class TrialError(NasrecError):
    """One trial cannot be scored, because of its oracle, its cost model or an enqueued value."""


class MissingExtraError(NasrecError):
    """An optional package is needed and not installed.

    Args:
        package: Name of the package as users know it, for example `"MLflow"`.
        extra: Extra of this distribution that installs it; empty where none can.
        command: What installs it instead of the extra.
    """

    def __init__(self, package: str, extra: str = "", *, command: str = "") -> None:
        command = command or f"pip install 'nasrec-opt[{extra}]'"
        super().__init__(f"{package} is not installed: {command}")


def described(value: Any) -> str:
    """Describe a value for the sentence of an error.

    Args:
        value: What was given instead of what was expected.

    Returns:
        A few words.
    """
    if isinstance(value, type):
        return f"the class {value.__name__} instead of an instance"
    if value is None or isinstance(value, (str, bytes, bool, int, float, complex)):
        shown = repr(value)
        return shown if len(shown) <= 60 else f"{shown[:57]}..."
    return f"an object of the class {type(value).__name__}"
