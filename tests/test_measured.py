"""The measured cost model: what it measures, and that it plugs in like any other."""

from __future__ import annotations

import sys

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from workloads import floating, workloads

from hw import DescriptionError, Digital, Lookup, MatrixVector, Workload
from nasrec_opt import FeatureSpec, SearchSpace, measured
from nasrec_opt.errors import MissingExtraError
from nasrec_opt.lowering import cost_many, lower
from nasrec_opt.measured import OnnxRuntimeCPU
from nasrec_opt.objective import Objective
from nasrec_opt.report import plot_cost

FEATURES = FeatureSpec(13, (100,) * 26)


@pytest.fixture(scope="module")
def runtime():
    pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
    return pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")


@settings(deadline=None, max_examples=15)
@given(workload=workloads().map(floating))
def test_every_workload_has_a_time_and_its_parts_sum(runtime, workload):
    model = OnnxRuntimeCPU(repeats=1)
    cost = model.cost(workload)
    assert all(part.energy_pj > 0 for part in cost.breakdown)
    assert sum(p.latency_ns for p in cost.breakdown) == pytest.approx(cost.latency_ns)
    assert sum(c.energy_pj for c in cost.components) == pytest.approx(cost.energy_pj)
    assert cost == model.cost(workload)  # a shape is measured once
    assert (cost.area_mm2, cost.leakage_mw) == (0.0, 0.0)


def test_graphs_compute_the_operations(runtime):
    def run(operation):
        model, feeds = measured._graph(operation, batch=2)
        session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
        return feeds, session.run(None, feeds)

    product = MatrixVector(name="a", operator="fc", inputs=3, outputs=5, repeats=4)
    feeds, [made] = run(product)
    assert feeds["given"].shape == (2 * 4, 3)
    assert made.shape == (2 * 4, 5)
    _, [rows] = run(Lookup(name="b", vectors=7, dim=16, table_rows=100))
    assert rows.shape == (2, 7, 16)
    feeds, made = run(Digital(name="c", operator="dot", macs=6, additions=4, special_functions=2))
    assert [value.shape for value in made] == [(2, 6), (2, 4), (2, 2)]
    np.testing.assert_allclose(made[0], feeds["Mul"] ** 2, rtol=1e-6)
    np.testing.assert_allclose(made[2], 1 / (1 + np.exp(-feeds["Sigmoid"])), rtol=1e-5)
    assert run(Digital(name="d", operator="rows"))[1][0].shape == (2, 1)


def test_more_work_takes_longer_and_a_batch_shares_calls(runtime):
    def latency(width, **options):
        product = MatrixVector(
            name="fc", operator="fc", inputs=width, outputs=width, weight_bits=32,
            activation_bits=32,
        )  # fmt: skip
        return OnnxRuntimeCPU(**options).cost(Workload((product,))).latency_ns

    assert latency(2048) > 5 * latency(16)
    assert latency(16, batch=256) < latency(16) / 5


def test_it_is_a_cost_model_like_any_other(runtime, tmp_path):
    space = SearchSpace(num_blocks=2, bits=(32,))
    objective = Objective(space, lambda genotype: 0.5, OnnxRuntimeCPU(repeats=1), features=FEATURES)
    study = optuna.create_study(directions=["minimize"] * 3)
    study.optimize(objective, n_trials=3)
    assert all(trial.values[1] > 0 for trial in study.trials)
    genotypes = [space.sample(np.random.default_rng(seed)) for seed in range(3)]
    costs = cost_many(genotypes, FEATURES, objective.accelerator)
    plot_cost(costs[0], tmp_path / "x.svg")
    assert costs[0].latency_ns == costs.latency_ns[0]


def test_integers_are_refused_since_fp32_is_what_is_measured():
    genotype = SearchSpace.nasrec_small(2).sample(np.random.default_rng(0))
    with pytest.raises(
        DescriptionError, match=r"expected a model in floating point .*, got 8 bits"
    ):
        OnnxRuntimeCPU().cost(lower(genotype, FEATURES))


def test_figures_that_cannot_be_are_refused():
    with pytest.raises(DescriptionError, match="batch: expected 1 or more, got 0"):
        OnnxRuntimeCPU(batch=0)
    with pytest.raises(DescriptionError, match=r"watts: expected a number from 0, got -1.0"):
        OnnxRuntimeCPU(watts=-1.0)


def test_without_the_package_a_sentence_says_how_to_get_it(monkeypatch):
    measured._packages.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    lookup = Lookup(name="embedding", vectors=1, dim=16)
    with pytest.raises(MissingExtraError, match=r"pip install 'nasrec-opt\[onnx\]'"):
        OnnxRuntimeCPU().cost(Workload((lookup,)))
    measured._packages.cache_clear()
