"""A study of an objective in one line, and a search that goes on wherever it was stopped."""

from __future__ import annotations

import math
import warnings

import optuna
import pytest
from optuna.trial import TrialState

from hw import ReRAM
from nasrec_opt import (
    FeatureSpec,
    Genotype,
    Objective,
    RegularizedEvolutionSampler,
    SearchSpace,
    SQLiteStorage,
    search,
)
from nasrec_opt.errors import GenotypeError, StudyError

SPACE = SearchSpace.nasrec_small(num_blocks=2)
FEATURES = FeatureSpec(13, (50,) * 26)


def loss(genotype: Genotype) -> float:
    return 0.5 - sum(block.dense_width for block in genotype.blocks) / 1e4


def sampler() -> RegularizedEvolutionSampler:
    return RegularizedEvolutionSampler(SPACE, population_size=6, tournament_size=3, seed=0)


def told(study: optuna.Study) -> list[tuple]:
    return [(t.number, t.state, t.values, t.params) for t in study.trials]


def test_a_study_knows_its_directions_names_and_space():
    objective = Objective(SPACE, loss, ReRAM(), features=FEATURES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = objective.create_study(sampler=sampler())
    assert objective.directions == ("minimize",) * 3
    assert [direction.name.lower() for direction in study.directions] == list(objective.directions)
    assert study.metric_names == ["log_loss", "latency_us", "energy_uj"]
    assert SearchSpace.from_dict(study.user_attrs["space"]) == SPACE


def test_a_study_of_that_name_is_loaded_and_one_without_a_name_is_new(tmp_path):
    url, objective = f"sqlite:///{tmp_path / 'study.db'}", Objective(SPACE, loss)
    first = objective.create_study(study_name="one", storage=url)
    first.optimize(objective, n_trials=1)
    assert len(objective.create_study(study_name="one", storage=url).trials) == 1
    assert objective.create_study(storage=url).trials == []
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        objective.create_study(study_name="one", storage=url, load_if_exists=False)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Objective(SearchSpace.nasrec_small(3), loss), "another search space: expected num_blocks"),
        (
            Objective(SPACE, loss, features=FEATURES, objectives=("mflops",)),
            "has other objectives: expected mflops, got log_loss",
        ),
    ],
)
def test_the_study_of_another_objective_is_refused(tmp_path, other, message):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    Objective(SPACE, loss).create_study(study_name="one", storage=url)
    with pytest.raises(StudyError, match=f"study 'one' .*{message}"):
        other.create_study(study_name="one", storage=url)


def test_the_model_of_a_trial_is_one_call():
    objective = Objective(SPACE, loss)
    study = objective.create_study()
    study.optimize(objective, n_trials=5)
    best = Genotype.from_trial(study.best_trial)
    assert loss(best) == study.best_value
    assert SPACE.encode(best) == study.best_params
    other = optuna.create_study()
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(GenotypeError, match="trial 0: expected the attribute 'genotype'"):
        Genotype.from_trial(other.best_trial)


KILLED = """
import os, sys
from objective.test_search import *
objective = Objective(SPACE, lambda g: os._exit(9) if os.environ.pop("DIE", "") == "1" else loss(g))
study = objective.create_study(study_name="one", storage=sys.argv[1], sampler=sampler())
def die_later(study, trial):
    if trial.number == int(sys.argv[2]):
        os.environ["DIE"] = "1"
search(study, objective, n_trials=16, callbacks=[die_later])
"""


def test_a_search_killed_in_its_trials_equals_one_left_alone(start_code, tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    codes = [start_code(KILLED, url, at).wait().returncode for at in (3, 9, 99)]
    assert codes == [9, 9, 0]
    objective = Objective(SPACE, loss)
    alone = objective.create_study(sampler=sampler())
    search(alone, objective, n_trials=16)
    assert told(objective.create_study(study_name="one", storage=url)) == told(alone)


def test_a_failed_trial_is_replaced():
    def sometimes(genotype: Genotype) -> float:
        return math.nan if genotype.blocks[0].dense_width < 64 else loss(genotype)

    objective = Objective(SPACE, sometimes)
    study = objective.create_study(sampler=sampler())
    search(study, objective, n_trials=10)
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.COMPLETE) == 10
    assert TrialState.FAIL in states


def test_workers_bring_a_shared_study_to_its_trials_together(tmp_path):
    url, objective = f"sqlite:///{tmp_path / 'study.db'}", Objective(SPACE, loss)
    ours = objective.create_study(study_name="one", storage=url, sampler=sampler())
    running = ours.ask()  # of another worker: it stays as it is
    search(ours, objective, n_trials=5, shared=True)
    theirs = objective.create_study(study_name="one", storage=url, sampler=sampler())
    search(theirs, objective, n_trials=9, shared=True)
    assert [trial.state for trial in theirs.trials] == [
        TrialState.RUNNING,
        *[TrialState.COMPLETE] * 9,
    ]
    assert running.number == 0


@pytest.mark.parametrize("moment", ["before the attributes", "after the attributes"])
def test_a_worker_taken_for_dead_loses_its_trial_and_goes_on(tmp_path, moment):
    """Another worker fails our trial while we evaluate it, as it does when no heartbeat came."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    theirs = optuna.create_study(study_name="one", storage=SQLiteStorage(url))

    def end(number: int) -> None:
        if number == 1:
            theirs.tell(number, state=TrialState.FAIL)

    class Ended(Objective):
        def __call__(self, trial: optuna.Trial):
            if moment == "before the attributes":
                end(trial.number)
            values = super().__call__(trial)
            if moment == "after the attributes":
                end(trial.number)
            return values

    objective = Ended(SPACE, loss)
    ours = objective.create_study(study_name="one", storage=url, sampler=sampler())
    seen: list[int] = []
    search(
        ours,
        objective,
        n_trials=4,
        shared=True,
        callbacks=[lambda _, trial: seen.append(trial.number)],
    )
    assert [t.number for t in ours.trials if t.state == TrialState.FAIL] == [1]
    assert seen == [0, 2, 3, 4]
    with pytest.raises(Exception, match=r"Cannot tell|Should not reach"):  # Optuna alone
        ours.optimize(lambda trial: theirs.tell(trial.number, state=TrialState.FAIL), n_trials=1)


@pytest.mark.parametrize("shared", [False, True])
def test_an_error_of_the_objective_is_raised_as_it_is(shared):
    class Broken(Objective):
        def __call__(self, trial: optuna.Trial):
            raise ValueError("mine")

    objective = Broken(SPACE, loss)
    study = objective.create_study()
    with pytest.raises(ValueError, match="mine"):
        search(study, objective, n_trials=2, shared=shared)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]


@pytest.mark.parametrize("shared", [False, True])
def test_an_error_of_a_callback_is_raised_as_it_is(shared):
    def fail(_study, _trial) -> None:
        raise ValueError("of a callback")

    objective = Objective(SPACE, loss)
    study = objective.create_study()
    with pytest.raises(ValueError, match="of a callback"):
        search(study, objective, n_trials=2, shared=shared, callbacks=[fail])
