"""The interval of an expected log loss."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from nasrec_opt.retrain import expected_log_loss


def test_one_seed_has_the_interval_of_a_mean_over_rows():
    losses = np.random.default_rng(0).exponential(size=400)
    found = expected_log_loss([losses])
    low, high = t.interval(0.95, 399, losses.mean(), losses.std(ddof=1) / 20)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.seeds, found.rows) == (1, 400)


def test_seeds_that_disagree_widen_the_interval():
    rng = np.random.default_rng(1)
    rows = rng.exponential(size=1000)
    alike = expected_log_loss([rows, rows, rows])
    apart = expected_log_loss([rows - 0.05, rows, rows + 0.05])
    assert apart.mean == pytest.approx(alike.mean)
    of_seeds = 0.05**2 / 3  # variance of -0.05, 0, 0.05, over their number
    assert apart.standard_error == pytest.approx((alike.standard_error**2 + of_seeds) ** 0.5)
    assert apart.high - apart.low > alike.high - alike.low


def test_the_interval_covers_the_expectation_as_often_as_it_says():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(1000):
        seeds, rows = rng.normal(0, 0.02, size=(3, 1)), rng.normal(0, 0.4, size=(1, 500))
        found = expected_log_loss(0.5 + seeds + rows + rng.normal(0, 0.1, size=(3, 500)))
        hits += found.low <= 0.5 <= found.high
    assert 930 <= hits <= 990


def test_equal_losses_have_a_point_for_an_interval():
    found = expected_log_loss([[0.5, 0.5], [0.5, 0.5]])
    assert (found.low, found.mean, found.high) == (0.5, 0.5, 0.5)
