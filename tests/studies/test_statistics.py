import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, kendalltau, linregress, pearsonr

from studies._statistics import (
    least_squares,
    rank_quality,
    tau_between,
    tau_of_a_perfect_score,
)


def naive_tau(a, b):
    """Kendall's tau-b, pair by pair."""
    concordant = ties_a = ties_b = pairs = 0
    for i in range(len(a)):
        for j in range(i):
            one, other = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
            concordant += one * other
            ties_a += one == 0
            ties_b += other == 0
            pairs += 1
    return concordant / np.sqrt((pairs - ties_a) * (pairs - ties_b))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=4, max_size=20))
@settings(max_examples=20, deadline=None)
def test_correlations_are_those_of_the_definition(pairs):
    truth, scores = np.array(pairs, float).T
    truth += np.arange(len(truth)) * 1e-6
    scores -= np.arange(len(scores)) * 1e-6
    found = rank_quality(truth, scores)
    assert found["tau"] == pytest.approx(naive_tau(truth, scores))
    assert found["rho"] == pytest.approx(np.corrcoef(truth, scores)[0, 1])
    better = truth <= np.median(truth)
    assert found["tau_better_half"] == pytest.approx(naive_tau(truth[better], scores[better]))


def test_perfect_and_reversed_scores():
    truth = np.linspace(0.4, 0.5, 20)
    perfect, reverse = rank_quality(truth, truth + 1), rank_quality(truth, -truth)
    assert (perfect["tau"], perfect["tau_low"], perfect["regret"]) == pytest.approx((1, 1, 0))
    assert (reverse["tau"], reverse["regret"]) == pytest.approx((-1, 0.1))


def test_interval_covers_what_is_measured_and_narrows_with_more_models():
    rng = np.random.default_rng(0)
    widths = []
    for count in (20, 200):
        truth = rng.normal(size=count)
        found = rank_quality(truth, truth + rng.normal(size=count))
        assert found["tau_low"] < found["tau"] < found["tau_high"]
        widths.append(found["tau_high"] - found["tau_low"])
    assert widths[1] < widths[0] / 2


def test_scores_of_several_oracles_count_as_their_mean_and_a_reference_is_compared_on_the_same():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=40)
    good, bad = truth + 0.3 * rng.normal(size=(2, 40)), rng.normal(size=40)
    found = rank_quality(truth, good, reference=bad)
    taus = [kendalltau(truth, scores).statistic for scores in (*good, bad)]
    assert found["tau"] == pytest.approx((taus[0] + taus[1]) / 2)
    assert found["tau_difference"] == pytest.approx(found["tau"] - taus[2])
    assert found["tau_difference_low"] > 0
    same = rank_quality(truth, good, reference=good)
    assert same["tau_difference_low"] == same["tau_difference_high"] == 0


@pytest.mark.parametrize(
    ("name", "statistic"),
    [("rho", lambda a, b: pearsonr(a, b).statistic), ("tau", lambda a, b: kendalltau(a, b)[0])],
)
def test_intervals_are_those_of_scipys_bootstrap(name, statistic):
    """SciPy's has no interval where one resample has none, such as five times the same model."""
    rng = np.random.default_rng(1)
    truth = rng.normal(size=30).round(1)  # with ties
    scores = truth + rng.normal(size=30)
    found = rank_quality(truth, scores, seed=3)
    expected = bootstrap(
        (truth, scores), statistic, paired=True, vectorized=False, n_resamples=1000,
        method="percentile", rng=np.random.default_rng(3),
    ).confidence_interval  # fmt: skip
    interval = [found[f"{name}_low"], found[f"{name}_high"]]
    np.testing.assert_allclose(interval, [expected.low, expected.high], rtol=1e-12)


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_a_perfect_score_has_the_tau_that_a_simulation_finds(seeds):
    rng = np.random.default_rng(0)
    expected = rng.normal(size=3000)
    trained = expected + 0.7 * rng.normal(size=(2, 3000))
    agreement = kendalltau(*trained).statistic
    truth = expected + 0.7 * rng.normal(size=(seeds, 3000)).mean(axis=0)
    found = tau_of_a_perfect_score(agreement, [seeds] * 50)
    assert found == pytest.approx(kendalltau(expected, truth).statistic, abs=0.03)


def test_a_perfect_score_of_truths_of_one_and_of_two_seeds_is_between_those():
    one, mixed, two = (
        tau_of_a_perfect_score(0.5, n) for n in ([1] * 8, [1] * 4 + [2] * 4, [2] * 8)
    )
    assert one < mixed < two < 1
    assert tau_of_a_perfect_score(1.0, [1] * 8) == pytest.approx(1)
    assert tau_of_a_perfect_score(-0.1, [1] * 8) == 0


def test_slopes_and_errors_are_those_of_a_linear_regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2))
    y = 1 + 2 * x[:, 0] + rng.normal(size=50)
    fit, naive = least_squares(x[:, 0], y), linregress(x[:, 0], y)
    assert (fit.slopes[0], fit.errors[0]) == pytest.approx((naive.slope, naive.stderr))
    both = least_squares(np.column_stack([x, x.sum(axis=1), np.ones(50)]), y)
    assert both.slopes[:2] == pytest.approx(np.linalg.lstsq(
        np.column_stack([x, np.ones(50)]), y, rcond=None)[0][:2])  # fmt: skip
    assert np.isnan(both.slopes[2:]).all()  # they say nothing new


def test_tau_between_tables_with_gaps_weighs_pairings_by_their_models():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 15))
    a[0, 10:] = b[1, :3] = np.nan
    b[2, 2:] = np.nan  # two models have no order to speak of
    found = tau_between(a, b)
    first, second = naive_tau(a[0, :10], b[0, :10]), naive_tau(a[1, 3:], b[1, 3:])
    assert found["tau"] == pytest.approx((10 * first + 12 * second) / 22)
    assert found["tau_low"] < found["tau"] < found["tau_high"]
    assert found["models"] == 15
    assert np.isnan(tau_between(a[2], b[2])["tau"])
