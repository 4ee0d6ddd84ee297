import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies._statistics import rank_quality


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
