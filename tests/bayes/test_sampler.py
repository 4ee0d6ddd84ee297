"""PoolBayesSampler: what it owes to Optuna, to a study that was stopped, and to its user."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable

import numpy as np
import optuna
import pytest
from bayes.studies import make, open_study, work
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, MultiObjectiveSamplerTestCase
from optuna.trial import FrozenTrial, TrialState
from patience import PATIENCE_S
from samplers.studies import SPACE, objective

pytest.importorskip("botorch", reason="the extra 'bayes' is not installed")

from nasrec_opt.bayes import PoolBayesSampler
from nasrec_opt.errors import StudyError
from nasrec_opt.samplers import SeededRandomSampler
from nasrec_opt.space import Genotype, SearchSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)


class TestContract(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    """Studies that do not ask for genotypes: every parameter is drawn uniformly."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: make(num_startup=2)


def trials_of(study: optuna.Study) -> list[tuple]:
    return [(t.number, t.state, t.values, t.params) for t in study.trials]


def models_of(study: optuna.Study) -> list[Genotype]:
    return [SPACE.decode(trial.params).canonical() for trial in study.trials]


def in_memory(**options: int) -> optuna.Study:
    return optuna.create_study(directions=["minimize"] * 2, sampler=make(**options))


def test_a_resumed_study_equals_an_uninterrupted_one(tmp_path):
    alone = open_study("journal", tmp_path / "alone")
    alone.optimize(objective, n_trials=14)
    for stop in (3, 6, 7, 12, 14):  # while random, at the start of a round, and within rounds
        study = open_study("journal", tmp_path / "stopped")
        study.optimize(objective, n_trials=stop - len(study.trials))
    assert trials_of(study) == trials_of(alone)
    assert len(set(models_of(study))) == 14


def test_a_trial_that_was_cut_off_is_the_same_when_asked_again(tmp_path):
    alone = open_study("journal", tmp_path / "alone")
    alone.optimize(objective, n_trials=10)
    study = open_study("journal", tmp_path / "stopped")
    study.optimize(objective, n_trials=8)
    trial = study.ask()
    study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
    study = open_study("journal", tmp_path / "stopped")
    study.optimize(objective, n_trials=2)
    assert trials_of(study) == trials_of(alone)


def test_failures_do_not_stop_a_resumed_study_from_equalling_an_uninterrupted_one(tmp_path):
    def fails_at_times(trial: optuna.Trial) -> tuple[float, float]:
        values = objective(trial)
        if trial.number % 5 == 2:
            raise ValueError
        return values

    alone = open_study("journal", tmp_path / "alone")
    alone.optimize(fails_at_times, n_trials=16, catch=ValueError)
    for _ in range(4):
        study = open_study("journal", tmp_path / "stopped")
        study.optimize(fails_at_times, n_trials=4, catch=ValueError)
    assert trials_of(study) == trials_of(alone)
    assert len(set(models_of(study))) == 16  # what failed is not tried again


def test_processes_share_a_study(tmp_path):
    open_study("sqlite", tmp_path)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(tmp_path, 6)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=PATIENCE_S)
    assert [worker.exitcode for worker in workers] == [0, 0]
    study = open_study("sqlite", tmp_path)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 12
    # A model is chosen twice only in the same instant, before either is written down.
    of_model = dict[Genotype, FrozenTrial]()
    for trial, model in zip(study.trials, models_of(study), strict=True):
        earlier = of_model.setdefault(model, trial)
        assert trial is earlier or trial.datetime_start < earlier.datetime_complete


def test_more_workers_than_a_batch_get_a_model_each(tmp_path):
    study = open_study("journal", tmp_path)
    study.optimize(objective, n_trials=6)
    running = []
    for _ in range(30):  # each stopped before it asks; the pool has 24, the batch 4
        running.append(study.ask().relative_params)
    assert len({SPACE.decode(params).canonical() for params in running}) == 30


def test_two_processes_agree_on_a_trial(tmp_path):
    open_study("journal", tmp_path).optimize(objective, n_trials=9)
    proposals = []
    for _ in range(2):
        study = open_study("journal", tmp_path)
        proposals.append(study.sampler._propose(study, number=9))
    assert proposals[0] == proposals[1]


def test_it_beats_random_search():
    def distance(trial: optuna.Trial) -> float:
        last, first = (SPACE.suggest(trial).blocks[i] for i in (-1, 0))
        wrong = ("gate" not in last.dense_ops) + ("attn" not in last.sparse_ops)
        widths = np.log2(last.dense_width / 128) ** 2 + np.log2(first.sparse_width / 32) ** 2
        return float(wrong + widths + (last.sparse_inputs != (0, 1)) + last.sparse_to_dense)

    best = []
    for sampler in (make(num_startup=10, batch_size=8), SeededRandomSampler(5)):
        study = optuna.create_study(sampler=sampler)
        study.optimize(distance, n_trials=42)
        best.append(study.best_value)
    assert best[0] < best[1]


def test_constraints_lead_to_feasible_trials():
    def constrained(trial: optuna.Trial) -> tuple[float, float]:
        last = SPACE.suggest(trial).blocks[-1]
        trial.set_constraint("width", float(np.log2(last.dense_width / 64)))
        return float(-last.dense_width), float(last.sparse_width)

    study = in_memory()
    study.optimize(constrained, n_trials=26)
    feasible = [trial.constraints["width"] <= 0 for trial in study.trials[10:]]
    assert np.mean(feasible) > 0.5


def test_maximised_values_are_maximised():
    study = optuna.create_study(direction="maximize", sampler=make())
    study.optimize(lambda trial: SPACE.suggest(trial).blocks[-1].dense_width, n_trials=18)
    assert study.best_value == 1024


def test_pruned_infinite_and_alien_trials_do_no_harm():
    def strange(trial: optuna.Trial) -> tuple[float, float]:
        if trial.number == 4:
            trial.suggest_float("x", 0, 1)  # not a genotype
            return 0.0, 0.0
        values = objective(trial)
        return (np.inf, values[1]) if trial.number % 3 == 0 else values

    study = in_memory()
    study.optimize(strange, n_trials=16)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 16

    def pruned(trial: optuna.Trial) -> float:
        width = objective(trial)[0]
        if trial.number % 2:
            raise optuna.TrialPruned
        return width

    study = optuna.create_study(sampler=make())
    study.optimize(pruned, n_trials=24)
    assert len(set(models_of(study))) == 24


def test_an_enqueued_genotype_is_evaluated_and_learnt_from():
    study = in_memory()
    wanted = SPACE.sample(np.random.default_rng(7))
    study.enqueue_trial(SPACE.encode(wanted))
    study.optimize(objective, n_trials=12)
    assert models_of(study)[0] == wanted.canonical()
    assert len(set(models_of(study))) == 12


def test_a_space_that_is_exhausted_repeats_itself():
    tiny = SearchSpace(
        num_blocks=1, dense_ops=("fc",), sparse_ops=("efc",), mergers=False, dense_widths=(16, 32)
    )
    sampler = PoolBayesSampler(tiny, num_startup=3, pool_size=4, batch_size=2, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: tiny.suggest(trial).blocks[0].sparse_width, n_trials=12)
    models = [tiny.decode(trial.params) for trial in study.trials]
    assert len(set(models[:8])) == 8


def test_a_pickled_sampler_goes_on_the_same():
    study = in_memory()
    study.optimize(objective, n_trials=9)
    copy = pickle.loads(pickle.dumps(study.sampler))
    assert copy._propose(study, 9) == study.sampler._propose(study, 9)


def test_one_sampler_serves_several_studies_and_threads():
    sampler = make()
    for _ in range(2):
        study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        study.optimize(objective, n_trials=12, n_jobs=2)
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_startup": 0}, "num_startup: expected a positive integer, got 0"),
        ({"pool_size": 2.5}, "pool_size: expected a positive integer, got 2.5"),
        ({"max_observed": True}, "max_observed: expected a positive integer, got True"),
        ({"batch_size": 25}, "batch_size: expected at most the pool of 24, got 25"),
    ],
)
def test_a_wrong_size_is_one_sentence(options, message):
    with pytest.raises(StudyError, match=message):
        make(**options)


def test_a_wrong_seed_is_one_sentence():
    with pytest.raises(StudyError, match="seed: expected an integer from 0, got -1"):
        PoolBayesSampler(SPACE, seed=-1)
