"""The ridge that corrects a supernet's scores."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from nasrec_opt.ladder import Correction, corrected_tau, kendall_tau
from nasrec_opt.ladder._correction import PENALTIES


def landscape(seed: int, candidates: int = 60):
    """Scores that hide the truth behind a bias toward small models, and the features behind it."""
    rng = np.random.default_rng(seed)
    macs, noise = rng.normal(size=candidates), rng.normal(size=(candidates, 2))
    truth = 0.5 - 0.004 * macs + 0.002 * noise[:, 0]
    score = 0.52 + 0.006 * macs + (truth - 0.5) + 0.0005 * noise[:, 1]
    others = rng.normal(size=(candidates, 3))
    return np.column_stack([score, macs, others, np.ones(candidates)]), truth


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(4, 30))
def test_predictions_are_those_of_scikit_learn(seed, count):
    features, truth = landscape(seed)
    trained = np.random.default_rng(seed).permutation(60)[:count]
    correction = Correction.fit(features, trained, truth[trained])
    scaled = (features - features.mean(axis=0)) / np.where(
        features.std(axis=0) > 0, features.std(axis=0), 1
    )
    x, y = scaled[trained], truth[trained]
    errors = {
        penalty: y - cross_val_predict(Ridge(alpha=penalty), x, y, cv=LeaveOneOut())
        for penalty in PENALTIES
    }
    best = min(PENALTIES, key=lambda penalty: np.sum(errors[penalty] ** 2))
    assert correction.penalty == best
    assert correction.residual == pytest.approx(np.sqrt(np.mean(errors[best] ** 2)), rel=1e-6)
    expected = Ridge(alpha=best).fit(x, y).predict(scaled)
    np.testing.assert_allclose(correction.predict(features)[0], expected, rtol=1e-8)


def test_its_tau_is_of_pairs_that_neither_the_weights_nor_the_penalty_have_seen():
    features, truth = landscape(3, candidates=7)
    scaled = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9)
    orders = []
    for pair in combinations(range(7), 2):
        others = np.delete(np.arange(7), pair)
        x, y = scaled[others], truth[others]
        best = min(
            PENALTIES,
            key=lambda penalty: np.sum(
                (y - cross_val_predict(Ridge(alpha=penalty), x, y, cv=LeaveOneOut())) ** 2
            ),
        )
        first, second = Ridge(alpha=best).fit(x, y).predict(scaled[list(pair)])
        orders.append(np.sign(first - second) * np.sign(truth[pair[0]] - truth[pair[1]]))
    assert corrected_tau(features, range(7), truth) == pytest.approx(np.mean(orders))


def test_a_correction_that_knows_nothing_has_no_tau_in_the_mean():
    """Each model left out in turn would give -1: the mean of the others is against it."""
    taus = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        features, truth = rng.normal(size=(12, 5)), rng.normal(size=12)
        taus.append(corrected_tau(features, range(12), truth))
    assert abs(np.mean(taus)) < 0.15


def test_a_bias_toward_small_models_is_found_and_taken_off():
    features, truth = landscape(0)
    correction = Correction.fit(features, range(12), truth[:12])
    corrected = correction.predict(features)[0]
    assert kendall_tau(features[12:, 0], truth[12:]) < 0.0
    assert kendall_tau(corrected[12:], truth[12:]) > 0.5
    assert corrected_tau(features, range(12), truth[:12]) > 0.4


def test_unlike_models_are_less_certain():
    features, truth = landscape(0)
    near = np.argsort(np.abs(features[:, 1]))
    correction = Correction.fit(features, near[:10], truth[near[:10]])
    error = correction.predict(features)[1]
    assert error[near[-10:]].mean() > error[near[:10]].mean()


def test_three_truths_are_too_few():
    features, truth = landscape(0)
    assert Correction.fit(features, range(3), truth[:3]) is None


def test_equal_truths_have_no_tau():
    features, _ = landscape(0)
    correction = Correction.fit(features, range(6), np.full(6, 0.5))
    assert corrected_tau(features, range(6), np.full(6, 0.5)) is None
    np.testing.assert_allclose(correction.predict(features)[0], 0.5)
