"""The winner is decided by validation rows alone, and a sentence says by how much."""

from __future__ import annotations

import copy

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nasrec_opt.report import comparisons, winner, winner_in_words
from nasrec_opt.report._winner import name_of_winner
from nasrec_opt.report._words import is_behind

LOSSES = st.integers(1_000, 9_000).map(lambda n: n / 10_000)  # no nearer than words can tell
MEMBERS = [
    {"genotype": {"blocks": [name]}, "seed": 0, "weights": weights}
    for name, weights in (("a", "model"), ("b", "model"), ("a", "other_epoch"))
]
NAMES = ("constant", "logistic_regression", "model")  # the simplest first


def results(validation, test, errors=(0.001, 0.001)):
    """What a run wrote; log losses of the constant, logistic regression, and the best model."""

    def paired(losses, error, rows):
        return {
            name: {"difference": losses[2] - loss, "standard_error": error, "rows": rows}
            for name, loss in zip(NAMES, losses[:2], strict=False)
        }

    figures = [
        {"validation_log_loss": v, "test_log_loss": t}
        for v, t in zip(validation, test, strict=True)
    ]
    against = {
        "against_on_validation": paired(validation, errors[0], 11000),
        "against": paired(test, errors[1], 12000),
    }
    return {
        "models": [figures[2] | {"trial": 7} | against],
        "baselines": dict(zip(NAMES, figures[:2], strict=False)),
    }


@given(st.tuples(LOSSES, LOSSES, LOSSES), st.tuples(LOSSES, LOSSES, LOSSES))
@example((0.5, 0.5, 0.5), (0.5, 0.5, 0.4))
@example((0.6, 0.5, 0.5), (0.6, 0.5, 0.1))
def test_the_lowest_on_validation_wins_and_a_tie_goes_to_the_simplest(validation, test):
    found = winner(results(validation, test))
    place = min(range(3), key=lambda i: (validation[i], i))
    assert found == {
        "name": NAMES[place],
        "validation_log_loss": validation[place],
        "test_log_loss": test[place],
    }


@given(st.tuples(LOSSES, LOSSES, LOSSES), st.lists(LOSSES, min_size=6, max_size=6))
def test_test_rows_change_the_name_of_no_winner(validation, test):
    one, other = (results(validation, losses, (0.01, 1e-6)) for losses in (test[:3], test[3:]))
    assert winner(one)["name"] == winner(other)["name"]
    assert name_of_winner(one) == name_of_winner(other)


@given(st.tuples(LOSSES, LOSSES, LOSSES), st.tuples(LOSSES, LOSSES, LOSSES))
def test_the_sentence_never_contradicts_the_winner(validation, test):
    found = results(validation, test)
    [sentence] = winner_in_words(found)
    said = sentence.split("validation rows its log loss is ")[1].split(", and on")[0]
    assert " higher " not in said
    tie = min(validation) == sorted(validation)[1]
    assert tie or " lower than " in said or "equal" in said


@pytest.mark.parametrize(
    ("validation", "test", "errors", "sentence"),
    [
        (
            (0.57, 0.50, 0.48),
            (0.57, 0.50, 0.51),
            (0.002, 0.002),
            "The winner is the best retrained model, test log loss 0.5100: on 11,000 validation "
            "rows its log loss is 0.0200 ± 0.0020 lower than that of logistic regression, and on "
            "12,000 test rows 0.0100 ± 0.0020 higher.",
        ),
        (
            (0.57, 0.48, 0.50),
            (0.57, 0.50, 0.42),
            (0.002, 0.002),
            "The winner is logistic regression, test log loss 0.5000: on 11,000 validation rows "
            "its log loss is 0.0200 ± 0.0020 lower than that of the best retrained model, and on "
            "12,000 test rows 0.0800 ± 0.0020 higher.",
        ),
        (
            (0.5, 0.57, 0.501),
            (0.5, 0.57, 0.501),
            (0.002, 0.002),
            "The winner is the constant click rate, test log loss 0.5000: on 11,000 validation "
            "rows its log loss is 0.0010 ± 0.0020 lower than that of the best retrained model "
            "(within noise), and on 12,000 test rows 0.0010 ± 0.0020 lower (within noise).",
        ),
        (
            (0.57, 0.5, 0.5),
            (0.57, 0.5, 0.5),
            (0.0, 0.0),
            "The winner is logistic regression, test log loss 0.5000: on 11,000 validation rows "
            "its log loss is equal to that of the best retrained model, and on 12,000 test rows "
            "equal.",
        ),
    ],
)
def test_the_winner_is_one_sentence(validation, test, errors, sentence):
    assert winner_in_words(results(validation, test, errors)) == [sentence]


def test_what_the_sentence_says_is_not_said_twice():
    found = results((0.57, 0.50, 0.48), (0.57, 0.50, 0.49))
    assert comparisons(found) == [
        "The best retrained model is better than the constant click rate by 0.0800 ± 0.0010 (test "
        "log loss, lower is better, 12,000 rows)."
    ]
    assert not is_behind(found)


def test_a_model_that_a_baseline_beats_on_validation_is_behind_whatever_test_rows_say():
    assert is_behind(results((0.57, 0.48, 0.50), (0.57, 0.50, 0.42)))


@given(st.tuples(LOSSES, LOSSES, LOSSES), LOSSES, st.tuples(LOSSES, LOSSES, LOSSES, LOSSES))
@example((0.6, 0.5, 0.4), 0.4, (0.6, 0.5, 0.4, 0.3))
@example((0.6, 0.5, 0.4), 0.39, (0.6, 0.5, 0.4, 0.5))
def test_an_ensemble_wins_where_validation_rows_say_so(validation, together, test):
    found = results(validation, test[:3])
    alike = results((*validation[:2], together), (*test[:2], test[3]))["models"][0]
    found["ensemble"] = {k: v for k, v in alike.items() if k != "trial"} | {"members": MEMBERS}
    won = winner(found)
    assert (won["name"] == "ensemble") == (together < min(validation))
    assert won["validation_log_loss"] == min(*validation, together)
    [sentence] = winner_in_words(found)
    if won["name"] == "ensemble":
        assert sentence.startswith(
            "The winner is the mean of 2 retrained models, one of them at two epochs, test log "
            f"loss {test[3]:.4f}: on"
        )
        assert name_of_winner(found) == "ensemble of 2 models, one of them at two epochs"
        assert "lower than that of" in sentence.split("test rows")[0]
    else:
        assert "the mean of" not in sentence


def test_results_of_earlier_versions_have_the_winner_that_they_can_name():
    """They lack paired differences on validation rows, and older ones a baseline's figures."""
    old = copy.deepcopy(results((0.57, 0.48, 0.50), (0.57, 0.50, 0.42)))
    del old["models"][0]["against_on_validation"]
    old["winner"] = {"name": "model", "test_log_loss": 0.42}  # as test rows had decided
    assert winner(old)["name"] == "logistic_regression"
    assert winner_in_words(old) == [
        "The winner is logistic regression, test log loss 0.5000: on validation rows its log loss "
        "is 0.0200 lower than that of the best retrained model, and on 12,000 test rows 0.0800 ± "
        "0.0010 higher."
    ]
    older = {"models": [{"test_log_loss": 0.48}], "baselines": {"logistic_regression": 0.47}}
    for nobody in (older, {}, {"models": []}):
        assert winner(nobody) is None
        assert winner_in_words(nobody) == []
        assert name_of_winner(nobody) == "-"
    assert "worse than logistic regression by 0.0100" in comparisons(older)[0]


def test_the_only_competitor_wins():
    alone = {"models": [{"test_log_loss": 0.48, "validation_log_loss": 0.47, "trial": 3}]}
    assert winner(alone)["name"] == "model"
    assert winner_in_words(alone) == []  # there is nothing to compare it with
    assert name_of_winner(alone) == "model 1 (trial 3)"
