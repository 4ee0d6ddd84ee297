"""The published models: whole, of the spaces that they were found in, told apart by name."""

from __future__ import annotations

import pytest

from nasrec_opt import SearchSpace, published
from nasrec_opt.errors import GenotypeError
from nasrec_opt.space import published_model, published_models

SPACES = {"small": SearchSpace.nasrec_small(), "full": SearchSpace.nasrec_full()}
NAMES = [f"{log}-{space}" for log in ("criteo", "avazu", "kdd") for space in SPACES]


def test_there_are_six_distinct_ones():
    models = published_models()
    assert sorted(models) == sorted(NAMES)
    assert len({model.genotype.canonical() for model in models.values()}) == 6


@pytest.mark.parametrize("name", NAMES)
def test_each_is_of_the_space_that_it_was_found_in(name):
    space = SPACES[name.split("-")[1]]
    genotype = published_model(name).genotype
    assert space.contains(genotype)
    assert space.decode(space.encode(genotype)).canonical() == genotype.canonical()


def test_a_model_by_its_log_and_space():
    for name in NAMES:
        assert published(*name.split("-")) == published_model(name)
    with pytest.raises(GenotypeError, match=r"expected one of criteo-small, .*, got 'criteo-tiny'"):
        published("criteo", "tiny")


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(GenotypeError, match=r"expected one of criteo-small, .*, got 'movielens'"):
        published_model("movielens")
