"""Rank and crowding agree with Optuna's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers.nsgaii._elite_population_selection_strategy import _calc_crowding_distance
from optuna.study._multi_objective import _fast_non_domination_rank
from optuna.trial import create_trial

from nasrec_opt.samplers._selection import crowding_distance, non_domination_rank

# Few distinct values, so that ties, duplicates and infinities are common.
values = st.sampled_from([0.0, 1.0, 2.0, 2.5, 7.0, float("inf"), float("-inf")])
objectives = st.integers(1, 4)


@st.composite
def populations(draw, elements=values):
    width = draw(objectives)
    rows = draw(
        st.lists(st.lists(elements, min_size=width, max_size=width), min_size=1, max_size=24)
    )
    return np.array(rows)


@given(populations())
def test_ranks_equal_optunas(losses):
    assert np.array_equal(non_domination_rank(losses), _fast_non_domination_rank(losses))


@given(populations(), st.integers(0, 2**32 - 1))
def test_ranks_under_constraints_equal_optunas(losses, seed):
    rng = np.random.default_rng(seed)
    violation = rng.choice([0.0, 0.0, 0.5, 3.0], size=len(losses))
    expected = _fast_non_domination_rank(losses, penalty=violation)
    assert np.array_equal(non_domination_rank(losses, violation), expected)


@given(populations())
def test_crowding_equals_optunas(losses):
    front = [create_trial(values=row.tolist()) for row in losses]
    for number, trial in enumerate(front):
        trial.number = number
    theirs = _calc_crowding_distance(list(front))
    expected = [theirs[number] for number in range(len(front))]
    ours = crowding_distance(losses, np.zeros(len(losses), dtype=np.int64))
    np.testing.assert_allclose(ours, expected)


def test_crowding_is_within_each_front():
    losses = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0], [3.0, 3.0]])
    ranks = non_domination_rank(losses)
    assert ranks.tolist() == [0, 0, 0, 1]
    distances = crowding_distance(losses, ranks)
    assert distances[1] == pytest.approx(2.0)
    assert np.isinf(distances[[0, 2]]).all()
    assert distances[3] == 0  # alone in its front: nobody to be far from
