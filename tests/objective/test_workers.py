"""A search whose trials several processes evaluate: the same trials, whoever ends first or dies."""

from __future__ import annotations

import logging
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import pytest
from conftest import environment
from optuna.trial import TrialState
from processes import wait_until_gone

from hw import DescriptionError, ReRAM
from nasrec_opt import (
    Evaluation,
    FeatureSpec,
    FunctionOracle,
    Genotype,
    Objective,
    Oracle,
    SearchSpace,
    lower,
    search,
)
from nasrec_opt.distributed import WorkerPool
from nasrec_opt.errors import StudyError
from nasrec_opt.objective import FAILED, lag_of
from nasrec_opt.objective._ahead import answer
from nasrec_opt.samplers import RegularizedEvolutionSampler, SeededRandomSampler, make_sampler

SPACE = SearchSpace.nasrec_small(num_blocks=2)
FEATURES = FeatureSpec(13, (50,) * 26)


class Loss(Oracle):
    """Takes a random time, and raises, answers NaN or kills its process for some genotypes."""

    features = FEATURES

    def evaluate(self, genotype, *, report=None):
        """Score a genotype."""
        time.sleep(random.random() * 0.02)
        width = genotype.blocks[0].dense_width
        if width == 256:
            raise ValueError("too wide")
        if width == 32 and "NASREC_TEST_DIES" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        if width == 768:
            return Evaluation(math.nan)
        return Evaluation(0.5 - sum(block.dense_width for block in genotype.blocks) / 1e4)


class Costs(ReRAM):
    """Refuses some genotypes, and raises for others."""

    def cost(self, workload):
        """Cost of a workload."""
        if workload.parameters % 7 == 0:
            raise DescriptionError("an odd number of parameters")
        if workload.parameters % 11 == 0:
            raise KeyError("no such part")
        return super().cost(workload)


def objective_of(oracle=None) -> Objective:
    return Objective(SPACE, oracle or Loss(), Costs(), constraints={"area_mm2": 30.0})


def evolution() -> RegularizedEvolutionSampler:
    return RegularizedEvolutionSampler(
        SPACE, population_size=6, tournament_size=3, children_per_round=2, seed=0
    )


def told(study: optuna.Study) -> list[tuple]:
    return [
        (
            t.number,
            t.state,
            t.values,
            t.params,
            t.constraints,
            {name: value for name, value in t.user_attrs.items() if name != "seconds"},
        )
        for t in study.trials
    ]


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(partial(answer, objective_of()), 2) as pool:
        yield pool


def searched(workers, lag, sampler, n_trials=24, study=None):
    objective = objective_of()
    study = study or objective.create_study(sampler=sampler)
    search(study, objective, n_trials=n_trials, workers=workers, lag=lag)
    return study


def test_trials_follow_from_the_lag_whoever_evaluates_them(pool):
    one, same, here, other = (
        told(searched(workers, lag, evolution()))
        for workers, lag in ((pool, 4), (pool, 4), (1, 4), (pool, 3))
    )
    assert one == same == here
    assert one != other
    assert {TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE} == {t[1] for t in one}
    assert [t[0] for t in one] == list(range(len(one)))


@pytest.mark.parametrize("name", ["evolution", "random", "tpe", "nsga2"])
def test_a_trial_is_proposed_from_the_results_up_to_its_lag(pool, name):
    """Told by hand, one trial after another, the same trials come out."""
    options = {"population_size": 6} if name == "nsga2" else {}
    sampler = partial(make_sampler, name, SPACE, seed=0, **options)
    found = searched(pool, 4, sampler())
    objective = objective_of()
    study = objective.create_study(sampler=sampler())
    asked = []
    for number in range(len(found.trials)):
        if number >= 4:
            trial, values = asked[number - 4], found.trials[number - 4].values
            state = found.trials[number - 4].state
            for constraint, value in found.trials[number - 4].constraints.items():
                trial.set_constraint(constraint, value)
            study.tell(trial, values, state=state)
        trial = study.ask()
        SPACE.suggest(trial)
        asked.append(trial)
    # Those that take the place of the last failed ones are proposed later, when all are told.
    proposed = [[trial.params for trial in s.trials[:24]] for s in (study, found)]
    assert proposed[0] == proposed[1]


def test_one_worker_searches_as_a_loop_over_trials_does():
    objective = objective_of()
    by_hand = objective.create_study(sampler=evolution())
    while len(by_hand.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])) < 24:
        by_hand.optimize(objective, n_trials=1)
    assert told(searched(1, None, evolution())) == told(by_hand)
    assert lag_of(1) == 1


def test_a_failed_trial_says_what_it_says_alone(pool):
    study = searched(pool, 4, SeededRandomSampler(0), n_trials=40)
    failed = study.get_trials(states=[TrialState.FAIL])
    reasons = {trial.user_attrs[FAILED] for trial in failed}
    whys = ("oracle Loss: ValueError: too wide (", "cost model Costs: KeyError: 'no such part' (")
    for why in (*whys, "oracle Loss: log loss: expected a finite number, got nan"):
        assert any(reason.startswith(why) for reason in reasons), why
    assert all("genotype" in trial.user_attrs for trial in failed)
    for trial in study.get_trials(states=[TrialState.COMPLETE]):
        assert trial.user_attrs["seconds"].keys() == {"oracle", "cost"}
        assert Genotype.from_trial(trial)
    infeasible = study.get_trials(states=[TrialState.PRUNED])
    assert {t.user_attrs["infeasible"] for t in infeasible} == {"an odd number of parameters"}


KILLED = """
import os, signal, sys
from objective.test_workers import *
objective = objective_of()
study = objective.create_study(study_name="one", storage=sys.argv[1], sampler=evolution())
with WorkerPool(partial(answer, objective), 2) as pool:
    print(*pool.pids, flush=True)
    def end(study, trial):
        if trial.number == 9:
            os.kill(pool.pids[0], signal.SIGKILL)
        if trial.number == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    search(study, objective, n_trials=24, workers=pool, lag=4, callbacks=[end])
"""


def run_killed(url: str, at: int) -> int:
    """Search until a trial has ended, killing a worker on the way; all processes are gone then."""
    env = environment() | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", KILLED, url, str(at)]
    run = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
    assert wait_until_gone(int(pid) for pid in run.stdout.split())
    return run.returncode


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_killed_search_ends_like_one_left_alone(pool, tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    assert run_killed(url, 11) == -signal.SIGKILL
    study = objective_of().create_study(study_name="one", storage=url, sampler=evolution())
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.RUNNING) == 3  # the oldest of four had just got its result
    searched(pool, 4, None, study=study)
    alone = searched(pool, 4, evolution())
    assert told(study) == told(alone)


@pytest.mark.parametrize("name", ["tpe", "nsga2", "random"])
def test_open_trials_are_asked_for_again_before_any_result(pool, name):
    """What the process that goes on does, without the seconds that another one takes to start."""
    options = {"population_size": 6} if name == "nsga2" else {}
    sampler = partial(make_sampler, name, SPACE, seed=0, **options)

    class StoppedError(Exception):
        """Ends a search in the middle."""

    def stop(study, trial):
        if trial.number == 11:
            raise StoppedError

    objective = objective_of()
    study = objective.create_study(sampler=sampler())
    with pytest.raises(StoppedError):
        search(study, objective, n_trials=18, workers=pool, lag=4, callbacks=[stop])
    assert [t.state for t in study.trials[12:]] == [TrialState.WAITING] * 3
    study.sampler = sampler()
    searched(pool, 4, None, n_trials=18, study=study)
    assert told(study) == told(searched(pool, 4, sampler(), n_trials=18))


def test_a_genotype_that_kills_its_workers_fails_its_trial(monkeypatch):
    monkeypatch.setenv("NASREC_TEST_DIES", "1")
    objective = objective_of()
    study = objective.create_study(sampler=SeededRandomSampler(0))
    narrow, wide = (genotype_of(width) for width in (32, 64))
    for genotype in (wide, narrow, wide):
        SPACE.enqueue(study, genotype)
    search(study, objective, n_trials=3, workers=2)
    failed = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert failed[0].number == 1
    assert failed[0].user_attrs[FAILED] == (
        "worker: expected an answer, but the 3 processes asked for it died"
    )
    assert study.trials[0].state == TrialState.COMPLETE


def genotype_of(width: int) -> Genotype:
    """A genotype of that width which the accelerator takes."""
    rng = np.random.default_rng(width)
    while True:
        genotype = SPACE.sample(rng)
        parameters = lower(genotype, FEATURES).parameters
        if genotype.blocks[0].dense_width == width and parameters % 7 and parameters % 11:
            return genotype


def test_an_oracle_that_cannot_be_sent_is_asked_here(caplog):
    lock = threading.Lock()

    def locked(genotype: Genotype) -> Evaluation:
        with lock:
            return Loss().evaluate(genotype)

    objective = objective_of(FunctionOracle(locked, features=FEATURES))
    study = objective.create_study(sampler=evolution())
    with caplog.at_level(logging.WARNING, "nasrec_opt.distributed"):
        search(study, objective, n_trials=24, workers=2)
    [record] = [r for r in caplog.records if r.name.startswith("nasrec_opt.distributed")]
    assert record.getMessage().startswith(
        "trials are evaluated by one process instead of 2: TypeError: cannot pickle"
    )
    ours, theirs = told(study), told(searched(1, lag_of(2), evolution()))
    assert [t[:4] for t in ours] == [t[:4] for t in theirs]


def test_a_pruner_is_asked_after_the_evaluation():
    def loss(genotype, report):
        for step in range(3):
            report(step, 1.0 + genotype.blocks[0].dense_width)
        return 1.0 + genotype.blocks[0].dense_width

    def study_of(lag):
        objective = Objective(SPACE, FunctionOracle(loss, reports=True))
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4)
        study = objective.create_study(sampler=SeededRandomSampler(0), pruner=pruner)
        search(study, objective, n_trials=16, lag=lag)
        return [(t.state, t.params, t.intermediate_values) for t in study.trials]

    assert study_of(4) == study_of(1)
    assert TrialState.PRUNED in {trial[0] for trial in study_of(1)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers: expected 1 or more, got 0"),
        ({"lag": 0}, "lag: expected 1 or more, got 0"),
        ({"workers": 2, "shared": True}, "workers: expected 1, with a lag of 1, for a shared"),
    ],
)
def test_bad_options_are_refused(options, message):
    objective = objective_of()
    with pytest.raises(StudyError, match=message):
        search(objective.create_study(), objective, n_trials=1, **options)
    with pytest.raises(StudyError, match="expected 1 for what is no Objective, got 2 for an obj"):
        search(optuna.create_study(), lambda trial: 0.0, n_trials=1, workers=2)
