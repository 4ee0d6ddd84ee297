"""The evolution sampler on every storage: shared by processes and threads, stopped, killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from conftest import environment
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState
from patience import PATIENCE_S
from samplers.studies import SPACE, heartbeat, objective, open_at

from nasrec_opt.samplers import RegularizedEvolutionSampler
from nasrec_opt.space import BlockGene, Genotype, SearchSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
SCRIPT = Path(__file__).with_name("work_a_share.py")
WORKERS, SHARE = 3, 8


def trials_of(study: optuna.Study) -> list[tuple]:
    return [(t.number, t.state, t.values, t.params) for t in study.trials]


def models_of(trials: list[optuna.trial.FrozenTrial]) -> set[Genotype]:
    return {SPACE.decode(trial.params).canonical() for trial in trials}


def share(address: str, asked: Any, answers: Any) -> None:
    """Evaluate a share of the trials; then say what the next trial should be."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    evaluated = []

    def evaluate(trial: optuna.Trial) -> tuple[float, float]:
        evaluated.append(trial.number)
        return objective(trial)

    study = open_at(address)
    study.optimize(evaluate, n_trials=SHARE)
    answers.put(evaluated)
    assert asked.wait(PATIENCE_S)
    [running] = study.get_trials(states=(TrialState.RUNNING,))
    space = study.sampler.infer_relative_search_space(study, running)
    answers.put(study.sampler.sample_relative(study, running, space))


def test_processes_share_a_study_and_agree_on_its_population(address):
    study = open_at(address)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nasrec_opt.samplers", "optuna.testing", "pytest"])
    asked, answers = context.Event(), context.Queue()
    workers = [
        context.Process(target=share, args=(address, asked, answers), daemon=True)
        for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    evaluated = [number for _ in workers for number in answers.get(timeout=PATIENCE_S)]
    assert sorted(evaluated) == list(range(WORKERS * SHARE))  # each by one worker alone
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * (WORKERS * SHARE)
    # Two that are drawn in the same instant, before either is written down, may be alike.
    assert len(models_of(study.trials)) >= WORKERS * SHARE - 3
    proposed = study.ask().relative_params
    asked.set()
    assert [answers.get(timeout=PATIENCE_S) for _ in workers] == [proposed] * WORKERS
    for worker in workers:
        worker.join(timeout=PATIENCE_S)
    assert [worker.exitcode for worker in workers] == [0] * WORKERS


def test_threads_share_a_study(address):
    study = open_at(address)
    evaluated: Counter[int] = Counter()

    def evaluate(trial: optuna.Trial) -> tuple[float, float]:
        evaluated[trial.number] += 1
        return objective(trial)

    study.optimize(evaluate, n_trials=16, n_jobs=4)
    trials = open_at(address).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 16
    assert evaluated == Counter(range(16))
    assert len(models_of(trials)) >= 14


def test_a_resumed_study_equals_an_uninterrupted_one(address):
    alone = open_at("memory")
    alone.optimize(objective, n_trials=14)
    for stop in (3, 4, 10, 14):
        study = open_at(address)
        study.optimize(objective, n_trials=stop - len(study.trials))
    assert trials_of(study) == trials_of(alone)


def largest() -> tuple[SearchSpace, Genotype]:
    """As many blocks as a space may have without a limit of inputs, each with all there is."""
    space = replace(SearchSpace.nasrec_full(12, codesign=True, multi_operator=True), name="largest")
    blocks = [
        BlockGene(
            dense_ops=space.dense_ops,
            sparse_ops=space.sparse_ops,
            dense_width=1024,
            sparse_width=64,
            dense_inputs=tuple(range(number)),
            sparse_inputs=tuple(range(number)),
            left_input=number - 1,
            right_input=number - 1,
            dense_to_sparse=True,
            sparse_to_dense=True,
        )
        for number in range(1, 13)
    ]
    sampled = space.sample(np.random.default_rng(0))
    return space, Genotype(tuple(blocks), hardware=sampled.hardware, space=space.name)


def test_the_largest_genotype_fits(address):
    space, genotype = largest()
    study = open_at(address)
    study.sampler = RegularizedEvolutionSampler(space, seed=0)
    study.enqueue_trial(space.encode(genotype))
    trial = study.ask()  # the sampler writes down a proposal, which is as large
    assert space.suggest(trial) == genotype
    trial.set_user_attr("genotype", genotype.to_json())
    study.tell(trial, (0.0, 0.0))
    [read] = open_at(address).trials
    assert space.decode(read.params) == genotype
    assert Genotype.from_json(read.user_attrs["genotype"]) == genotype


def live_and_die(address: str, worker: int, log: Path, lives: int) -> float:
    """A worker that is killed at random moments, `lives` times, and then does its share.

    Returns:
        When it was last killed, by `time.monotonic`.
    """
    rng = random.Random(worker)
    command = [sys.executable, str(SCRIPT), address, str(worker), str(SHARE), str(log)]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for life in range(lives + 1):
            print(file=process.stdin, flush=True)
            number = int(process.stdout.readline())
            if life < lives:
                for _ in range(rng.randint(1, 3)):
                    process.stdout.readline()  # a trial's evaluation begins
                time.sleep(0.06 * rng.random())  # into it, or into what comes between two
                os.kill(number, signal.SIGKILL)
                killed = time.monotonic()
            ended = next(line for line in process.stdout if line.startswith("ended"))
            assert int(ended.split()[1]) == (-signal.SIGKILL if life < lives else 0)
    return killed


@pytest.mark.parametrize("address", ["sqlite", "postgresql"], indirect=True)
def test_two_workers_killed_at_random_leave_a_whole_study(address, tmp_path):
    study = open_at(address, **heartbeat())
    logs = [tmp_path / f"{worker}.log" for worker in range(2)]
    with ThreadPoolExecutor() as pool:
        killed = max(pool.map(live_and_die, [address] * 2, range(2), logs, [3] * 2))
    trials = study.get_trials(deepcopy=False)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    complete = [t.number for t in trials if t.state == TrialState.COMPLETE]
    assert len(complete) == 2 * SHARE
    evaluated = Counter(int(line) for log in logs for line in log.read_text().split())
    assert [evaluated[number] for number in complete] == [1] * len(complete)
    # What the killed left running is noticed once its heart has not beaten for a while.
    time.sleep(max(0.0, killed + heartbeat()["grace_period"] + 1 - time.monotonic()))
    optuna.storages.fail_stale_trials(study)
    trials = study.get_trials(deepcopy=False)
    # A kill between being asked for and the first beat leaves a trial that nobody notices. Whose
    # heart beat late lost a trial that it evaluated, and went on.
    unfinished = [t.number for t in trials if t.state in (TrialState.RUNNING, TrialState.FAIL)]
    assert sum(number not in evaluated for number in unfinished) <= 6
    retried = [trial for trial in trials if "failed_trial" in trial.system_attrs]
    for trial in retried:
        killed = trials[trial.system_attrs["failed_trial"]]
        assert trial.params.items() >= killed.params.items()
    # Each failed trial is given back once; not at all where a kill hit who was about to.
    times = Counter(trial.system_attrs["retry_history"][-1] for trial in retried)
    assert {trials[number].state for number in times} <= {TrialState.FAIL}
    assert max(times.values(), default=0) <= 1


def test_a_trial_that_was_killed_half_asked_is_tried_again_as_it_was_proposed(tmp_path):
    study = open_at(f"sqlite:///{tmp_path / 'study.db'}")
    study.optimize(objective, n_trials=12)
    killed = study.ask()
    proposed = killed.relative_params
    for name in list(proposed)[:3]:
        killed.suggest_categorical(name, SPACE.distributions()[name].choices)
    study.optimize(objective, n_trials=8)  # another worker goes on meanwhile
    frozen = study.tell(killed, state=TrialState.FAIL)
    RetryHeartbeatStaleTrialCallback()(study, study.trials[frozen.number])
    again = study.ask()
    assert SPACE.encode(SPACE.suggest(again)) == proposed
