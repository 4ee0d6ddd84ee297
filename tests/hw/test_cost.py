"""Totals and parts, and the critical path against every chain of needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workloads import workloads

from hw import CPU, Cost, OperatorCost, RecNMP, ReRAM, Workload
from hw._cost import critical_path

MODELS = {"reram": ReRAM(), "cpu": CPU(), "recnmp": RecNMP()}
times = st.lists(st.one_of(st.just(0.0), st.floats(0, 1e6)), min_size=7, max_size=7)


def chains(operations, name):
    """Every chain of needs that ends in an operation."""
    (operation,) = [o for o in operations if o.name == name]
    if not operation.after:
        return [(name,)]
    return [(*chain, name) for need in operation.after for chain in chains(operations, need)]


@settings(deadline=None)
@given(workloads(), times)
def test_the_critical_path_is_the_longest_chain_of_needs(workload, durations):
    operations = workload.operations
    latency = {o.name: ns for o, ns in zip(operations, durations, strict=False)}
    every = [chain for o in operations for chain in chains(operations, o.name)]
    path = critical_path(operations, latency)
    assert path in {frozenset(chain) for chain in every}
    longest = max(sum(latency[name] for name in chain) for chain in every)
    assert sum(latency[name] for name in path) == pytest.approx(longest)


def test_nothing_to_do_has_no_path():
    assert critical_path((), {}) == frozenset()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@settings(deadline=None)
@given(workload=workloads())
def test_parts_sum_to_the_totals(model, workload):
    cost = model.cost(workload)
    parts = cost.breakdown
    assert [p.name for p in parts][: len(workload.operations)] == [
        o.name for o in workload.operations
    ]
    assert sum(p.latency_ns for p in parts) == pytest.approx(cost.latency_ns)
    assert sum(p.energy_pj for p in parts) == pytest.approx(cost.energy_pj)
    assert sum(p.area_mm2 for p in parts) == pytest.approx(cost.area_mm2)
    assert all(min(p.latency_ns, p.energy_pj, p.area_mm2) >= 0 for p in parts)


def test_a_cost_of_parts_is_their_sum():
    parts = [
        OperatorCost(name="a", operator="fc", latency_ns=1.0, energy_pj=2.0, area_mm2=4.0),
        OperatorCost(name="b", operator="fc", latency_ns=8.0, energy_pj=16.0, area_mm2=32.0),
    ]
    cost = Cost.of(iter(parts), leakage_mw=0.5)
    assert cost == Cost(
        latency_ns=9.0, energy_pj=18.0, area_mm2=36.0, leakage_mw=0.5, breakdown=tuple(parts)
    )


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@settings(deadline=None)
@given(workload=workloads())
def test_latency_is_that_of_the_longest_chain_of_operations_costed_alone(model, workload):
    operations = workload.operations
    alone = {o.name: model.cost(Workload((replace(o, after=()),))).latency_ns for o in operations}
    every = [chain for o in operations for chain in chains(operations, o.name)]
    longest = max(sum(alone[name] for name in chain) for chain in every)
    assert model.cost(workload).latency_ns == pytest.approx(longest)
