"""Genotypes lowered together cost what each costs alone, to the last bit."""

from __future__ import annotations

import re
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workloads import accelerators

from hw import CPU, Batch, DescriptionError, Digital, Lookup, MatrixVector, RecNMP, ReRAM, Workload
from nasrec_opt import FeatureSpec, Genotype, SearchSpace
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.lowering import configure, cost_many, count_many, lower, lower_many
from nasrec_opt.lowering._columns import FEW, MAX_BLOCKS
from nasrec_opt.objective import Objective, metrics_many
from nasrec_opt.oracle import Evaluation, Oracle
from nasrec_opt.space import DENSE_OPS, FLOAT_BITS, SPARSE_OPS, BlockGene, live_bits

FEATURES = {
    "criteo": FeatureSpec(13, (5,) * 26),
    "no dense": FeatureSpec(0, (4, 9, 5), embedding_dim=12),
    "wide": FeatureSpec(3, (4, 9), embedding_dim=128),  # some projections have nothing to do
}
SPACES = {
    "small": SearchSpace.nasrec_small(3),
    "full": SearchSpace.nasrec_full(4),
    "multi": SearchSpace.nasrec_full(3, multi_operator=True),
    "bits": SearchSpace(  # with every operator: the paper's, and any that is added
        num_blocks=3,
        dense_ops=DENSE_OPS,
        sparse_ops=SPARSE_OPS,
        bits=(4, 8, (5, 7)),
        multi_operator=True,
    ),
    "codesign": SearchSpace.codesign(2),
    "first order": SearchSpace.codesign(2, wide=(False, True)),
    "autoctr": SearchSpace.autoctr(3),
    "dnas": SearchSpace.dnas(3),
    "profit": SearchSpace.profit(3, codesign=True),
    "no sparse": SearchSpace(
        num_blocks=3, sparse_ops=(), mergers=("sparse_to_dense",), multi_operator=True
    ),
}
WITH_FLOATS = SearchSpace(num_blocks=3, bits=(8, 32))
TOTALS = (
    "latency_ns", "energy_pj", "area_mm2", "leakage_mw", "interval_ns", "write_energy_pj",
    "write_latency_ns",
)  # fmt: skip
seeds = st.integers(0, 2**32 - 1)
some = st.builds(
    lambda name, seed, count: [
        SPACES[name].sample(np.random.default_rng([seed, number])) for number in range(count)
    ],
    st.sampled_from(list(SPACES)),
    seeds,
    st.integers(1, 20),
)
features = st.sampled_from(list(FEATURES.values()))


def check_equal(many, each):
    for total in TOTALS:
        assert getattr(many, total).tolist() == [getattr(cost, total) for cost in each], total
    assert list(many) == each


@settings(deadline=None, max_examples=40)
@given(some, features, accelerators())
def test_genotypes_lowered_together_cost_what_each_costs(genotypes, shape, model):
    each = [model.cost(lower(genotype, shape)) for genotype in genotypes]
    check_equal(model.cost_many(lower_many(genotypes, shape)), each)
    check_equal(model.cost_many([lower(genotype, shape) for genotype in genotypes]), each)


@settings(deadline=None, max_examples=15)
@given(st.lists(some, min_size=1, max_size=3), features)
def test_costs_of_genotypes_obey_their_accelerator_genes_and_any_number_of_blocks(groups, shape):
    genotypes = [genotype for group in groups for genotype in group]
    each = []
    for genotype in genotypes:
        gene = genotype.hardware
        model = ReRAM() if gene is None else configure(ReRAM(), gene)
        each.append(model.cost(lower(genotype, shape)))
    check_equal(cost_many(genotypes, shape), each)


@pytest.mark.parametrize("model", [CPU(), RecNMP()], ids=["cpu", "recnmp"])
def test_other_models_are_asked_one_by_one(model):
    space, shape = SPACES["full"], FEATURES["criteo"]
    genotypes = [space.sample(np.random.default_rng(seed)) for seed in range(FEW + 2)]
    many = cost_many(genotypes, shape, model)
    each = [model.cost(lower(genotype, shape)) for genotype in genotypes]
    assert list(many) == each
    assert many.latency_ns.tolist() == [cost.latency_ns for cost in each]
    assert many.interval_ns.tolist() == many.latency_ns.tolist()  # samples do not overlap
    assert many[2:4] == each[2:4]


@settings(deadline=None, max_examples=20)
@given(seeds, st.sampled_from([CPU(), RecNMP()]))
def test_floating_point_is_costed_where_it_can_be_and_refused_on_crossbars(seed, model):
    rng = np.random.default_rng(seed)
    genotypes = [WITH_FLOATS.sample(rng) for _ in range(FEW + 2)]
    shape = FEATURES["criteo"]
    costs = [model.cost(lower(genotype, shape)) for genotype in genotypes]
    assert list(cost_many(genotypes, shape, model)) == costs
    for genotype in genotypes:
        batch = lower_many([genotype], shape)
        has_floats = FLOAT_BITS in live_bits(genotype)
        for cost, workload in (
            (ReRAM().cost, lower(genotype, shape)),
            (ReRAM().cost_many, batch),
        ):
            expectation = (
                pytest.raises(DescriptionError, match=r"on a crossbar accelerator.*floating point")
                if has_floats
                else nullcontext()
            )
            with expectation:
                cost(workload)


class PerMac:
    def cost(self, workload):
        return float(workload.macs)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            ReRAM,
            "accelerator: expected an object with cost(workload), got the class ReRAM",
        ),
        (PerMac, "got the class PerMac instead of an instance"),
        (3.0, "got 3.0"),
        (PerMac(), "accelerator: expected a hw.Cost from cost, got "),
    ],
)
@pytest.mark.parametrize("count", [1, FEW + 1])
def test_what_is_no_cost_model_is_refused_in_one_sentence(model, words, count):
    genotypes = [SPACES["codesign"].sample(np.random.default_rng(seed)) for seed in range(count)]
    with pytest.raises(StudyError, match=re.escape(words)):
        cost_many(genotypes, FEATURES["criteo"], model)


def test_nothing_to_cost_is_no_costs():
    shape = FEATURES["criteo"]
    for none in (
        cost_many([], shape),
        ReRAM().cost_many([]),
        ReRAM().cost_many(lower_many([], shape)),
    ):
        assert len(none) == 0
        assert list(none) == none[:] == []
        assert none.latency_ns.tolist() == []


def test_a_batch_written_by_hand_is_the_workloads_that_it_stands_for():
    table = Lookup(name="table", vectors=26, dim=16)
    fc = MatrixVector(name="fc", operator="fc", inputs=100, outputs=10, after=("table",))
    add = Digital(name="add", operator="sum", additions=10, after=("fc", "table"))
    workloads = [Workload((table, fc, add)), Workload((table, Digital(
        name="add", operator="sum", additions=70, after=("table",)
    )))]  # fmt: skip
    batch = Batch(2, workloads.__getitem__)
    both, first = np.array([0, 1]), np.array([0])
    lookups = batch.add_lookup(both, vectors=26, dim=16, value_bits=32)
    chosen = batch.add_join(both, [lookups])
    product = batch.add_product(
        first, inputs=100, outputs=10, repeats=1, weight_bits=8, activation_bits=8, after=[chosen]
    )
    batch.add_digital(
        both, multiplications=0, additions=np.array([10, 70]), special_functions=0, bits=8,
        after=[product, chosen],
    )  # fmt: skip
    check_equal(ReRAM().cost_many(batch), [ReRAM().cost(workload) for workload in workloads])


def test_widths_too_large_for_one_key_are_told_apart():
    huge = [
        Genotype((BlockGene(dense_width=width, sparse_width=width),), space="custom")
        for width in (16, 65536, 65535)
    ]
    shape = FeatureSpec(50_000, (5,) * 26, embedding_dim=4096)
    model = ReRAM()
    each = [model.cost(lower(genotype, shape)) for genotype in huge]
    check_equal(model.cost_many(lower_many(huge, shape)), each)


@settings(deadline=None, max_examples=15)
@given(st.lists(some, min_size=1, max_size=3), features, st.booleans())
def test_macs_and_parameters_of_many_are_those_of_their_workloads(groups, shape, balance):
    genotypes = [genotype for group in groups for genotype in group]
    counts = count_many(genotypes, shape, balance=balance)
    each = [lower(genotype, shape, balance=balance) for genotype in genotypes]
    assert counts.macs.tolist() == [workload.macs for workload in each]
    assert counts.mflops.tolist() == [workload.mflops for workload in each]
    assert counts.mflops_paper.tolist() == [workload.mflops_paper for workload in each]
    assert counts.parameters.tolist() == [workload.parameters for workload in each]


@settings(deadline=None, max_examples=10)
@given(st.lists(some, min_size=1, max_size=2), st.booleans())
def test_metrics_of_many_are_those_of_an_objective(groups, balance):
    genotypes = [genotype for group in groups for genotype in group]
    shape = FEATURES["criteo"]

    class Constant(Oracle):
        features = shape

        def evaluate(self, genotype, *, report=None):
            return Evaluation(0.5)

    oracle = Constant()
    oracle.balance = balance
    many = metrics_many(genotypes, shape, ReRAM(), balance=balance)
    without = metrics_many(genotypes, shape, balance=balance)
    objective = Objective(SPACES["full"], oracle, ReRAM())
    for number, genotype in enumerate(genotypes):
        expected = objective.metrics(genotype)
        del expected["log_loss"]
        # The objective costs the canonical form, whose operations may add in another order.
        found = {name: values[number].item() for name, values in many.items()}
        assert found == pytest.approx(expected, rel=1e-12)
    assert without.keys() == {"mflops", "mflops_paper", "parameters"}


def test_more_blocks_than_a_mask_holds_are_lowered_one_by_one():
    space = SearchSpace.nasrec_small(MAX_BLOCKS + 1, max_inputs=1)
    rng, shape = np.random.default_rng(0), FEATURES["criteo"]
    genotypes = [space.sample(rng) for _ in range(FEW)]
    check_equal(
        cost_many(genotypes, shape),
        [ReRAM().cost(lower(genotype, shape)) for genotype in genotypes],
    )
    macs = [lower(genotype, shape).macs for genotype in genotypes]
    assert count_many(genotypes, shape).macs.tolist() == macs
    with pytest.raises(GenotypeError, match="genotypes: expected as many blocks each, at most 62"):
        lower_many(genotypes, shape)
    most = SearchSpace.nasrec_small(MAX_BLOCKS, max_inputs=1)
    genotypes = [most.sample(rng) for _ in range(FEW)]
    check_equal(
        cost_many(genotypes, shape),
        [ReRAM().cost(lower(genotype, shape)) for genotype in genotypes],
    )


def test_different_numbers_of_blocks_are_no_batch():
    genotypes = [SPACES["small"].sample(np.random.default_rng(0)), Genotype((BlockGene(),))]
    with pytest.raises(GenotypeError, match="at most 62, got 1, 3"):
        lower_many(genotypes, FEATURES["criteo"])
