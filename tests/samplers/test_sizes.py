"""Sizes that nobody gave follow those that somebody did, in every place that has them."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import StudyConfig
from nasrec_opt.samplers import (
    RegularizedEvolutionSampler,
    evolution_sizes,
    make_sampler,
    pool_sizes,
)
from nasrec_opt.space import SearchSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = SearchSpace.nasrec_small(2)
COUNTS = st.none() | st.integers(1, 1000)


@pytest.mark.parametrize(
    ("given_sizes", "expected"),
    [
        ({}, None),
        ({"population_size": 8}, (8, 4)),
        ({"population_size": 1}, (1, 1)),
        ({"population_size": 1000}, (1000, 64)),
        ({"tournament_size": 16}, (128, 16)),
        ({"tournament_size": 200}, (200, 200)),
    ],
)
def test_an_evolution_of_one_size(given_sizes, expected):
    assert evolution_sizes(**given_sizes) == expected


@pytest.mark.parametrize(
    ("given_sizes", "expected"),
    [({}, (256, 8)), ({"pool_size": 4}, (4, 4)), ({"batch_size": 300}, (300, 300))],
)
def test_a_pool_of_one_size(given_sizes, expected):
    assert pool_sizes(**given_sizes) == expected


@given(population_size=COUNTS, tournament_size=COUNTS, pool_size=COUNTS, batch_size=COUNTS)
def test_only_two_given_sizes_can_disagree(population_size, tournament_size, pool_size, batch_size):
    for sizes, whole, part in (
        (evolution_sizes, population_size, tournament_size),
        (pool_sizes, pool_size, batch_size),
    ):
        if whole is not None and part is not None and part > whole:
            with pytest.raises(
                StudyError, match=f"expected at most the po.* of {whole}, got {part}"
            ):
                sizes(whole, part)
            continue
        found = sizes(whole, part)
        if found is None:  # they grow
            assert sizes is evolution_sizes
            assert whole is part is None
            continue
        found_whole, found_part = found
        assert 1 <= found_part <= found_whole
        assert whole in (None, found_whole)
        assert part in (None, found_part)


def test_a_small_population_alone_searches():
    def objective(trial: optuna.Trial) -> float:
        return trial.suggest_int("use_bn", 0, 1) + trial.suggest_float("x", 0, 1)

    for sampler in (
        RegularizedEvolutionSampler(population_size=8, seed=0),
        make_sampler("evolution", None, seed=0, population_size=8),
    ):
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_trials=30)
        assert len(sampler.population(study)) == 8


def read(text: str, folder: Any) -> StudyConfig:
    path = folder / "study.toml"
    path.write_text(text)
    return StudyConfig.from_toml(path)


def test_a_study_file_of_one_size(tmp_path):
    evolution = read("[search.evolution]\npopulation_size = 8", tmp_path).search.evolution
    assert (evolution.population_size, evolution.tournament_size) == (8, 4)
    assert evolution.screening == 1  # as older runs wrote down
    pool = read("[search.pool_bayes]\npool_size = 4", tmp_path).search.pool_bayes
    assert (pool.pool_size, pool.batch_size) == (4, 4)


def test_a_study_file_of_none_has_a_population_that_grows_and_is_screened(tmp_path):
    search = read("", tmp_path).search
    assert (search.evolution.population_size, search.evolution.tournament_size) == (None, None)
    assert search.evolution.screening == 16
    assert (search.pool_bayes.pool_size, search.pool_bayes.batch_size) == (256, 8)


def test_the_samplers_of_pools_take_one_size():
    pytest.importorskip("botorch", reason="the extra 'bayes' is not installed")
    from nasrec_opt.bayes import PoolBayesSampler

    PoolBayesSampler(SPACE, pool_size=4)
    PoolBayesSampler(SPACE, batch_size=300)
    pytest.importorskip("ax", reason="the extra 'ax' is not installed")
    from nasrec_opt.ax import PoolNode

    assert PoolNode(SPACE, pool_size=4).batch_size == 4
    assert PoolNode(SPACE, batch_size=300).pool_size == 300
    with pytest.raises(StudyError, match="batch_size: expected at most the pool of 4, got 5"):
        PoolNode(SPACE, pool_size=4, batch_size=5)
