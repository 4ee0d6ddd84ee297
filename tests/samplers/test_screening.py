"""Surrogate screening: which children are kept, and that the study alone decides it."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from nasrec_opt.errors import StudyError
from nasrec_opt.samplers import RegularizedEvolutionSampler, hypervolume
from nasrec_opt.samplers._infill import choose
from nasrec_opt.space import SearchSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = SearchSpace.nasrec_small(2)
SIZES = {"population_size": 12, "tournament_size": 4, "children_per_round": 4}


def bowl(trial: optuna.Trial) -> tuple[float, float]:
    """Two distances, so that the front is a segment of the square."""
    point = np.array([trial.suggest_int(f"x{place}", 0, 31) for place in range(6)]) / 31
    return float(np.sum((point - 0.2) ** 2)), float(np.sum((point - 0.8) ** 2))


def searched(objective, seed: int, n_trials: int, directions=2, **options) -> optuna.Study:
    sampler = RegularizedEvolutionSampler(seed=seed, **(SIZES | options))
    study = optuna.create_study(directions=["minimize"] * directions, sampler=sampler)
    study.optimize(objective, n_trials=n_trials)
    return study


def volume(study: optuna.Study) -> float:
    return hypervolume(np.array([trial.values for trial in study.trials]), np.array([3.0, 3.0]))


def test_screening_finds_more_with_as_many_trials():
    better = [
        volume(searched(bowl, seed, 120, screening=16)) > volume(searched(bowl, seed, 120))
        for seed in range(6)
    ]
    assert sum(better) >= 5


def children_of(study: optuna.Study) -> list[dict[str, int]]:
    """The children bred for the next round, as the sampler orders them."""
    sampler = study.sampler
    seen = sampler._history.read(study, -1)
    now = sampler._rounds.of(seen)
    space = sampler._breeder.distributions([individual.trial for individual in now.population])
    return [child.params for child in sampler._screening.children(now, seen, space)]


def test_the_first_children_add_more_than_the_others():
    first, others = [], []
    for seed in range(4):
        study = searched(bowl, seed, 60, screening=32)
        known = np.array([trial.values for trial in study.trials])
        reference = np.array([3.0, 3.0])
        before = hypervolume(known, reference)
        gains = [
            hypervolume(np.vstack([known, bowl(optuna.trial.FixedTrial(params))]), reference)
            - before
            for params in children_of(study)
        ]
        first += gains[:4]
        others += gains[4:]
    assert np.mean(first) > 2 * np.mean(others)


def test_the_first_children_are_feasible():
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = bowl(trial)
        trial.set_constraint("left", 28.0 - trial.params["x0"])  # away from what is best
        return values

    first, others = [], []
    for seed in range(6):
        children = children_of(searched(objective, seed, 60, screening=32))
        first += [child["x0"] >= 28 for child in children[:3]]
        others += [child["x0"] >= 28 for child in children[4:]]
    assert all(first)
    assert np.mean(others) < 0.9


def test_one_objective_is_screened_by_its_value():
    def far(trial: optuna.Trial) -> float:
        return sum(bowl(trial))

    screened = [searched(far, seed, 100, 1, screening=16).best_value for seed in range(5)]
    plain = [searched(far, seed, 100, 1).best_value for seed in range(5)]
    assert np.median(screened) < np.median(plain)


def test_rounds_begin_at_32_trials_where_the_population_is_larger():
    sizes = {"population_size": 64, "tournament_size": 16}
    drawn = searched(bowl, 0, 40, **sizes)
    screened = searched(bowl, 0, 40, screening=8, **sizes)
    params = [[trial.params for trial in study.trials] for study in (drawn, screened)]
    assert params[0][:32] == params[1][:32]
    assert params[0][32:] != params[1][32:]
    assert len(screened.sampler.population(screened)) == 40


def test_nothing_is_asked_twice_nor_again_after_it_failed():
    asked: list[tuple] = []

    def objective(trial: optuna.Trial) -> float:
        genotype = SPACE.suggest(trial)
        asked.append(genotype.canonical())
        if len(asked) > 16 and len(asked) % 3 == 0:
            raise RuntimeError
        return float(genotype.blocks[-1].dense_width)

    sampler = RegularizedEvolutionSampler(SPACE, screening=8, seed=1, **SIZES)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=80, catch=(RuntimeError,))
    assert sum(trial.state == TrialState.FAIL for trial in study.trials) > 10
    assert len(set(asked)) == 80


def test_constraints_are_learnt():
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = bowl(trial)
        trial.set_constraint("left", 16.0 - trial.params["x0"])
        return values

    study = searched(objective, 0, 100, screening=16)
    last = study.trials[-40:]
    assert sum(max(t.constraints.values()) <= 0 for t in last) >= 30


def test_conditional_parameters_and_every_kind_of_distribution():
    def objective(trial: optuna.Trial) -> float:
        value = trial.suggest_float("rate", 1e-4, 1.0, log=True)
        if trial.suggest_categorical("kind", ["deep", "wide"]) == "deep":
            return value + trial.suggest_int("layers", 1, 9)
        return value + 1.5 + trial.suggest_float("share", 0.0, 1.0, step=0.25)

    study = searched(objective, 0, 80, 1, screening=16)
    assert study.best_params["kind"] == "deep"
    assert study.best_params["layers"] == 1
    assert {tuple(sorted(t.params)) for t in study.trials} == {
        ("kind", "layers", "rate"),
        ("kind", "rate", "share"),
    }


def test_values_without_end_are_not_learnt_from():
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = bowl(trial)
        return (float("inf"), values[1]) if trial.number % 5 == 0 else values

    study = searched(objective, 0, 60, screening=8)
    assert len(study.trials) == 60


@given(seed=st.integers(0, 2**32 - 1))
def test_every_candidate_has_a_place_and_feasible_ones_come_first(seed):
    rng = np.random.default_rng(seed)
    losses, expected = rng.random((20, 2)), rng.random((15, 2))
    violation = np.where(rng.random(15) < 0.3, rng.random(15), 0.0)
    order = choose(expected[None], violation[None], losses, np.zeros(20), count=4, rng=rng)
    assert sorted(order) == list(range(15))
    feasible = [violation[place] <= 0 for place in order]
    assert feasible == sorted(feasible, reverse=True)


@pytest.mark.parametrize("num_objectives", [1, 2, 3, 4])
def test_what_is_chosen_adds_as_much_as_the_exact_hypervolume_says(num_objectives):
    rng = np.random.default_rng(num_objectives)
    agreed = 0
    for _ in range(20):
        front = rng.random((1, num_objectives))  # one point: its own deviation is the scale
        losses = np.concatenate([front, front + 0.5 + rng.random((9, num_objectives))])
        expected = front + rng.normal(size=(8, num_objectives)) * 0.3
        order = choose(expected[None], np.zeros((1, 8)), losses, np.zeros(10), count=1, rng=rng)
        reference = front[0] + losses.std(axis=0)
        gains = [hypervolume(np.concatenate([front, point[None]]), reference) for point in expected]
        agreed += gains[order[0]] >= 0.9 * max(gains)
    assert agreed >= 17


@pytest.mark.parametrize("constant", [0.0, 1.0, -3e6])
def test_an_objective_that_does_not_vary_leaves_the_choice_to_the_others(constant):
    rng = np.random.default_rng(0)
    losses, expected = np.full((20, 2), constant), np.full((9, 2), constant)
    losses[:, 1], expected[:, 1] = rng.random(20) + 1.0, rng.permutation(9) / 9.0
    with np.errstate(all="raise"):
        order = choose(expected[None], np.zeros((1, 9)), losses, np.zeros(20), count=3, rng=rng)
    assert expected[order, 1].tolist() == sorted(expected[:, 1])


def test_while_nothing_is_feasible_the_smallest_violation_comes_first():
    rng = np.random.default_rng(0)
    violation = np.array([3.0, 1.0, 2.0])
    order = choose(
        rng.random((1, 3, 2)), violation[None], rng.random((5, 2)), np.ones(5), count=2, rng=rng
    )
    assert order.tolist() == [1, 2, 0]


@pytest.mark.parametrize("screening", [0, -1, 1.5, True])
def test_a_number_that_is_no_count_is_one_sentence(screening):
    with pytest.raises(StudyError, match=r"screening: expected a positive integer, got"):
        RegularizedEvolutionSampler(SPACE, screening=screening)
