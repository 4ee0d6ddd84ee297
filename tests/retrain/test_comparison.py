"""Paired differences agree with SciPy's paired t-test, and with the means that are reported."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import log_loss as sklearn_log_loss

from nasrec_opt.data import Schema, prepare
from nasrec_opt.data._split import SPLITS, split_of
from nasrec_opt.retrain import compare, constant, logistic_regression


def test_a_difference_is_that_of_the_means_and_its_error_that_of_a_paired_test():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    one, other = rng.normal(size=400), rng.normal(size=400)
    found = compare(one, other, labels)
    p, q = 1 / (1 + np.exp(-one)), 1 / (1 + np.exp(-other))
    by = sklearn_log_loss(labels, p) - sklearn_log_loss(labels, q)
    assert found.difference == pytest.approx(by, abs=1e-12)
    losses = [-np.log(np.where(labels, r, 1 - r)) for r in (p, q)]
    expected = stats.ttest_rel(*losses)
    assert found.difference / found.standard_error == pytest.approx(expected.statistic, rel=1e-9)
    assert found.rows == 400


def test_one_row_has_no_standard_error():
    assert compare([0.0], [1.0], [1]).standard_error is None


def test_a_log_without_clicks_in_training_has_finite_baselines(tmp_path):
    rows = [f"0,{i % 9},c{i % 4}" for i in range(200)]
    split = split_of(0, len(rows), 0)
    for place in (SPLITS.index("validation"), SPLITS.index("test")):
        row = int(np.flatnonzero(split == place)[0])
        rows[row] = "1" + rows[row][1:]
    (tmp_path / "log.csv").write_text("\n".join(["y,a,u", *rows]))
    schema = Schema(label="y", dense=("a",), sparse=("u",))
    dataset = prepare(tmp_path / "log.csv", tmp_path / "log", format=schema)
    assert dataset.meta["clicks"]["train"] == 0
    regression, least = logistic_regression(dataset), constant(dataset)
    assert regression.to_dict() == least.to_dict()
    assert np.isfinite(least.test_log_loss)
    assert least.test_auc == 0.5
    assert least.validation_log_loss == pytest.approx(
        -np.log(0.5 / 161) / 20 - 19 / 20 * np.log1p(-0.5 / 161)
    )
