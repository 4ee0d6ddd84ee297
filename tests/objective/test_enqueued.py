"""Enqueued trials outside the space, and samplers and studies of another one."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from nasrec_opt import Genotype, Objective, RegularizedEvolutionSampler, SearchSpace
from nasrec_opt.bayes import PoolBayesSampler
from nasrec_opt.errors import StudyError

optuna.logging.set_verbosity(optuna.logging.ERROR)

SPACE = SearchSpace.nasrec_full(3)
LONE = SearchSpace(num_blocks=1, dense_ops=("fc",), sparse_ops=("efc",), sparse_widths=(16,))


def loss(genotype: Genotype) -> float:
    return 0.5 - genotype.blocks[-1].dense_width / 1e4


def ours(space=SPACE):
    return RegularizedEvolutionSampler(
        space, population_size=4, tournament_size=2, children_per_round=2, seed=0
    )


SAMPLERS = {
    "evolution": ours,
    "screening": lambda: RegularizedEvolutionSampler(
        SPACE, population_size=4, tournament_size=2, children_per_round=2, screening=4, seed=0
    ),
    "random": lambda: optuna.samplers.RandomSampler(seed=0),
    "tpe": lambda: optuna.samplers.TPESampler(multivariate=True, n_startup_trials=3, seed=0),
    "nsga2": lambda: optuna.samplers.NSGAIISampler(population_size=4, seed=0),
    "pool": lambda: PoolBayesSampler(SPACE, num_startup=4, pool_size=32, seed=0),
}
BAD = {
    "value": ({"b1.dense_width": 17}, "b1.dense_width: expected one of 16, 32, 64, 128, 256, 512, "
              "768, 1024, got 17"),
    "category": ({"b1.dense_ops": "conv"}, "b1.dense_ops: expected one of fc, gate"),
    "number as text": ({"b1.dense_width": "64"}, "b1.dense_width: expected one of 16,"),
    "nothing": ({"b2.sparse_ops": None}, "b2.sparse_ops: expected one of efc, attn, got None"),
    "list": ({"b2.sparse_inputs": [0, 1]}, "b2.sparse_inputs: expected one of 0, 1, 0+1, got"),
    "later input": ({"b2.sparse_inputs": "0+2"}, "b2.sparse_inputs: expected one of 0, 1, 0+1"),
    "nan": ({"b2.sparse_width": math.nan}, "b2.sparse_width: expected one of 16, 32, 48, 64, got"),
    "another block": ({"b4.dense_width": 64}, "b4.dense_width: expected a parameter of space "
                      "'nasrec_full' with 3 blocks, got an unknown one"),
    "another gene": ({"b1.layers": 64}, "b1.layers: expected a parameter of space"),
    "misspelt": ({"b1.dense_widht": 64}, "did you mean b1.dense_width?"),
    "accelerator": ({"hw.adc_bits": 8}, "hw.adc_bits: expected a parameter of space"),
}  # fmt: skip


def storages(tmp_path):
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal"))
    return {
        "memory": lambda: None,
        "sqlite": lambda: f"sqlite:///{tmp_path / 'study.db'}",
        "journal": lambda: optuna.storages.JournalStorage(journal),
    }


@pytest.mark.parametrize("storage", ["memory", "sqlite", "journal"])
@pytest.mark.parametrize("case", BAD)
def test_an_enqueued_trial_outside_the_space_fails_alone(case, storage, tmp_path):
    params, words = BAD[case]
    study = optuna.create_study(storage=storages(tmp_path)[storage](), sampler=ours())
    good = SPACE.encode(SPACE.sample(np.random.default_rng(0)))
    study.enqueue_trial({**good, **params})
    study.enqueue_trial(good)
    study.optimize(Objective(SPACE, loss), n_trials=4)
    bad, enqueued, *rest = study.trials
    assert bad.state == TrialState.FAIL
    assert words in bad.user_attrs["failed"]
    assert enqueued.params == good
    assert {trial.state for trial in (enqueued, *rest)} == {TrialState.COMPLETE}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_goes_on_after_enqueued_trials_of_any_kind(sampler):
    study = optuna.create_study(sampler=SAMPLERS[sampler]())
    good = SPACE.encode(SPACE.sample(np.random.default_rng(1)))
    for params, _words in BAD.values():
        study.enqueue_trial({**good, **params})
        study.enqueue_trial(params)
    study.optimize(Objective(SPACE, loss), n_trials=2 * len(BAD) + 12)
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.FAIL] * 2 * len(BAD) + [TrialState.COMPLETE] * 12


def test_many_bad_enqueued_trials_do_not_end_a_study():
    study = optuna.create_study(sampler=ours())
    for _ in range(200):
        study.enqueue_trial({"b1.dense_width": 17})
    study.optimize(Objective(SPACE, loss), n_trials=201)
    assert study.trials[-1].state == TrialState.COMPLETE


def test_what_an_enqueued_trial_leaves_out_the_sampler_adds():
    study = optuna.create_study(sampler=ours())
    study.enqueue_trial({"b2.dense_width": 768, "b1.dense_ops": "gate"})
    study.optimize(Objective(SPACE, loss), n_trials=2)
    genotype = Genotype.from_json(study.trials[0].user_attrs["genotype"])
    assert genotype.blocks[0].dense_ops == ("gate",)
    assert genotype.blocks[1].dense_width == 768
    assert genotype == SPACE.decode(study.trials[0].params)


def test_inactive_genes_and_the_callers_own_parameters_are_not_looked_at():
    study = optuna.create_study(sampler=ours())
    study.enqueue_trial({"b1.dense_ops": "fc", "b1.gate_inputs": math.nan, "lr": 0.125})
    rates = []

    def own(trial):
        value = Objective(SPACE, loss)(trial)
        rates.append(trial.suggest_float("lr", 0.0, 1.0))
        return value

    study.optimize(own, n_trials=1)
    assert study.trials[0].state == TrialState.COMPLETE
    assert rates == [0.125]


def test_a_gene_with_one_value_may_be_enqueued_with_that_value_alone():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for width in (16, 32):
        study.enqueue_trial({"b1.sparse_width": width})
    study.optimize(Objective(LONE, loss), n_trials=2)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE, TrialState.FAIL]
    assert study.trials[1].user_attrs["failed"] == "b1.sparse_width: expected one of 16, got 32"


@pytest.mark.parametrize(
    ("of_sampler", "wrong"),
    [
        (SearchSpace.nasrec_full(4), "proposes b4."),
        (SearchSpace.nasrec_full(2), "proposes nothing for block 3"),
        (SearchSpace.nasrec_small(3), "proposes other choices for b1.dense_ops"),
        (SearchSpace.codesign(3), "proposes other choices for b1.dense_ops"),
        (SearchSpace.nasrec_full(3, codesign=True), "proposes b1.dense_bits, which the space does"),
    ],
)
@pytest.mark.parametrize("kind", [RegularizedEvolutionSampler, PoolBayesSampler])
def test_a_sampler_of_another_space_is_one_sentence(of_sampler, wrong, kind):
    sampler = kind(of_sampler, seed=0)
    study = optuna.create_study(sampler=sampler)
    with pytest.raises(StudyError) as caught:
        study.optimize(Objective(SPACE, loss), n_trials=100)
    assert str(caught.value).startswith(
        "space 'nasrec_full' with 3 blocks: expected a sampler and a study of the same space, but "
        f"{type(sampler).__name__} {wrong}"
    )
    assert len(study.trials) == 1
    with pytest.raises(StudyError, match="expected a sampler and a study of the same space"):
        study.optimize(lambda trial: SPACE.suggest(trial).num_blocks, n_trials=1)


@pytest.mark.parametrize("kind", [RegularizedEvolutionSampler, PoolBayesSampler])
def test_a_sampler_without_the_bits_and_the_accelerator_of_the_space_is_one_sentence(kind):
    space = SearchSpace.nasrec_full(3, codesign=True)
    study = optuna.create_study(sampler=kind(SPACE, seed=0))
    with pytest.raises(StudyError, match=f"{kind.__name__} proposes nothing for b1.dense_bits"):
        study.optimize(lambda trial: space.suggest(trial).num_blocks, n_trials=1)
    bits_alone = kind(dataclasses.replace(space, hardware=None), seed=0)
    study = optuna.create_study(sampler=bits_alone)
    with pytest.raises(StudyError, match=f"{kind.__name__} proposes nothing for hw."):
        study.optimize(lambda trial: space.suggest(trial).num_blocks, n_trials=1)


class _AcceleratorAlone(optuna.samplers.RandomSampler):
    """A user's own sampler that proposes a part of the genotype and leaves the rest to chance."""

    def infer_relative_search_space(self, study, trial):
        known = SearchSpace.codesign(2).distributions()
        return {name: found for name, found in known.items() if name.startswith("hw.")}

    def sample_relative(self, study, trial, search_space):
        return {name: found.choices[0] for name, found in search_space.items()}


def test_a_sampler_of_ones_own_may_propose_a_part_of_the_genotype():
    space = SearchSpace.codesign(2)
    study = optuna.create_study(sampler=_AcceleratorAlone(seed=0))
    study.optimize(lambda trial: space.suggest(trial).num_blocks, n_trials=3)
    assert {trial.params["hw.cell_bits"] for trial in study.trials} == {1}
    assert all(space.contains(space.decode(trial.params)) for trial in study.trials)


@pytest.mark.parametrize("name", ["random", "tpe", "nsga2"])
def test_a_study_of_another_space_is_one_sentence(name, tmp_path):
    study = optuna.create_study(
        study_name="mine", storage=f"sqlite:///{tmp_path}/study.db", sampler=SAMPLERS[name]()
    )
    study.optimize(Objective(SearchSpace.nasrec_small(3), loss), n_trials=4)
    with pytest.raises(StudyError, match="space 'nasrec_full' with 3 blocks") as caught:
        study.optimize(Objective(SPACE, loss), n_trials=4)
    assert "dynamic value space" not in str(caught.value)
    assert type(study.sampler).__name__ in str(caught.value)


def test_part_of_a_space_may_be_fixed_for_a_sampler():
    fixed = {f"b3.{gene}": value for gene, value in (
        ("dense_ops", "fc"), ("dense_width", 64), ("dense_inputs", "0"), ("sparse_ops", "efc"),
        ("sparse_width", 16), ("sparse_inputs", "0"), ("mergers", "none"),
    )}  # fmt: skip
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        sampler = optuna.samplers.PartialFixedSampler(fixed, ours())
    study = optuna.create_study(sampler=sampler)
    study.optimize(Objective(SPACE, loss), n_trials=6)
    assert {trial.params["b3.dense_width"] for trial in study.trials} == {64}
