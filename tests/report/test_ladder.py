"""What is said of a ladder, from its summary alone."""

from __future__ import annotations

from nasrec_opt.report import expectation_in_words, ladder_in_words
from nasrec_opt.report._html import Row
from nasrec_opt.report._ladder import ladder_table

LADDER = {
    "candidates": 96,
    "rungs": [
        {"epochs": 0.5, "models": 3, "promoted": 2, "seconds_per_model": 4.0},
        {"epochs": 1, "models": 2, "promoted": 1, "seconds_per_model": 8.0},
    ],
    "models": [
        {"trial": 7, "score": 0.51, "log_losses": [0.5, 0.49]},
        {"trial": 9, "score": 0.52, "log_losses": [0.5, 0.48]},
        {"trial": 11, "score": 0.53, "log_losses": [None]},
    ],
    "finalists": [9],
    "tau": 0.45,
    "tau_of_score": -0.3,
    "failures": {"11": "training: expected a finite <log loss>"},
}


def test_a_climb_in_words():
    assert ladder_in_words(LADDER) == (
        "96 candidates, 3 trained to 0.5 epochs, 2 trained to 1 epoch, 1 finalist. 1 model failed "
        "(training: expected a finite <log loss>). The search's scores rank the trained models "
        "with Kendall's tau -0.30, scores corrected by the other models with 0.45."
    )


def test_without_taus_nothing_is_said_of_ranking():
    assert "Kendall" not in ladder_in_words(LADDER | {"tau": None})


def test_the_table_has_the_farthest_first_and_marks_the_finalists():
    table = ladder_table(LADDER)
    assert table.heads == [
        "",
        "searched log loss",
        "validation log loss after 0.5 epochs",
        "validation log loss after 1 epoch",
    ]
    assert table.rows == [
        Row(["trial 9", "0.5200", "0.5000", "0.4800"], "best"),
        Row(["trial 7", "0.5100", "0.5000", "0.4900"]),
        Row(["trial 11", "0.5300", "-", ""]),
    ]


def test_one_seed_says_nothing_of_another():
    expected = {"mean": 0.49, "low": 0.48, "high": 0.5, "seeds": 1}
    assert expectation_in_words({"models": [{"expected_test_log_loss": expected}]}) == []
    [sentence] = expectation_in_words(
        {"models": [{"expected_test_log_loss": expected | {"seeds": 3}}]}
    )
    assert "0.4900 on such rows (0.4800 to 0.5000 at 95 %, 3 seeds)" in sentence
    assert expectation_in_words({"models": [{}]}) == []
    assert expectation_in_words({}) == []
