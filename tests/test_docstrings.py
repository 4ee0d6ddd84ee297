"""Everything that an `__all__` reaches says what it takes, answers and raises."""

from __future__ import annotations

from typing import NamedTuple

import docstrings
import pytest


@pytest.mark.parametrize("package", docstrings.packages())
def test_public_callables_have_every_section_that_applies(package):
    if package == "nasrec_opt.ax":  # some of its classes inherit from Ax's
        pytest.importorskip("ax", reason="the extra 'ax' is not installed")
    findings = [docstrings.examine(public) for public in docstrings.publics(package)]
    missing = [f"{f.public.name}: {text}" for f in findings for text in f.missing]
    assert not missing, "\n".join(missing)


class Whole:
    """A class that lacks nothing.

    Args:
        size: Rows.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    def half(self) -> float:
        """Half the rows."""
        return self.size / 2

    def take(self, count: int) -> int:
        """Take rows.

        Args:
            count: How many.

        Returns:
            Rows that are left.

        Raises:
            ValueError: There are fewer.
        """
        _check(self.size, count)
        return self.size - count


class Lacking(NamedTuple):
    """A class that says nothing of its fields."""

    size: int

    def take(self, count: int) -> int:
        """Take rows.

        Args:
            number: How many.
        """
        _check(self.size, count)
        return self.size - count


def _check(size: int, count: int) -> None:
    if count > size:
        raise ValueError("too many")


@pytest.mark.parametrize(
    ("public", "missing"),
    [
        (docstrings.Public("whole", Whole), ()),
        (docstrings.Public("half", Whole.half.fget, Whole, is_property=True), ()),
        (docstrings.Public("take", Whole.take, Whole), ()),
        (docstrings.Public("lacking", Lacking), ("Args: size",)),
        (
            docstrings.Public("take", Lacking.take, Lacking),
            ("Args: count", "Args: no parameter number", "Returns: none", "Raises: ValueError"),
        ),
        (docstrings.Public("check", _check), ("Docstring: none", "Args: size", "Args: count",
                                              "Raises: ValueError")),
    ],
)  # fmt: skip
def test_what_is_missing_is_found(public, missing):
    assert docstrings.examine(public).missing == missing
