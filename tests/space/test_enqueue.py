"""Genotypes as trials of a study: each model once, whoever enqueues it and how often."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from patience import PATIENCE_S
from samplers.studies import open_storage

from nasrec_opt import Genotype, RegularizedEvolutionSampler, SearchSpace
from nasrec_opt.ax import AxSampler
from nasrec_opt.bayes import PoolBayesSampler
from nasrec_opt.errors import GenotypeError, MissingExtraError
from nasrec_opt.objective import requeue_interrupted
from nasrec_opt.samplers import make_sampler

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = SearchSpace.codesign(3)
SPACES = [
    SPACE,
    SearchSpace.nasrec_full(2),
    SearchSpace.nasrec_full(3, codesign=True),
    SearchSpace.nasrec_small(2, wide=(False, True)),
]
STORAGES = ("memory", "sqlite", "journal")


def drawn(count: int, space: SearchSpace = SPACE) -> list[Genotype]:
    """Different models."""
    rng, found = np.random.default_rng(0), {}
    for _ in range(10 * count):
        genotype = space.sample(rng)
        found.setdefault(genotype.canonical(), genotype)
    return list(found.values())[:count]


def searched(study: optuna.Study, n_trials: int, space: SearchSpace = SPACE) -> list[Genotype]:
    """The genotypes of all complete trials, oldest first."""
    study.optimize(lambda trial: float(space.suggest(trial).num_blocks), n_trials=n_trials)
    states = (TrialState.COMPLETE,)
    return [space.decode(trial.params) for trial in study.get_trials(states=states)]


@given(space=st.sampled_from(SPACES), seeds=st.lists(st.integers(0, 99), min_size=1, max_size=5))
def test_enqueued_genotypes_are_the_first_trials_each_model_once(space, seeds):
    genotypes = [space.sample(np.random.default_rng(seed)) for seed in seeds]
    models = list(dict.fromkeys(genotype.canonical() for genotype in genotypes))
    study = optuna.create_study(sampler=RegularizedEvolutionSampler(space, seed=0))
    for _ in range(2):
        numbers = [space.enqueue(study, genotype) for genotype in genotypes]
        assert numbers == [models.index(genotype.canonical()) for genotype in genotypes]
    found = searched(study, len(models) + 1, space)
    assert [genotype.canonical() for genotype in found[:-1]] == models
    assert [space.enqueue(study, genotype) for genotype in genotypes] == numbers
    assert len(study.trials) == len(models) + 1


@pytest.mark.parametrize("kind", STORAGES)
def test_a_study_that_is_opened_again_has_each_once(tmp_path, kind):
    genotypes = drawn(3)

    def opened(storage: Any) -> optuna.Study:
        study = optuna.create_study(study_name="a", storage=storage, load_if_exists=True)
        for genotype in genotypes:
            SPACE.enqueue(study, genotype)
        return study

    storage = open_storage(f"{kind}:///{tmp_path / 'study'}")
    assert searched(opened(storage), 1) == genotypes[:1]
    if kind != "memory":
        storage = open_storage(f"{kind}:///{tmp_path / 'study'}")
    assert searched(opened(storage), 3)[:3] == genotypes
    assert len(opened(storage).trials) == 4


def test_another_spelling_of_a_model_is_the_same_trial():
    space = SearchSpace.nasrec_full(2)
    unused = drawn(1, space)[0].blocks[0]
    last = replace(unused, dense_inputs=(0,), sparse_inputs=(0,), left_input=None, right_input=None,
                   dense_ops=("fc",))  # fmt: skip
    one, other = (
        Genotype((replace(unused, sparse_width=rows), last), space="nasrec_full")
        for rows in (16, 32)
    )
    study = optuna.create_study()
    assert [space.enqueue(study, genotype) for genotype in (one, other)] == [0, 0]
    assert searched(study, 1, space) == [one]


def test_what_a_sampler_proposed_or_what_failed_is_no_new_trial():
    [genotype] = drawn(1)
    study = optuna.create_study()
    study.enqueue_trial(SPACE.encode(genotype))
    study.tell(study.ask(), state=TrialState.FAIL)
    assert SPACE.enqueue(study, genotype) == 0
    [proposed] = searched(study, 1)
    assert SPACE.enqueue(study, proposed) == 1
    assert len(study.trials) == 2


@pytest.mark.parametrize("kind", STORAGES)
def test_workers_at_the_same_time_evaluate_each_once(tmp_path, kind):
    genotypes, workers, address = drawn(4), 5, f"{kind}:///{tmp_path / 'study'}"
    shared = open_storage(address)
    optuna.create_study(study_name="a", storage=shared)
    barrier, evaluated, errors = threading.Barrier(workers), Counter(), []
    # Optuna itself may hand one waiting trial to two workers (optuna/optuna#4621) in a journal on a
    # busy machine.
    queues_are_safe = kind != "journal"

    def objective(trial: optuna.Trial) -> float:
        evaluated[SPACE.suggest(trial)] += 1
        return 0.0

    def work() -> None:
        try:
            storage = shared if kind == "memory" else open_storage(address)
            study = optuna.load_study(study_name="a", storage=storage)
            barrier.wait(PATIENCE_S)
            for genotype in genotypes:
                SPACE.enqueue(study, genotype)
            if queues_are_safe:
                study.optimize(objective, n_trials=3)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    if not queues_are_safe:
        study = optuna.load_study(study_name="a", storage=open_storage(address))
        study.optimize(objective, n_trials=3 * workers)
    assert [evaluated[genotype] for genotype in genotypes] == [1] * 4
    assert sum(evaluated.values()) == 3 * workers


class _Overtaken(InMemoryStorage):
    """While one worker adds a trial, another one does all that it has to do."""

    def __init__(self, genotype: Genotype) -> None:
        super().__init__()
        self.genotype: Genotype | None = genotype

    def create_new_trial(self, study_id: int, template_trial: Any = None) -> int:
        genotype, self.genotype = self.genotype, None
        if genotype is not None:
            other = optuna.load_study(study_name="a", storage=self)
            assert SPACE.enqueue(other, genotype) == 0
        return super().create_new_trial(study_id, template_trial)


def test_of_two_workers_who_saw_no_trial_the_first_has_it():
    [genotype] = drawn(1)
    study = optuna.create_study(study_name="a", storage=_Overtaken(genotype))
    assert SPACE.enqueue(study, genotype) == 0
    first, second = study.trials
    assert (first.state, second.state) == (TrialState.WAITING, TrialState.FAIL)
    assert second.user_attrs == {"duplicate_of": 0}
    assert searched(study, 1) == [genotype]


def outside() -> dict[str, Genotype]:
    """Genotypes that are not in the space, by what is said of them."""
    [inside] = drawn(1)
    narrow = replace(inside.blocks[0], dense_width=16)
    return {
        "blocks: expected 3, got 2": drawn(1, SearchSpace.codesign(2))[0],
        "space: expected 'codesign', got 'nasrec_small'": drawn(1, SearchSpace.nasrec_small(3))[0],
        "b1.dense_width: expected one of 64, 128, 256, 512, 768, 1024, got 16": replace(
            inside, blocks=(narrow, *inside.blocks[1:])
        ),
        "hardware: expected accelerator genes, got None": replace(inside, hardware=None),
    }


class _Killed(InMemoryStorage):
    """A worker dies before its trial is in the queue."""

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Any = None) -> bool:
        if state == TrialState.WAITING:
            raise KeyboardInterrupt
        return super().set_trial_state_values(trial_id, state, values)


def test_a_worker_that_is_killed_on_the_way_leaves_one_trial_to_take_up_again():
    [genotype] = drawn(1)
    storage = _Killed()
    study = optuna.create_study(study_name="a", storage=storage)
    with pytest.raises(KeyboardInterrupt):
        SPACE.enqueue(study, genotype)
    storage.__class__ = InMemoryStorage  # the next run
    assert SPACE.enqueue(study, genotype) == 0
    assert requeue_interrupted(study) == 1
    assert searched(study, 1) == [genotype]
    assert len(study.trials) == 1


@pytest.mark.parametrize("kind", ["nsga2", "tpe", "pool", "ax"])
def test_samplers_go_on_from_enqueued_genotypes(kind):
    genotypes = drawn(2)
    samplers: dict[str, Callable[[], BaseSampler]] = {
        "nsga2": lambda: make_sampler("nsga2", SPACE, seed=0),
        "tpe": lambda: make_sampler("tpe", SPACE, seed=0),
        "pool": lambda: PoolBayesSampler(SPACE, num_startup=3, pool_size=8, seed=0),
        "ax": lambda: AxSampler(SPACE, metric_names=["blocks"]),
    }
    try:
        study = optuna.create_study(sampler=samplers[kind]())
    except MissingExtraError as error:
        pytest.skip(str(error))
    for genotype in genotypes:
        SPACE.enqueue(study, genotype)
    found = searched(study, 5)
    assert found[:2] == genotypes
    assert len(set(found)) == 5


@pytest.mark.parametrize("sentence", outside())
def test_a_genotype_outside_the_space_is_one_sentence_and_no_trial(sentence):
    study = optuna.create_study()
    with pytest.raises(GenotypeError) as caught:
        SPACE.enqueue(study, outside()[sentence])
    assert str(caught.value) == sentence
    assert study.trials == []
