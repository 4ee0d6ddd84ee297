from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.preprocessing import OneHotEncoder

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.retrain import _baselines, baselines, constant_log_loss, logistic_regression


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate_synthetic(tmp_path_factory.mktemp("data") / "log", rows=6000, seed=1)


def test_constant_is_the_training_click_rate(dataset):
    rate = dataset.split("train").rows(slice(None)).labels.mean()
    labels = dataset.split("test").rows(slice(None)).labels
    expected = sklearn_log_loss(labels, np.full(len(labels), rate))
    assert constant_log_loss(dataset) == pytest.approx(expected, abs=1e-4)


def test_logistic_regression_equals_a_direct_fit_at_its_penalty(dataset):
    result = logistic_regression(dataset)
    wide = Dataset.open(dataset.path, min_count=1, binned_dense=True)
    parts = {name: wide.split(name).rows(slice(None)) for name in ("train", "validation", "test")}
    encoder = OneHotEncoder(handle_unknown="ignore").fit(parts["train"].sparse)
    direct = LogisticRegression(C=result.penalty, solver="liblinear", tol=1e-6)
    # liblinear penalises its intercept; a large one hardly.
    direct.set_params(intercept_scaling=100)
    direct.fit(encoder.transform(parts["train"].sparse), parts["train"].labels)
    for name, ours in (
        ("validation", result.validation_log_loss),
        ("test", result.test_log_loss),
    ):
        answers = direct.predict_proba(encoder.transform(parts[name].sparse))[:, 1]
        assert ours == pytest.approx(sklearn_log_loss(parts[name].labels, answers), abs=5e-4)


def test_the_penalty_is_the_best_of_at_least_five_on_validation(dataset):
    result = logistic_regression(dataset)
    assert len(result.tried) >= 5
    best = min(result.tried.values())
    assert result.tried[result.penalty] == best
    assert result.validation_log_loss == pytest.approx(best, abs=1e-6)  # few rows: all chose it


def test_figures_are_of_all_rows_though_fewer_choose_the_penalty(dataset, monkeypatch):
    monkeypatch.setattr(_baselines, "CHOICE_ROWS", 50)
    for result in baselines(dataset).values():
        for name, logits, loss in (
            ("validation", result.validation_logits, result.validation_log_loss),
            ("test", result.test_logits, result.test_log_loss),
        ):
            labels = dataset.split(name).labels
            assert logits.shape == labels.shape
            expected = sklearn_log_loss(labels, 1 / (1 + np.exp(-logits.astype(float))))
            assert loss == pytest.approx(expected, abs=1e-9)


def test_progress_is_told_from_the_beginning(dataset):
    told: list[tuple[int, int | None]] = []
    result = logistic_regression(dataset, lambda done, total: told.append((done, total)))
    assert told == [(done, len(_baselines.PENALTIES)) for done in range(len(result.tried) + 1)]


def test_how_the_dataset_was_opened_does_not_weaken_the_baseline(dataset):
    coarse = Dataset.open(dataset.path, min_count=50, binned_dense=False)
    found, expected = baselines(coarse), baselines(dataset)
    assert {n: b.to_dict() for n, b in found.items()} == {
        n: b.to_dict() for n, b in expected.items()
    }


def test_a_sample_of_the_training_rows_is_used_where_there_are_too_many(dataset):
    result = logistic_regression(dataset, max_rows=1000)
    assert result.rows == 1000
    assert result.test_log_loss < constant_log_loss(dataset) + 0.02
    assert result.test_log_loss > logistic_regression(dataset).test_log_loss
