"""Log loss and AUC equal scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from nasrec_opt.oracle import auc, log_losses, score


@given(
    st.lists(st.tuples(st.sampled_from([-3.0, -1.0, 0.0, 0.5, 2.0]), st.booleans()), min_size=1),
)
def test_auc_with_ties_equals_the_share_of_ordered_pairs(rows):
    scores, labels = (np.array(column, float) for column in zip(*rows, strict=True))
    positive, negative = scores[labels == 1], scores[labels == 0]
    found = auc(scores, labels)
    if not len(positive) or not len(negative):
        assert found is None
        return
    difference = positive[:, None] - negative[None, :]
    expected = np.where(difference > 0, 1.0, np.where(difference == 0, 0.5, 0.0)).mean()
    assert found == pytest.approx(expected, abs=1e-15)
    assert found == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(2, 400), st.sampled_from([1, 2, 8]))
def test_score_equals_scikit_learn(seed, rows, decimals):
    rng = np.random.default_rng(seed)
    # Beyond 8, chances in double precision have lost digits of the log loss.
    logits = rng.normal(0, 3, rows).clip(-8, 8).round(decimals).astype(np.float32)
    labels = (rng.random(rows) < 0.3).astype(np.float32)
    labels[:2] = 0, 1
    found = score(logits, labels)
    chance = 1 / (1 + np.exp(-logits.astype(float)))
    assert found.log_loss == pytest.approx(metrics.log_loss(labels, chance), abs=1e-12)
    assert found.auc == pytest.approx(metrics.roc_auc_score(labels, logits), abs=1e-12)
    losses = -np.log(np.where(labels == 1, chance, 1 - chance))
    assert found.log_loss_se == pytest.approx(losses.std(ddof=1) / math.sqrt(rows), abs=1e-12)
    assert found.num_rows == rows


def test_log_loss_is_exact_where_probabilities_round_to_0_and_1():
    logits = np.array([1000.0, -1000.0, 1000.0, -40.0])
    assert log_losses(logits, [1, 0, 0, 0]).tolist() == [0, 0, 1000, math.log1p(math.exp(-40))]


def test_one_row_has_no_standard_error():
    assert score([0.0], [1]).log_loss_se is None
