"""Which values count as integers and as numbers, and what is kept of them."""

from __future__ import annotations

import numpy as np
import pytest

from hw import MatrixVector
from hw._plain import integer, real


@pytest.mark.parametrize("value", [5, np.int64(5), np.uint8(5), np.array(5), np.array(5, np.int8)])
def test_integers_of_numpy_are_kept_as_pythons(value):
    for found in (integer(value), MatrixVector(name="a", operator="fc", inputs=value, outputs=1)):
        kept = found if isinstance(found, int) else found.inputs
        assert (type(kept), kept) == (int, 5)


@pytest.mark.parametrize(
    "value", [True, np.True_, 5.0, np.float64(5), "5", None, np.array([5]), np.array(5.0)]
)
def test_what_is_no_integer(value):
    assert integer(value) is None


@pytest.mark.parametrize("value", [0.5, np.float64(0.5), np.float32(0.5), np.array(0.5)])
def test_numbers_of_numpy_are_kept_as_pythons(value):
    found = real(value)
    assert (type(found), found) == (float, 0.5)


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2), np.array(2)])
def test_integers_are_numbers(value):
    found = real(value)
    assert (type(found), found) == (float, 2.0)


@pytest.mark.parametrize(
    "value", [True, np.True_, "0.5", None, np.array([0.5]), np.array(True), 1j]
)
def test_what_is_no_number(value):
    assert real(value) is None
