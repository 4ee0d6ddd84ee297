"""What every sampler of ours owes to Optuna, and to a study that was stopped."""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import TrialState
from samplers.studies import SMALL_OPTIONS, SPACE, objective, open_study

from nasrec_opt.errors import StudyError
from nasrec_opt.samplers import (
    SAMPLERS,
    PerTrialSeededSampler,
    RegularizedEvolutionSampler,
    SeededRandomSampler,
    make_sampler,
)

optuna.logging.set_verbosity(optuna.logging.ERROR)


class TestEvolution(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: RegularizedEvolutionSampler(
            population_size=4, tournament_size=2, children_per_round=1, seed=0
        )


class TestSeededTpe(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: PerTrialSeededSampler(
            lambda seed: TPESampler(seed=seed, n_startup_trials=3), seed=0
        )


class TestSeededRandom(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: SeededRandomSampler(seed=0)


class TestSeededNsga2(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: PerTrialSeededSampler(
            lambda seed: NSGAIISampler(seed=seed, population_size=4), seed=0
        )


def trials_of(study: optuna.Study) -> list[tuple]:
    return [(t.number, t.state, t.values, t.params) for t in study.trials]


class Killed(BaseException):
    """As if the process ended here: nothing is told to the storage."""


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("journal", name) for name in SMALL_OPTIONS), ("sqlite", "evolution"), ("sqlite", "tpe")],
)
def test_a_resumed_study_equals_an_uninterrupted_one(tmp_path, kind, name):
    n_trials = 14
    alone = open_study(kind, tmp_path / "alone", name)
    alone.optimize(objective, n_trials=n_trials)
    for stop in (3, 4, 10, n_trials):
        study = open_study(kind, tmp_path / "stopped", name)
        study.optimize(objective, n_trials=stop - len(study.trials))
    assert trials_of(study) == trials_of(alone)


@pytest.mark.parametrize("name", SMALL_OPTIONS)
def test_a_trial_that_was_cut_off_half_asked_is_the_same_when_asked_again(tmp_path, name):
    def cut_off(trial):
        for count, parameter in enumerate(SPACE.distributions()):
            if count == 3:
                raise Killed
            if parameter in asked:
                trial.suggest_categorical(parameter, SPACE.distributions()[parameter].choices)
        raise Killed

    alone = open_study("journal", tmp_path / "alone", name)
    alone.optimize(objective, n_trials=16)
    asked = alone.trials[12].params
    study = open_study("journal", tmp_path / "stopped", name)
    study.optimize(objective, n_trials=12)
    trial = study.ask()
    with pytest.raises(Killed):
        cut_off(trial)
    # The trial goes back to the queue under its own number.
    study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
    study = open_study("journal", tmp_path / "stopped", name)
    study.optimize(objective, n_trials=4)
    assert trials_of(study) == trials_of(alone)


def test_what_a_worker_is_about_to_ask_is_not_proposed_to_another(tmp_path):
    study = open_study("sqlite", tmp_path, "evolution")
    study.optimize(objective, n_trials=8)  # the population: from now on there are parents
    running = []
    for _ in range(20):  # as many workers, each stopped before it asks its first parameter
        study = open_study("sqlite", tmp_path, "evolution")
        running.append(study.ask().relative_params)
    models = {SPACE.decode(params).canonical() for params in running}
    assert len(models) == 20


def test_two_processes_read_the_same_parent(tmp_path):
    study = open_study("sqlite", tmp_path, "evolution")
    study.optimize(objective, n_trials=20)
    trial = study.ask()
    frozen = study.trials[-1]
    proposals = []
    for _ in range(2):
        other = open_study("sqlite", tmp_path, "evolution")
        space = other.sampler.infer_relative_search_space(other, frozen)
        proposals.append(other.sampler.sample_relative(other, frozen, space))
    assert proposals[0] == proposals[1] == SPACE.encode(SPACE.suggest(trial))


def test_random_streams_differ_between_trials_and_parameters():
    sampler = PerTrialSeededSampler(lambda seed: RandomSampler(seed=seed), seed=0)
    study = optuna.create_study(sampler=sampler)
    for _ in range(3):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.suggest_float("y", 0, 1)
        study.tell(trial, 0.0)
    drawn = [value for trial in study.trials for value in trial.params.values()]
    assert len(set(drawn)) == 6


def test_the_seeded_sampler_keeps_nothing_of_finished_trials():
    sampler = PerTrialSeededSampler(lambda seed: RandomSampler(seed=seed), seed=0)
    optuna.create_study(sampler=sampler).optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=9)
    assert not sampler._of_trial


def test_grouped_tpe_infers_per_trial():
    sampler = make_sampler("tpe", SPACE, seed=0, multivariate=True, group=True, n_startup_trials=3)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: objective(trial)[0], n_trials=8)
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_name_makes_a_sampler(name):
    assert isinstance(make_sampler(name, SPACE, seed=0), BaseSampler)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nsga22", {}, "sampler: expected one of evolution, nsga2.* did you mean 'nsga2'"),
        ("evolution", {"populaton_size": 3}, "sampler evolution: .*populaton_size"),
        ("tpe", {"population_size": 3}, "sampler tpe: .*population_size"),
        ("nsga2", {"population_size": 1}, "sampler nsga2: .*population_size"),
    ],
)
def test_an_unknown_name_or_option_is_one_sentence(name, options, message):
    with pytest.raises(StudyError, match=message):
        make_sampler(name, SPACE, seed=0, **options)
