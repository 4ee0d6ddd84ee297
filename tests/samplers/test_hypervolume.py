"""Hypervolume and contributions against Optuna's own and against leaving each point out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from nasrec_opt.samplers import hypervolume, non_dominated
from nasrec_opt.samplers._hypervolume import contributions

POINTS = st.integers(1, 4).flatmap(
    lambda d: st.lists(st.lists(st.integers(0, 5), min_size=d, max_size=d), max_size=9).map(
        lambda rows: np.array(rows, dtype=np.float64).reshape(-1, d)
    )
)


@given(points=POINTS)
def test_equals_optuna(points):
    reference = np.full(points.shape[1], 4.0)
    inside = points[(points <= reference).all(axis=1)]  # Optuna refuses the others
    theirs = compute_hypervolume(inside, reference) if len(inside) else 0.0
    assert hypervolume(points, reference) == pytest.approx(theirs)


@given(points=POINTS)
def test_a_contribution_is_what_is_lost_without_the_point(points):
    reference = np.full(points.shape[1], 4.0)
    whole = hypervolume(points, reference)
    left_out = [
        whole - hypervolume(np.delete(points, row, axis=0), reference) for row in range(len(points))
    ]
    assert contributions(points, reference) == pytest.approx(np.array(left_out))


@given(points=POINTS)
def test_non_dominated_points_are_those_that_no_point_dominates(points):
    naive = [
        not any((other <= one).all() and (other < one).any() for other in points) for one in points
    ]
    assert non_dominated(points).tolist() == naive


def test_points_that_are_not_finite_add_nothing():
    points = np.array([[np.nan, 0.0], [-np.inf, 0.5], [0.5, 0.5]])
    assert hypervolume(points, np.ones(2)) == 0.25
