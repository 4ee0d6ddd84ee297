"""Which genes a trial may lack, and what a sampler of ours may not leave out."""

from __future__ import annotations

import optuna
import pytest

from nasrec_opt import RegularizedEvolutionSampler, SearchSpace
from nasrec_opt.errors import StudyError
from nasrec_opt.space._asking import _is_conditional


@pytest.mark.parametrize("name", ["b1.dense_inputs", "b2.gate_inputs"])
def test_genes_that_some_operators_alone_read_are_conditional(name):
    assert _is_conditional(name)


@pytest.mark.parametrize(
    "name",
    ["b1.dense_ops", "b1.dense_width", "b2.mergers", "hw.adc_bits", "wide", "rate", "b1.rate"],
)
def test_other_parameters_are_not(name):
    assert not _is_conditional(name)


def test_a_sampler_of_ours_with_fewer_blocks_is_refused():
    two, three = SearchSpace.nasrec_small(2), SearchSpace.nasrec_small(3)
    sizes = {"population_size": 2, "tournament_size": 2, "children_per_round": 2}
    study = optuna.create_study(sampler=RegularizedEvolutionSampler(two, **sizes))
    trial = study.ask()
    with pytest.raises(
        StudyError, match="Sampler proposes nothing for block 3; give both the same"
    ):
        three.suggest(trial)


def test_a_sampler_of_optuna_may_leave_parameters_out():
    space = SearchSpace.nasrec_small(2)

    class Half(optuna.samplers.RandomSampler):
        def infer_relative_search_space(self, study, trial):
            return {"b1.dense_width": space.distributions()["b1.dense_width"]}

        def sample_relative(self, study, trial, search_space):
            return {"b1.dense_width": 16}

    genotype = space.suggest(optuna.create_study(sampler=Half()).ask())
    assert genotype.blocks[0].dense_width == 16
