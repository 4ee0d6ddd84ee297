"""Who goes on to the next rung."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nasrec_opt.ladder import (
    affordable_models,
    expected_improvement,
    first_epochs,
    promote,
    rung_epochs,
    rung_sizes,
)

VALUES = st.integers(0, 6).map(float)


@st.composite
def models(draw):
    """Log losses, costs, and symmetric errors of differences."""
    count, objectives = draw(st.integers(1, 12)), draw(st.integers(0, 3))
    losses = draw(hnp.arrays(np.float64, count, elements=VALUES))
    costs = draw(hnp.arrays(np.float64, (count, objectives), elements=VALUES))
    errors = draw(hnp.arrays(np.float64, (count, count), elements=VALUES))
    return losses, costs, (errors + errors.T) * (1 - np.eye(count))


def dominators(losses, costs, errors, model) -> list[int]:
    """The definition, model by model."""
    found = []
    for other in range(len(losses)):
        costs_no_more = all(costs[other] <= costs[model])
        is_lower = losses[other] + errors[other, model] <= losses[model]
        differs = losses[other] != losses[model] or any(costs[other] != costs[model])
        if costs_no_more and is_lower and differs:
            found.append(other)
    return found


@given(case=models(), count=st.integers(1, 12), place=st.integers(0, 2))
def test_every_third_place_is_the_fronts_and_the_others_are_of_accuracy(case, count, place):
    losses, costs, errors = case
    chosen = promote(losses, costs, count, errors=errors, place=place)
    assert len(chosen) == len(set(chosen)) == min(count, len(losses))
    for position, model in enumerate(chosen):
        left = [i for i in range(len(losses)) if i not in chosen[:position]]
        if (place + position) % 3 != 2 or not costs.shape[1]:
            assert losses[model] == min(losses[left])
        elif any(not dominators(losses, costs, errors, i) for i in left):
            assert not dominators(losses, costs, errors, model)


@given(case=models())
def test_the_most_accurate_model_goes_on_whatever_it_costs(case):
    losses, costs, errors = case
    assert losses[promote(losses, costs, 1, errors=errors)[0]] == losses.min()


@given(case=models())
def test_without_doubt_the_front_is_that_of_optuna(case):
    from optuna.study._multi_objective import _fast_non_domination_rank

    losses, costs, _ = case
    chosen = promote(losses, costs, len(losses), place=2)
    if costs.shape[1]:
        ranks = _fast_non_domination_rank(np.column_stack([losses, costs]))
        assert ranks[chosen[0]] == 0


def test_doubt_keeps_a_costly_model_that_may_be_as_good():
    losses, costs = np.array([0.500, 0.501, 0.600]), np.array([[1.0], [9.0], [1.0]])
    assert promote(losses, costs, 2, place=2)[0] == 0
    errors = np.full((3, 3), 0.01)
    assert set(promote(losses, costs, 3, errors=errors, place=2)[:2]) == {0, 1}


def test_a_model_without_a_log_loss_never_goes_on():
    losses = np.array([math.inf, 0.5, math.nan])
    assert promote(losses, np.zeros((3, 2)), 3) == [1]


def test_only_eligible_models_go_on():
    losses = np.array([0.1, 0.2, 0.3])
    assert promote(losses, np.zeros((3, 0)), 2, eligible={1, 2}) == [1, 2]


@given(models=st.integers(1, 64), finalists=st.integers(1, 8))
def test_half_of_a_rung_goes_on(models, finalists):
    sizes = rung_sizes(models, finalists)
    assert sizes[0] == models
    for before, after in pairwise(sizes):
        assert after == math.ceil(before / 2) > finalists
    assert math.ceil(sizes[-1] / 2) <= finalists


@given(seconds=st.floats(0, 1e6), per_model=st.floats(1e-3, 1e4), finalists=st.integers(1, 8))
def test_affordable_models_take_no_longer_than_they_may(seconds, per_model, finalists):
    def takes(models: int) -> float:
        sizes = rung_sizes(models, finalists)
        ends = [0, *(rung_epochs(i, 1) for i in range(len(sizes)))]
        return per_model * sum(size * (ends[i + 1] - ends[i]) for i, size in enumerate(sizes))

    models = affordable_models(seconds, per_model, finalists)
    assert 8 <= models <= 64
    assert models == 8 or takes(models) <= seconds
    assert models == 64 or all(takes(more) > seconds for more in range(models + 1, 65))


@given(epoch_steps=st.integers(1, 100_000))
def test_a_first_rung_has_steps_enough_and_no_epoch_cut_but_the_first(epoch_steps):
    epochs = first_epochs(epoch_steps)
    assert epochs * epoch_steps >= 300
    assert epochs in (0.25, 0.5) or epochs == int(epochs)
    if epochs > 1:
        assert (epochs - 1) * epoch_steps < 300


@given(case=models(), data=st.data())
def test_a_promise_counts_for_the_cube_root_of_its_price(case, data):
    losses, costs, errors = case
    values = hnp.arrays(np.float64, len(losses), elements=st.floats(0.1, 10))
    promises, work = data.draw(values), data.draw(values)
    [first] = promote(losses, costs, 1, errors=errors, promises=promises, work=work)
    assert promises[first] ** 3 / work[first] == pytest.approx(np.max(promises**3 / work))


@given(mean=st.floats(-2, 2), error=st.floats(0.01, 2), best=st.floats(-2, 2))
def test_expected_improvement_is_that_of_a_normal_value(mean, error, best):
    """Against an integral over the normal density."""
    grid = np.linspace(mean - 9 * error, mean + 9 * error, 20_001)
    density = np.exp(-(((grid - mean) / error) ** 2) / 2) / (error * math.sqrt(2 * math.pi))
    wanted = np.trapezoid(np.maximum(best - grid, 0.0) * density, grid)
    [got] = expected_improvement(np.array([mean]), np.array([error]), best)
    assert math.isclose(got, wanted, rel_tol=1e-5, abs_tol=1e-7)


def test_nothing_is_expected_of_what_is_known_or_failed():
    means, errors = np.array([0.4, 0.6, math.inf]), np.array([0.0, 0.0, 1.0])
    assert expected_improvement(means, errors, 0.5).tolist() == [0.5 - 0.4, 0.0, 0.0]
