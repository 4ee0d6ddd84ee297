"""How many models an ensemble averages: two epochs of one training are one model."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.report import averaged_in_words

A, B, C = ({"space": "nasrec_small", "blocks": [name]} for name in "abc")


def member(genotype: dict, seed: int = 0, weights: str = "model") -> dict:
    return {"genotype": genotype, "seed": seed, "weights": weights}


def other(genotype: dict, seed: int = 0) -> dict:
    return member(genotype, seed, "other_epoch")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([member(A), member(B)], "2 models"),
        ([member(A), other(B), member(C)], "3 models"),
        ([member(A, 0), member(A, 1)], "2 models"),  # two trainings of one architecture
        ([member(A, 0), other(A, 1)], "2 models"),
        ([other(A), member(A)], "two epochs of one model"),
        ([member(A), member(B), other(A)], "2 models, one of them at two epochs"),
        ([member(A), other(A), member(B), other(B)], "2 models, each at two epochs"),
        (
            [member(A), other(A), member(B), other(B), member(C)],
            "3 models, 2 of them at two epochs",
        ),
    ],
)
def test_models_are_counted_and_not_their_epochs(members, words):
    assert averaged_in_words({"members": members}) == words
    retrained = averaged_in_words({"members": members}, "retrained model")
    assert retrained == re.sub("model", "retrained model", words)


@given(
    st.lists(
        st.tuples(st.sampled_from([A, B, C]), st.integers(0, 2), st.booleans()),
        min_size=2,
        max_size=8,
        unique_by=str,
    )
)
def test_any_ensemble_has_as_many_members_as_its_words_say(drawn):
    members = [member(g, seed, "other_epoch" if late else "model") for g, seed, late in drawn]
    words = averaged_in_words({"members": members})
    if words == "two epochs of one model":
        assert len(members) == 2
        return
    models = int(words.split()[0])
    said = re.search(r", (\w+)( of them)? at two epochs", words)
    twice = {None: 0, "one": 1, "each": models}.get(said and said[1])
    assert len(members) == models + (int(said[1]) if twice is None else twice)
