"""What holds of every accelerator and workload: sums, order, batches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workloads import accelerators, lookups, products, with_figures, workloads

from hw import COMPONENTS, CPU, DescriptionError, MatrixVector, RecNMP, ReRAM, Workload

QUANTITIES = ("latency_ns", "energy_pj", "area_mm2")
batches = st.integers(1, 1000)


@settings(deadline=None)
@given(workloads(), accelerators())
def test_components_sum_to_parts_and_parts_to_totals(workload, model):
    cost = model.cost(workload)
    for quantity in QUANTITIES:
        for part in cost.breakdown:
            summed = sum(getattr(c, quantity) for c in part.components)
            assert summed == pytest.approx(getattr(part, quantity))
        for parts in (cost.breakdown, cost.components):
            summed = sum(getattr(part, quantity) for part in parts)
            assert summed == pytest.approx(getattr(cost, quantity))
    assert {c.name for c in cost.components} <= set(COMPONENTS)
    assert all(min(c[1:]) >= 0 and any(c[1:]) for p in cost.breakdown for c in p.components)


@settings(deadline=None)
@given(workloads(), accelerators(), batches)
def test_doubling_a_batch_never_halves_its_energy_and_shares_leakage(workload, model, batch):
    cost = model.cost(workload)
    one, two = cost.batch_energy_pj(batch), cost.batch_energy_pj(2 * batch)
    assert two >= one
    assert two <= 2 * one * (1 + 1e-12)
    assert cost.batch_energy_pj(1) == pytest.approx(cost.energy_pj)


@settings(deadline=None)
@given(workloads(), accelerators(), batches)
def test_a_batch_takes_the_first_sample_and_an_interval_for_each_other(workload, model, batch):
    cost = model.cost(workload)
    expected = cost.latency_ns + (batch - 1) * cost.interval_ns
    assert cost.batch_latency_ns(batch) == pytest.approx(expected)
    assert 0 <= cost.interval_ns <= cost.latency_ns
    if cost.interval_ns:
        assert cost.samples_per_s == pytest.approx(1e9 / cost.interval_ns)


@settings(deadline=None)
@given(workloads(), st.sampled_from([CPU(), RecNMP()]), batches)
def test_a_model_without_overlap_takes_its_samples_one_after_another(workload, model, batch):
    cost = model.cost(workload)
    assert cost.batch_latency_ns(batch) == pytest.approx(batch * cost.latency_ns)
    assert cost.batch_energy_pj(batch) == pytest.approx(batch * cost.energy_pj)


def test_a_batch_of_nothing_is_refused():
    cost = CPU().cost(Workload(()))
    assert (cost.power_mw, cost.samples_per_s) == (0.0, float("inf"))
    for method in (cost.batch_energy_pj, cost.batch_latency_ns):
        with pytest.raises(DescriptionError, match="batch: expected 1 or more, got 0"):
            method(0)


@settings(deadline=None)
@given(products(), st.integers(1, 20), accelerators())
def test_area_and_weights_do_not_depend_on_how_often_they_are_used(product, repeats, model):
    ours, theirs = (
        model.cost(Workload((p,))) for p in (product, replace(product, repeats=repeats))
    )
    assert ours.area_mm2 == theirs.area_mm2
    assert ours.leakage_mw == theirs.leakage_mw
    assert ours.write_energy_pj == theirs.write_energy_pj


@settings(deadline=None)
@given(products(), accelerators(), st.sampled_from([16, 64, 128]))
def test_more_rows_read_at_once_never_take_more_conversions(product, model, rows):
    t = with_figures(model.technology, "adc", clips=True)
    t = with_figures(with_figures(t, "dac", per_crossbar=0), "tile", whole=False)
    few, many = (
        _adc_pj(ReRAM(with_figures(t, "crossbar", rows=r)), product) for r in (rows, 2 * rows)
    )
    assert many <= few


def _adc_pj(model, product):
    part = model.cost(Workload((product,))).breakdown[0]
    return next(c.energy_pj for c in part.components if c.name == "adc")


@settings(deadline=None)
@given(products(), accelerators())
def test_a_coarser_converter_never_reads_faster_where_nothing_may_be_lost(product, model):
    t = with_figures(model.technology, "adc", clips=False)
    t = with_figures(t, "tile", element_buffers=False)  # there, wider codes take longer to move
    coarse, fine = (
        model.cost(Workload((product,)))
        for model in (ReRAM(with_figures(t, "adc", bits=bits)) for bits in (6, 10))
    )
    assert coarse.latency_ns >= fine.latency_ns


@settings(deadline=None)
@given(lookups(), st.sampled_from(["vectors", "dim", "value_bits"]), st.integers(1, 64))
def test_more_of_a_table_is_never_cheaper(lookup, field, more):
    larger = replace(lookup, **{field: getattr(lookup, field) + more})
    for model in (ReRAM(), CPU(), RecNMP()):
        ours, theirs = (model.cost(Workload((o,))) for o in (lookup, larger))
        assert theirs.energy_pj >= ours.energy_pj
        assert theirs.latency_ns >= ours.latency_ns


def test_stages_of_two_layers_overlap_and_copies_shorten_the_longest():
    first = MatrixVector(name="a", operator="fc", inputs=64, outputs=64, repeats=16)
    second = replace(first, name="b", inputs=64, repeats=2, after=("a",))
    one = ReRAM().cost(Workload((first, second)))
    assert one.interval_ns < one.latency_ns
    alone = ReRAM().cost(Workload((first,)))
    assert one.interval_ns == alone.interval_ns
    copied = ReRAM().with_parameters(replication=4)
    four = copied.cost(Workload((first, second)))
    assert four.interval_ns == pytest.approx(one.interval_ns / 4)
    assert four.write_energy_pj == pytest.approx(4 * one.write_energy_pj)
    # One vector a sample: a copy cannot help it, but it takes the next sample.
    alone, shared = (
        model.cost(Workload((replace(first, repeats=1),))) for model in (ReRAM(), copied)
    )
    assert shared.latency_ns == pytest.approx(alone.latency_ns)
    assert shared.interval_ns == pytest.approx(alone.interval_ns / 4)
