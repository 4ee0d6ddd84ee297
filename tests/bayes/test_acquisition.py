"""The choice from a pool: what is plainly better is chosen, whatever the observations are like."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("botorch", reason="the extra 'bayes' is not installed")

from nasrec_opt.bayes import select_batch
from nasrec_opt.bayes._acquisition import _learnt_from, _Problem
from nasrec_opt.bayes._gaussian_process import choose
from nasrec_opt.errors import StudyError
from nasrec_opt.samplers import hypervolume

RNG = np.random.default_rng(0)
OBSERVED = RNG.random((40, 3))
CANDIDATES = RNG.random((30, 3))
GOAL = np.array([0.5, 0.3, 0.8])
STEP = np.array([1.0, 0.0, 0.0])


def distance(points):
    """One objective, smallest at the goal."""
    return ((points - GOAL) ** 2).sum(axis=1, keepdims=True)


def two_goals(points):
    """Two objectives; the front lies between the goal and the middle of its first axis."""
    other = GOAL + 0.4 * STEP
    return np.hstack([distance(points), ((points - other) ** 2).sum(axis=1, keepdims=True)])


@pytest.mark.parametrize("objectives", [distance, two_goals])
def test_what_is_plainly_better_is_chosen_first(objectives):
    pool = np.vstack([CANDIDATES, GOAL])
    [best] = select_batch(pool, OBSERVED, objectives(OBSERVED), batch_size=1, seed=0)
    assert best == 30 or objectives(pool[best][None]).sum() < np.median(objectives(pool).sum(1))
    far = np.vstack([np.zeros((1, 3)), GOAL, np.ones((1, 3))])
    assert select_batch(far, OBSERVED, objectives(OBSERVED), batch_size=1, seed=0) == [1]


def test_a_batch_spreads_over_the_front():
    ends = np.array([GOAL, GOAL + 0.4 * STEP])
    pool = np.vstack([ends, GOAL + 0.005 * STEP, np.zeros((1, 3))])
    batch = select_batch(pool, OBSERVED, two_goals(OBSERVED), batch_size=2, seed=0)
    assert 1 in batch
    assert len(set(batch) & {0, 2}) == 1


@pytest.mark.parametrize("objectives", [distance, two_goals])
def test_a_constraint_is_respected(objectives):
    excess = OBSERVED[:, :1] - 0.25  # allowed: the first coordinate up to a quarter
    pool = np.vstack([GOAL, GOAL - 0.3 * STEP])
    [best] = select_batch(pool, OBSERVED, objectives(OBSERVED), excess, batch_size=1, seed=0)
    assert best == 1


def test_while_nothing_is_feasible_less_violation_is_better():
    excess = OBSERVED[:, :1] + 0.5
    pool = np.array([[0.9, 0.3, 0.8], [0.05, 0.9, 0.1]])
    [best] = select_batch(pool, OBSERVED, distance(OBSERVED), excess, batch_size=1, seed=0)
    assert best == 1


def test_the_same_seed_chooses_the_same_and_leaves_torch_as_it_was():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    losses = two_goals(OBSERVED)
    first = select_batch(CANDIDATES, OBSERVED, losses, batch_size=6, seed=4)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(8)
    assert select_batch(CANDIDATES, OBSERVED, losses, batch_size=6, seed=4) == first
    assert len(set(first)) == 6


def test_pending_points_are_not_chosen_and_count_as_known():
    pool = np.vstack([GOAL, GOAL + 0.001, CANDIDATES])
    losses = distance(OBSERVED)
    [best] = select_batch(pool, OBSERVED, losses, batch_size=1, pending=pool[:1], seed=0)
    assert best != 0
    spread = np.vstack([GOAL, GOAL + 0.001 * STEP, GOAL + 0.4 * STEP])
    [best] = select_batch(
        spread, OBSERVED, two_goals(OBSERVED), batch_size=1, pending=spread[:1], seed=0
    )
    assert best == 2


def test_values_that_are_not_finite_and_outliers_do_no_harm():
    losses = distance(OBSERVED)
    losses[0], losses[1], losses[2] = np.nan, np.inf, 1e9
    far = np.vstack([np.zeros((1, 3)), GOAL, np.ones((1, 3))])
    assert select_batch(far, OBSERVED, losses, batch_size=1, seed=0) == [1]


def test_objectives_that_are_constant_do_not_count():
    far = np.vstack([np.zeros((1, 3)), GOAL, np.ones((1, 3))])
    losses = np.hstack([distance(OBSERVED), np.full((40, 2), 7.0)])
    assert select_batch(far, OBSERVED, losses, np.zeros((40, 1)), batch_size=1, seed=0) == [1]


@pytest.mark.parametrize(
    ("observed", "losses"),
    [
        (np.zeros((0, 3)), np.zeros((0, 2))),
        (OBSERVED[:1], np.ones((1, 2))),
        (OBSERVED[:5], np.full((5, 2), np.inf)),
        (OBSERVED, np.ones((40, 2))),
    ],
    ids=["none", "one", "not finite", "constant"],
)
def test_with_nothing_to_learn_from_the_pool_is_taken_in_its_order(observed, losses):
    chosen = select_batch(
        CANDIDATES, observed, losses, batch_size=3, pending=CANDIDATES[1:2], seed=0
    )
    assert chosen == [0, 2, 3]


def test_a_small_pool_is_chosen_whole_and_two_observations_are_enough():
    losses = two_goals(OBSERVED)[:2]
    chosen = select_batch(CANDIDATES[:3], OBSERVED[:2], losses, batch_size=8, seed=0)
    assert sorted(chosen) == [0, 1, 2]


@pytest.mark.parametrize(
    ("losses", "front_width"),
    [
        # One point is better than all others: it has to be beaten by a standard deviation's tenth.
        (np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [5.0, 5.0]]), [0.0, 0.0]),
        # A front narrower than a standard deviation, and one wider.
        (np.array([[0.0, 0.1], [0.1, 0.0], [3.0, 3.0], [3.0, 4.0]]), [0.1, 0.1]),
        (np.array([[0.0, 1.0], [1.0, 0.0], [0.4, 0.6], [0.9, 0.8]]), [1.0, 1.0]),
    ],
    ids=["a point", "narrow", "wide"],
)
def test_a_narrow_front_counts_as_wide_as_a_standard_deviation(losses, front_width):
    points = np.arange(len(losses), dtype=np.float64)[:, None]
    problem = _Problem.of(points, losses, np.zeros((len(losses), 0)), max_observed=300)
    deviation = losses.std(axis=0, ddof=1)
    width = np.maximum(np.array(front_width) / deviation, 1.0)
    np.testing.assert_allclose(problem.width, width)
    front = losses[:1] if front_width == [0.0, 0.0] else losses[:2]
    worst = (losses.mean(axis=0) - front.max(axis=0)) / deviation
    np.testing.assert_allclose(problem.reference, worst - 0.1 * width)


def test_many_observations_are_the_best_and_the_latest():
    losses = np.arange(100.0)[::-1][:, None]  # the latest are the best
    losses[:10] = -1.0
    kept = _learnt_from(losses, np.zeros(100), 40)
    assert len(set(kept)) == 40
    assert list(kept) == sorted(kept)
    assert set(range(10)) | set(range(80, 100)) <= set(kept)


def test_gains_are_those_of_the_exact_hypervolume():
    rng = np.random.default_rng(1)
    for num_objectives in (1, 2, 3):
        losses = rng.random((14, num_objectives))
        losses[8:] += 0.2  # what is known, and a little worse
        reference = np.full(num_objectives, 1.2)
        gains = torch.from_numpy(reference - losses).expand(4096, -1, -1)
        excluded = torch.zeros(8, dtype=torch.bool)
        torch.manual_seed(0)
        chosen = choose(gains, torch.zeros(4096, 14), num_candidates=8, count=2, excluded=excluded)
        known = list(losses[8:])
        for place in chosen:
            volumes = [hypervolume(np.array([*known, point]), reference) for point in losses[:8]]
            reached = hypervolume(np.array(known), reference)
            assert volumes[place] - reached >= 0.97 * (max(volumes) - reached)
            known.append(losses[place])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"losses": np.ones(40)}, "losses: expected two axes, got 1"),
        ({"losses": np.ones((3, 1))}, "losses: expected a row for each of 40 .* got 3"),
        ({"constraints": np.ones((3, 1))}, "constraints: expected a row for each of 40 .* got 3"),
        ({"pending": np.ones((1, 2))}, "pending: expected the 3 dimensions .* got 2"),
        ({"observed": np.ones((40, 4))}, "observed: expected the 3 dimensions .* got 4"),
        ({"batch_size": 0}, "batch_size: expected a positive integer, got 0"),
        ({"max_observed": 0}, "max_observed: expected a positive integer, got 0"),
    ],
)
def test_what_does_not_fit_is_one_sentence(changed, message):
    given = {"candidates": CANDIDATES, "observed": OBSERVED, "losses": distance(OBSERVED)}
    given |= {"batch_size": 1, "seed": 0} | changed
    with pytest.raises(StudyError, match=message):
        select_batch(**given)
