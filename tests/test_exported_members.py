"""Public names: all there, in their packages' `__all__`, and errors under one root."""

from __future__ import annotations

import importlib
import inspect

import docstrings
import pytest

import nasrec_opt
from hw.errors import HwError
from nasrec_opt.errors import NasrecError


@pytest.mark.parametrize("name", docstrings.packages())
def test_everything_in_all_is_there_and_documented(name):
    if name == "nasrec_opt.ax":  # some of its classes inherit from Ax's
        pytest.importorskip("ax", reason="the extra 'ax' is not installed")
    package = importlib.import_module(name)
    assert list(package.__all__) == sorted(set(package.__all__), key=package.__all__.index)
    for member in package.__all__:
        value = getattr(package, member)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, f"{name}.{member}"


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Supernets'"):
        nasrec_opt.Supernets  # noqa: B018


@pytest.mark.parametrize("module", ["nasrec_opt.errors", "hw.errors"])
def test_errors_have_one_root(module):
    roots = {"nasrec_opt.errors": NasrecError, "hw.errors": HwError}
    for _, value in inspect.getmembers(importlib.import_module(module), inspect.isclass):
        if value.__module__ == module:
            assert issubclass(value, roots[module])
