"""Every error a user can cause, under one root.

The command line prints any of them as one sentence and exits with code 2.
"""

from __future__ import annotations

from typing import Any


class NasrecError(Exception):
    """Root of the errors of this library."""


class GenotypeError(NasrecError, ValueError):
    """A genotype or a search space that cannot be."""


class DataError(NasrecError):
    """A bad log, row, field or dataset folder."""


class StudyError(NasrecError):
    """A study, checkpoint or registry that does not fit."""


class TrialError(NasrecError):
    """An oracle, a cost model or an enqueued trial with which one trial cannot be scored."""


class MissingExtraError(NasrecError):
    """An optional package is needed and not installed.

    Args:
        package: Name of the package as users know it, for example `"MLflow"`.
        extra: Extra of this distribution that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'nasrec-opt[{extra}]'")


def described(value: Any) -> str:
    """A value as the sentence of an error shows it.

    Args:
        value: What was given in place of what was expected.
    """
    if isinstance(value, type):
        return f"the class {value.__name__} instead of an instance"
    if value is None or isinstance(value, (str, bytes, bool, int, float, complex)):
        shown = repr(value)
        return shown if len(shown) <= 60 else f"{shown[:57]}..."
    return f"an object of the class {type(value).__name__}"
