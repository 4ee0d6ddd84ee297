"""What follows the number of rows: batch sizes, steps, rates, and the threshold of rare values."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

import pytest
from conftest import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt._recipe import min_count, model_recipe, supernet_recipe
from nasrec_opt.oracle import Scratch
from nasrec_opt.retrain import RetrainConfig
from nasrec_opt.supernet import TrainConfig

LEAST_STEPS = 400  # of any training: fewer teach a model nothing
rows = st.integers(1, 50_000_000)


@given(rows, rows)
def test_a_longer_log_has_no_smaller_steps_and_no_lower_threshold(one, other):
    short, long = sorted((one, other))
    assert min_count(short) <= min_count(long)
    for recipe in (model_recipe, supernet_recipe):
        assert recipe(short).batch_size <= recipe(long).batch_size <= 512
        assert recipe(short).batch_size.bit_count() == 1  # a power of two


@given(st.integers(2_000, 50_000_000))
def test_every_log_has_steps_enough_to_learn_from(count):
    recipe = model_recipe(count)
    steps = count // recipe.batch_size * recipe.epochs
    assert steps >= max(LEAST_STEPS, recipe.least_steps)


def test_the_quickstarts_log_has_the_supernet_that_was_chosen_for_it():
    # Written down in runs of before, which go on with it; docs/decisions/small_logs.md.
    assert asdict(supernet_recipe(96_000)) == {
        "batch_size": 128,
        "epochs": 3,
        "learning_rate": 0.03,
        "embedding_rate": 0.05,
        "embedding_prior": 0.25,
    }


def test_no_rows_have_the_recipe_of_few():
    """That there are none is said by who reads them."""
    assert supernet_recipe(0) == supernet_recipe(1)
    assert model_recipe(0) == model_recipe(1)
    assert min_count(0) == min_count(1)


@given(st.integers(96_000, 9_999_999))
def test_a_supernet_has_no_pass_that_its_steps_do_not_need(count):
    recipe = supernet_recipe(count)
    steps = count / recipe.batch_size
    assert steps * recipe.epochs >= 2_250
    assert recipe.epochs == 1 or steps * (recipe.epochs - 1) < 2_250


def test_a_log_of_the_papers_size_has_the_papers_settings():
    found = TrainConfig().for_rows(36_672_493)
    assert (found.batch_size, found.epochs, found.learning_rate) == (512, 1, 0.12)
    assert found.identity() == TrainConfig(learning_rate=0.12).for_rows(36_672_493).identity()
    assert min_count(36_672_493) == 10


@given(rows)
def test_what_is_given_wins_and_the_rest_is_filled_in(count):
    config = RetrainConfig(batch_size=77, patience=0).for_rows(count)
    assert (config.batch_size, config.patience) == (77, 0)
    assert config == config.for_rows(2 * count)  # nothing is left open
    assert replace(config, batch_size=None, patience=None).for_rows(count) == (
        RetrainConfig().for_rows(count)
    )
    supernet = TrainConfig(epochs=7, embedding_rate=0.5).for_rows(count)
    assert (supernet.epochs, supernet.embedding_rate) == (7, 0.5)
    assert supernet == supernet.for_rows(2 * count)


@given(rows)
def test_a_rate_that_is_given_is_the_tables_too(count):
    settled = TrainConfig(learning_rate=0.01).for_rows(count)
    assert settled.embedding_rate is None
    assert settled.identity() == replace(settled, embedding_rate=0.01).identity()


@given(rows)
def test_a_subnet_from_scratch_is_trained_as_the_supernet_is(count):
    scratch, supernet = Scratch().for_rows(count), TrainConfig().for_rows(count)
    for name in ("batch_size", "epochs", "learning_rate", "embedding_rate", "embedding_prior"):
        assert getattr(scratch, name) == getattr(supernet, name) is not None


def test_the_reference_has_what_logs_come_to():
    page = (REPOSITORY / "docs" / "reference" / "study_file.md").read_text()
    table = page.partition("## What follows the log")[2].partition("\n## ")[0]
    found = re.findall(r"^\| ([\d,]+) \| (\d+) \| (.+) \| (.+) \|$", table, re.MULTILINE)
    assert len(found) == 6
    for log, least, of_supernet, of_model in found:
        count = int(log.replace(",", "")) * 8 // 10
        assert int(least) == min_count(count)
        assert of_supernet == ", ".join(map(str, asdict(supernet_recipe(count)).values()))
        assert of_model == ", ".join(map(str, asdict(model_recipe(count)).values()))


@pytest.mark.parametrize("config", [TrainConfig(), Scratch(), RetrainConfig()])
def test_a_configuration_says_what_it_comes_to(config):
    assert config.batch_size is None
    assert config.for_rows(96_000).batch_size in (128, 512)


@given(rows)
def test_a_supernet_whose_scores_are_corrected_has_no_more_passes(count):
    usual, fewer = supernet_recipe(count), supernet_recipe(count, has_ladder=True)
    assert replace(fewer, epochs=usual.epochs) == usual
    assert 1 <= fewer.epochs <= usual.epochs
    assert [supernet_recipe(n, has_ladder=True).epochs for n in (31_999, 48_000, 96_000)] == [
        3,
        2,
        1,
    ]
