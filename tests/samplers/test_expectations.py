"""What somebody who knows Optuna expects of the samplers, beyond Optuna's own contract tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import TrialState

from nasrec_opt.samplers import PerTrialSeededSampler, RegularizedEvolutionSampler
from nasrec_opt.space import SearchSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = SearchSpace.nasrec_small(3)
SIZES = {"population_size": 6, "children_per_round": 2}


def flat(trial: optuna.Trial) -> float:
    x, n = trial.suggest_float("x", -1, 1), trial.suggest_int("n", 0, 1)
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    return x**2 + n + len(kind)


def genotypes(trial: optuna.Trial) -> float:
    block = SPACE.suggest(trial).blocks[-1]
    return float(block.dense_width + block.sparse_width)


OBJECTIVES = {"flat": (None, flat), "genotypes": (SPACE, genotypes)}


@pytest.fixture(params=OBJECTIVES)
def objective(request: pytest.FixtureRequest) -> Callable[[optuna.Trial], float]:
    return OBJECTIVES[request.param][1]


@pytest.fixture(params=[1, 4], ids=["plain", "screened"])
def sampler(request: pytest.FixtureRequest, objective: Callable) -> BaseSampler:
    [space] = [space for space, asked in OBJECTIVES.values() if asked is objective]
    return RegularizedEvolutionSampler(space, **SIZES, screening=request.param, seed=0)


def test_the_least_violation_is_the_parent_while_nothing_is_feasible(sampler, objective):
    def violated(trial: optuna.Trial) -> float:
        objective(trial)
        trial.set_constraint("first", float(trial.number % 5) + 1)
        trial.set_constraint("second", float("inf") if trial.number % 7 == 0 else 0.0)
        return -float(trial.number % 5)  # the values want the opposite

    study = optuna.create_study(sampler=sampler)
    study.optimize(violated, n_trials=40)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 40
    now = sampler._rounds.of(sampler._history.read(study, -1))
    least = min(individual.violation for individual in now.candidates)
    best = now.candidates[int(np.argmin(now.places))]
    assert best.violation == least


def test_constraints_that_only_some_trials_have(sampler, objective):
    def sometimes(trial: optuna.Trial) -> float:
        value = objective(trial)
        if trial.number % 2:
            trial.set_constraint("odd", 1.0)
        if trial.number % 3 == 0:
            trial.set_constraint("third", -float("inf"))
        return value

    study = optuna.create_study(sampler=sampler)
    study.optimize(sometimes, n_trials=40)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 40


def test_what_a_failed_or_pruned_trial_has_counts_for_nothing(sampler, objective):
    def mostly_failing(trial: optuna.Trial) -> float:
        value = objective(trial)
        trial.set_constraint("c", -1.0)
        trial.report(-1e9, 0)
        if trial.number % 4 == 1:
            raise optuna.TrialPruned
        if trial.number % 4 == 2:
            raise RuntimeError
        return float("nan") if trial.number % 4 == 3 else value

    study = optuna.create_study(sampler=sampler)
    study.optimize(mostly_failing, n_trials=60, catch=(RuntimeError,))
    alive = sampler.population(study)
    assert {trial.number % 4 for trial in alive} == {0}
    assert len(alive) == 6


def test_all_fail_and_the_next_worker_goes_on(sampler, objective):
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: [objective(trial), float("nan")][1], n_trials=20)
    assert sampler.population(study) == []
    study.optimize(objective, n_trials=20)
    assert len(sampler.population(study)) == 6


def test_trials_of_dead_workers_stay_running_and_hinder_nobody(sampler, objective):
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=8)
    for asked in range(12):  # dead before, amid or after what they ask
        trial = study.ask()
        if asked % 3 == 1:
            _ = trial.relative_params
        if asked % 3 == 2:
            objective(trial)
    study.optimize(objective, n_trials=30)
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.RUNNING) == 12
    assert len(sampler.population(study)) == 6


def test_what_an_enqueued_trial_leaves_out_is_proposed(sampler, objective):
    fixed = {"n": 1, "kind": "b"} if objective is flat else {"b3.dense_width": 512}
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=10)
    for _ in range(3):
        study.enqueue_trial(fixed)
    study.optimize(objective, n_trials=6)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 16
    for trial in study.trials[10:13]:
        assert trial.params.items() >= fixed.items()


def test_the_rest_of_a_trial_enqueued_in_part_is_taken_with_that_part():
    def objective(trial: optuna.Trial) -> float:
        return trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 0, 10**6)

    sampler = RegularizedEvolutionSampler(**SIZES, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=6)
    study.enqueue_trial({"x": 0.125})
    proposed = study.ask().relative_params
    assert proposed["x"] != 0.125
    [promised] = sampler._history.read(study, -1).promised
    assert promised == sampler._breeder.identify({**proposed, "x": 0.125})


@pytest.mark.filterwarnings("ignore:Fixed parameter:UserWarning")
@pytest.mark.parametrize("screening", [1, 4])
def test_enqueued_numbers_outside_their_range_are_evaluated_and_not_inherited(screening):
    sampler = RegularizedEvolutionSampler(**SIZES, screening=screening, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"x": 50.0, "n": -7})
    study.enqueue_trial({"x": 0.0, "n": 0, "unknown": [1]})
    study.optimize(flat, n_trials=40)
    assert study.trials[0].params["x"] == 50.0
    for trial in study.trials[2:]:
        assert -1 <= trial.params["x"] <= 1
        assert trial.params["n"] in (0, 1)


def test_ranges_that_grow_with_the_trials(sampler, objective):
    def growing(trial: optuna.Trial) -> float:
        own = objective(trial)
        return (
            own
            + trial.suggest_int("layers", 0, trial.number % 5)
            + trial.suggest_float("rate", 1e-3, 1e-3 * (1 + trial.number % 3), log=True)
        )

    study = optuna.create_study(sampler=sampler)
    study.optimize(growing, n_trials=40)
    for trial in study.trials:
        assert 0 <= trial.params["layers"] <= trial.number % 5


def test_threads_share_the_sampler(sampler, objective):
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=40, n_jobs=4)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 40


def test_threads_share_the_samplers_of_bayes_and_ax():
    pytest.importorskip("botorch", reason="the extra 'bayes' is not installed")
    pytest.importorskip("ax", reason="the extra 'ax' is not installed")
    from nasrec_opt.ax import AxSampler
    from nasrec_opt.bayes import PoolBayesSampler

    for sampler in (
        PoolBayesSampler(SPACE, num_startup=6, pool_size=16, batch_size=4, seed=0),
        AxSampler(SPACE, metric_names=["width"]),
    ):
        study = optuna.create_study(sampler=sampler)
        study.optimize(genotypes, n_trials=24, n_jobs=4)
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 24


def test_two_studies_in_turn_draw_as_each_alone():
    def make() -> BaseSampler:
        return PerTrialSeededSampler(lambda seed: TPESampler(seed=seed, n_startup_trials=3), seed=0)

    def ask(study: optuna.Study) -> tuple[optuna.Trial, float]:
        trial = study.ask()
        return trial, flat(trial)

    alone = optuna.create_study(sampler=make())
    for _ in range(8):
        alone.tell(*ask(alone))
    shared = make()
    studies = [optuna.create_study(sampler=shared) for _ in range(2)]
    for _ in range(8):
        for study, answer in [(study, ask(study)) for study in studies]:
            study.tell(*answer)
    expected = [trial.params for trial in alone.trials]
    assert [[trial.params for trial in study.trials] for study in studies] == [expected] * 2
