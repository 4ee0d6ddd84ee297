"""Spaces as Ax parameters, and genotypes there and back."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("ax", reason="the extra 'ax' is not installed")

from ax.api.client import Client

from nasrec_opt.ax import genotype_of, parameters_of, to_ax
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.space import SearchSpace

SPACES = [
    SearchSpace.nasrec_small(),
    SearchSpace.nasrec_full(),
    SearchSpace.nasrec_full(4, multi_operator=True, codesign=True),
    SearchSpace.codesign(),
    SearchSpace(num_blocks=3, bits=(4, 8, (4, 8)), dense_ops=("fc", "gate"), mergers=False),
    SearchSpace.nasrec_full(3, multi_operator=True, wide=(False, True)),
    SearchSpace.autoctr(3),
    SearchSpace.dnas(3),
    SearchSpace.profit(3),
]
cases = st.tuples(st.sampled_from(SPACES), st.sampled_from(["tree", "flat"]))
seeds = st.integers(0, 2**32 - 1)


@cache
def ax_space(space, encoding):
    client = Client()
    client.configure_experiment(to_ax(space, encoding), name="x")
    return client._experiment.search_space


@settings(deadline=None, max_examples=40)
@given(cases, seeds)
def test_parameters_are_members_of_the_ax_space_and_lead_back(case, seed):
    space, encoding = case
    genotype = space.sample(np.random.default_rng(seed))
    parameters = parameters_of(space, genotype, encoding)
    ax_space(space, encoding).validate_membership(parameters)  # raises what does not fit
    assert genotype_of(space, parameters, encoding) == genotype
    assert parameters_of(space, genotype_of(space, parameters, encoding), encoding) == parameters


@settings(deadline=None, max_examples=20)
@given(cases, seeds)
def test_whatever_ax_draws_is_a_genotype(case, seed):
    space, encoding = case
    rng = np.random.default_rng(seed)
    ours = ax_space(space, encoding)
    drawn = {}
    for name, parameter in ours.parameters.items():
        if hasattr(parameter, "values"):
            drawn[name] = parameter.values[rng.integers(len(parameter.values))]
        else:
            drawn[name] = int(rng.integers(parameter.lower, parameter.upper + 1))
    if ours.is_hierarchical:
        drawn = ours._cast_parameterization(drawn)
    assert space.contains(genotype_of(space, drawn, encoding))


def test_genes_of_some_operators_hang_below_the_way_of_reading():
    parameters = {parameter.name: parameter for parameter in to_ax(SearchSpace.nasrec_full(2))}
    assert parameters["b2.reads"].dependent_parameters == {
        "all": ["b2.all.dense_ops", "b2.all.dense_inputs"],
        "two": ["b2.two.dense_ops", "b2.two.gate_inputs"],
    }
    assert "b1.reads" not in parameters  # a first block reads the raw features alone


def test_a_space_without_gates_has_the_names_of_optuna():
    space = SearchSpace.codesign(3)
    assert {parameter.name for parameter in to_ax(space)} == set(space.distributions())


def test_the_flat_encoding_has_an_integer_for_each_gene():
    space = SearchSpace.nasrec_full(3)
    assert {(p.name, p.parameter_type) for p in to_ax(space, "flat")} == {
        (name, "int") for name in space.distributions()
    }


def test_what_is_no_genotype_is_a_sentence():
    space = SearchSpace.nasrec_full(2)
    genotype = space.sample(np.random.default_rng(0))
    tree, flat = (dict(parameters_of(space, genotype, e)) for e in ("tree", "flat"))
    with pytest.raises(GenotypeError, match=r"b2\.reads: expected one of all, two, got 'three'"):
        genotype_of(space, tree | {"b2.reads": "three"})
    with pytest.raises(GenotypeError, match=r"b1\.dense_width: expected one of 16, .* got 17"):
        genotype_of(space, tree | {"b1.dense_width": 17})
    del tree["b1.mergers"]
    with pytest.raises(GenotypeError, match=r"b1\.mergers: expected a value"):
        genotype_of(space, tree)
    with pytest.raises(GenotypeError, match=r"b1\.dense_width: expected an integer .* got 8"):
        genotype_of(space, flat | {"b1.dense_width": 8}, "flat")
    with pytest.raises(StudyError, match="encoding: expected 'tree' or 'flat', got 'one-hot'"):
        to_ax(space, "one-hot")
