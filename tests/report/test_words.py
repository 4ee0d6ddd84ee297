"""The report says better or worse in words, by how much, and whether that is noise."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.report import comparisons
from nasrec_opt.report._words import is_behind


def results(difference: float, error: float | None, clicks=((4800, 12000), (900, 12000))):
    entry = {"difference": difference, "standard_error": error, "rows": 12000}
    return {
        "models": [{"test_log_loss": 0.5 + difference, "against": {"logistic_regression": entry}}],
        "baselines": {"logistic_regression": {"test_log_loss": 0.5}},
        "clicks": {"train": clicks[0], "test": clicks[1]},
    }


@pytest.mark.parametrize(
    ("difference", "error", "sentence"),
    [
        (
            0.0118,
            0.0031,
            "The best retrained model is worse than logistic regression by 0.0118 ± 0.0031 (test "
            "log loss, lower is better, 12,000 rows).",
        ),
        (
            -0.0118,
            0.0031,
            "The best retrained model is better than logistic regression by 0.0118 ± 0.0031 (test "
            "log loss, lower is better, 12,000 rows).",
        ),
        (
            -0.0021,
            0.0031,
            "The best retrained model is no better than logistic regression: its log loss is "
            "0.0021 ± 0.0031 lower, which is within noise (test log loss, lower is better, 12,000 "
            "rows).",
        ),
        (
            0.0,
            0.0,
            "The best retrained model is no better than logistic regression: their log losses are "
            "equal (test log loss, lower is better, 12,000 rows).",
        ),
        (
            -0.000012,
            0.0000031,
            "The best retrained model is better than logistic regression by 0.0000120 ± 0.0000031 "
            "(test log loss, lower is better, 12,000 rows).",
        ),
    ],
)
def test_the_verdict_is_in_words(difference, error, sentence):
    found = comparisons(results(difference, error))
    assert found[0] == sentence
    assert ("It was trained on 12,000 rows with 4,800 clicks." in found) == (
        "is better than" not in sentence
    )


def test_few_clicks_are_said():
    found = comparisons(results(-0.01, 0.001, ((1, 2400), (0, 300))))
    assert found[-1] == (
        "The comparison is on 300 rows with 0 clicks, too few of one class to rely on."
    )
    found = comparisons(results(0.01, 0.001, ((1, 2400), (300, 300))))
    assert found[1] == "It was trained on 2,400 rows with 1 click."


def test_results_of_earlier_versions_have_a_verdict_without_an_error():
    old = {
        "models": [{"test_log_loss": 0.4821}],
        "baselines": {"constant": 0.5746, "logistic_regression": 0.4703},
    }
    found = comparisons(old)
    assert found == [
        "The best retrained model is worse than logistic regression by 0.0118 (test log loss, "
        "lower is better; whether this is noise is not known).",
        "The best retrained model is better than the constant click rate by 0.0925 (test log loss, "
        "lower is better; whether this is noise is not known).",
    ]
    assert is_behind(old)
    assert comparisons({}) == comparisons({"models": []}) == []


@given(st.floats(-1, 1), st.floats(1e-9, 1))
def test_better_and_worse_need_two_standard_errors(difference, error):
    sentence = comparisons(results(difference, error))[0]
    words = [w for w in (" better than ", " worse than ", " within noise ") if w in sentence]
    if math.isclose(abs(difference), 2 * error):
        return
    if abs(difference) < 2 * error:
        assert " within noise " in words
        assert "no better than" in sentence
    else:
        assert words == [" better than "] if difference < 0 else words == [" worse than "]
    assert is_behind(results(difference, error)) == (difference >= 0 or -difference < 2 * error)
