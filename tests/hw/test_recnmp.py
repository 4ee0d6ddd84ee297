"""RecNMP: what lookups near the memory spare, and that they speed up nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workloads import lookups, products

from hw import CPU, DescriptionError, Lookup, RecNMP, Workload

CRITEO = Lookup(name="embedding", vectors=26, dim=16)  # 16 values of 32 bits: a burst a row
BARE = RecNMP().with_figures(cache_hit=0.0, cache_pj=0.0, unit_mw=0.0)  # units without caches


def lookup_cost(model, lookup):
    return model.cost(Workload((lookup,))).breakdown[0]


def test_the_tables_of_criteo_by_hand():
    part = lookup_cost(RecNMP(), CRITEO)
    # 8 ranks: 4 rows each, of which a quarter is cached; 7 results a channel hold its bus: 60
    # cycles, as at a host, because every row crosses the bus.
    assert part.latency_ns == pytest.approx(60 * 0.833)
    memory, near = part.components
    assert memory.energy_pj == pytest.approx(26 * (0.751 * (2100 + 512 * 14) + 512 * 22))
    assert near.energy_pj == pytest.approx(26 * 50 + 4 * 184 * 60 * 0.833)
    assert RecNMP().cost(Workload((CRITEO,))).area_mm2 == 4 * 0.54


def test_pooling_is_what_makes_it_fast():
    # 26 rows of one table become one: 4 rows a rank, 6.5 cycles apart; one result moves.
    part = lookup_cost(BARE.with_figures(pooling=26), CRITEO)
    assert part.latency_ns == pytest.approx((36 + 3 * 6.5) * 0.833)
    assert part.energy_pj == pytest.approx(26 * (2100 + 512 * 14) + 512 * 22 + 25 * 16 * 7.89)


@given(lookups())
def test_units_without_caches_are_a_host_where_nothing_is_pooled(lookup):
    near, host = lookup_cost(BARE, lookup), lookup_cost(CPU(), lookup)
    assert near.energy_pj == pytest.approx(host.energy_pj)
    assert near.latency_ns == pytest.approx(host.latency_ns)


@given(lookups(), st.floats(0, 1))
def test_a_row_found_near_the_memory_spares_its_activation_and_read(lookup, share):
    bare, cached = (
        lookup_cost(BARE, lookup),
        lookup_cost(BARE.with_figures(cache_hit=share), lookup),
    )
    bits = math.ceil(lookup.dim * 32 / 512) * 512
    spared = share * lookup.vectors * (2100 + bits * 14)
    assert cached.energy_pj == pytest.approx(bare.energy_pj - spared)
    assert cached.latency_ns <= bare.latency_ns


@given(lookups(), st.floats(1, 64), st.floats(1, 64))
def test_more_pooling_is_never_slower(lookup, one, other):
    few, many = (BARE.with_figures(pooling=p, add_pj=0.0) for p in sorted((one, other)))
    less, more = lookup_cost(few, lookup), lookup_cost(many, lookup)
    assert more.latency_ns <= less.latency_ns
    assert more.energy_pj <= less.energy_pj * (1 + 1e-12)


@given(products())
def test_it_speeds_up_nothing_but_lookups(product):
    workload = Workload((product,))
    near, host = RecNMP().cost(workload), CPU().cost(workload)
    assert near.breakdown[0] == host.breakdown[0]
    assert (near.latency_ns, near.energy_pj) == (host.latency_ns, host.energy_pj)


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({"cache_hit": 1.5}, r"cache_hit: expected 0 to 1 \(share of rows\), got 1.5"),
        ({"pooling": 0.5}, r"pooling: expected 1 to inf \(rows per result\), got 0.5"),
        ({"unit_mw": -1.0}, "unit_mw: expected a number from 0"),
    ],
)
def test_figures_that_cannot_be_are_refused(figures, sentence):
    with pytest.raises(DescriptionError, match=f"near_memory.{sentence}"):
        RecNMP().with_figures(**figures)


def test_figures_of_host_and_memory_are_named_as_in_a_file():
    model = RecNMP()
    with pytest.raises(DescriptionError, match=r"^dram.channels: expected 1 to .* got 0"):
        RecNMP(dram=replace(model.dram, channels=0))
    with pytest.raises(DescriptionError, match=r"^cpu.flop_pj: expected a number from 0"):
        RecNMP(cpu=replace(model.cpu, flop_pj=-1.0))
