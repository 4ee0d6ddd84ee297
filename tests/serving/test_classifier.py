"""An architecture as a scikit-learn classifier."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from nasrec_opt import BlockGene, CTRClassifier, Genotype, Predictor, Subnet
from nasrec_opt.errors import DataError, StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.options import RetrainConfig

GENE = BlockGene(dense_ops=("fc",), sparse_ops=("efc",), dense_width=16, sparse_width=16)
GENOTYPE = Genotype((GENE,)).with_bits(32)
QUICK = RetrainConfig(batch_size=32, epochs=8, learning_rates=(0.02,))


SPLIT = "the number of a row decides whether it trains, chooses or is held out"


# All that apply; the one that needs SCIPY_ARRAY_API in the environment skips itself.
@parametrize_with_checks(
    [CTRClassifier(GENOTYPE, config=QUICK)],
    expected_failed_checks=lambda _: {"check_sample_weight_equivalence_on_dense_data": SPLIT},
)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def clicks_of(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of which a shop and an hour decide the click, with missing values."""
    rng = np.random.default_rng(seed)
    shop, hour = rng.integers(0, 6, rows), rng.uniform(0, 24, rows)
    logit = 1.5 * (shop % 3 - 1) + 0.15 * (hour - 12)
    hour[rng.random(rows) < 0.1] = np.nan
    names = np.array(["a", "b", "c", "d", "e", None], dtype=object)[shop]
    frame = pd.DataFrame({"shop": names, "hour": hour, "day": rng.integers(1, 8, rows)})
    return frame, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)


@pytest.fixture(scope="module")
def fitted() -> CTRClassifier:
    return CTRClassifier(GENOTYPE, config=QUICK).fit(*clicks_of(2000, 0))


def test_it_learns_from_numbers_and_categories(fitted):
    frame, clicks = clicks_of(2000, 1)
    found = fitted.predict_proba(frame)
    assert found.shape == (2000, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert roc_auc_score(clicks, found[:, 1]) > 0.8
    assert log_loss(clicks, found) == pytest.approx(fitted.test_log_loss_, abs=0.06)
    assert fitted.score(frame, clicks) == np.mean(fitted.predict(frame) == clicks)
    assert list(fitted.feature_names_in_) == ["shop", "hour", "day"]
    assert fitted.predictor_.preprocessor.schema.dense == ("hour", "day")


def test_the_kind_of_table_does_not_matter(fitted, tmp_path):
    frame, _ = clicks_of(40, 2)
    expected = fitted.predict_proba(frame)
    for given in (pl.from_pandas(frame), frame.astype({"shop": "category"})):
        np.testing.assert_allclose(fitted.predict_proba(given), expected, atol=1e-7)
    np.testing.assert_allclose(fitted.predictor_.predict(frame), expected[:, 1], atol=1e-7)
    fitted.predictor_.save(tmp_path / "model")
    found = Predictor.load(tmp_path / "model").predict(frame)
    np.testing.assert_allclose(found, expected[:, 1], atol=1e-7)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(frame), expected)


def test_columns_named_as_sparse_are_categories(fitted):
    frame, clicks = clicks_of(600, 3)
    named = CTRClassifier(GENOTYPE, config=QUICK, sparse=["shop", "day"]).fit(frame, clicks)
    schema = named.predictor_.preprocessor.schema
    assert (schema.dense, schema.sparse) == (("hour",), ("shop", "day"))
    floats = frame.astype({"day": float})
    np.testing.assert_array_equal(named.predict_proba(floats), named.predict_proba(frame))


def test_a_seed_decides_the_result_and_a_clone_has_it():
    frame, clicks = clicks_of(300, 4)
    one = CTRClassifier(GENOTYPE, config=QUICK, random_state=5)
    answers = [m.fit(frame, clicks).predict_proba(frame) for m in (one, clone(one))]
    np.testing.assert_array_equal(*answers)
    other = clone(one).set_params(random_state=6).fit(frame, clicks)
    assert not np.array_equal(other.predict_proba(frame), answers[0])


def test_it_goes_into_a_calibration():
    frame, clicks = clicks_of(600, 5)
    labels = np.where(clicks == 1, "click", "none")
    calibrated = CalibratedClassifierCV(CTRClassifier(GENOTYPE, config=QUICK), cv=2)
    found = calibrated.fit(frame, labels)
    assert list(found.classes_) == ["click", "none"]
    assert roc_auc_score(labels == "click", found.predict_proba(frame)[:, 0]) > 0.7


def test_a_path_names_the_architecture(tmp_path):
    frame, clicks = clicks_of(200, 6)
    Subnet(GENOTYPE, FeatureSpec(1, (3,))).save(tmp_path / "model")
    expected = CTRClassifier(GENOTYPE, config=QUICK).fit(frame, clicks).predict_proba(frame)
    file = tmp_path / "model" / "genotype.json"
    found = CTRClassifier(str(file), config=QUICK).fit(frame, clicks)
    np.testing.assert_array_equal(found.predict_proba(frame), expected)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"genotype": "none"}, StudyError, "none: expected a run or a trained model, found"),
        ({"genotype": 3}, StudyError, "genotype: expected a Genotype or a path, got 3"),
        ({"sparse": ["shops"]}, DataError, "sparse: expected columns of X, got 'shops'"),
        ({"min_count": 0}, DataError, "min_count: expected 1 or more, got 0"),
    ],
)
def test_bad_parameters_are_one_sentence(changes, error, sentence):
    model = CTRClassifier(**{"genotype": GENOTYPE, "config": QUICK} | changes)
    with pytest.raises(error, match=re.escape(sentence)):
        model.fit(*clicks_of(100, 7))


def test_bad_rows_are_one_sentence(fitted):
    frame, _ = clicks_of(100, 8)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(frame.rename(columns={"hour": "time"}))
    with pytest.raises(DataError, match=r"rows:1: field hour: expected a"):
        fitted.predict(frame.astype({"hour": object}).assign(hour="noon"))
    with pytest.raises(ValueError, match="expected labels of two classes, got one class"):
        clone(fitted).fit(frame, np.ones(100))
    with pytest.raises(DataError, match="expected at least 10 rows, got 5"):
        clone(fitted).fit(frame[:5], [0, 1, 0, 1, 0])


def test_weights_of_rows_reach_the_model():
    frame, clicks = clicks_of(600, 9)
    turned = np.concatenate([clicks, 1 - clicks])  # each row twice, once with the wrong label
    weights = np.repeat([3.0, 0.0], 600)
    twice = pd.concat([frame, frame], ignore_index=True).assign(weight=1.0)  # a name that is taken
    model = CTRClassifier(GENOTYPE, config=QUICK).fit(twice, turned, sample_weight=weights)
    assert roc_auc_score(clicks, model.predict_proba(twice[:600])[:, 1]) > 0.8
    assert model.test_log_loss_ < 0.6
    assert model.predictor_.preprocessor.schema.dense == ("hour", "day", "weight")
    whole, listed, unit = (
        clone(model).fit(frame, clicks, sample_weight=given)
        for given in (np.ones(600), [1] * 600, 10)
    )
    expected = whole.predict_proba(frame)
    np.testing.assert_array_equal(listed.predict_proba(frame), expected)
    np.testing.assert_allclose(unit.predict_proba(frame), expected, atol=1e-6)
    plain = clone(model).fit(frame, clicks)
    np.testing.assert_allclose(plain.predict_proba(frame), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (np.ones(99), "sample_weight: expected a weight for each of 100 rows, got the shape (99,)"),
        (np.full(100, -1.0), "sample_weight: expected finite weights, 0 or more, got others"),
        (
            clicks_of(100, 7)[1],
            "sample_weight: expected a weight above 0 in rows of both classes, got one class",
        ),
        (np.full(100, np.nan), "sample_weight: expected finite weights, 0 or more, got others"),
    ],
)
def test_bad_weights_are_one_sentence(weights, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        CTRClassifier(GENOTYPE, config=QUICK).fit(*clicks_of(100, 7), sample_weight=weights)
