"""The references: tables in DDR4 as everywhere, a roofline for the rest."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workloads import lookups, products

from hw import CPU, DescriptionError, Digital, Lookup, MatrixVector, RecNMP, ReRAM, Workload

DRAM = ReRAM().technology.dram
CRITEO = Lookup(name="embedding", rows=26, dim=16)  # 16 values of 32 bits: a burst a row


@pytest.mark.parametrize("model", [CPU(), ReRAM()], ids=["cpu", "reram"])
def test_the_tables_of_criteo_by_hand(model):
    part = model.cost(Workload((CRITEO,))).breakdown[0]
    # 4 channels: 7 rows in turn, the first after 36 cycles, then the bus is held for 4 each: 60.
    assert part.latency_ns == pytest.approx(60 * 0.833)
    # A row: 2.1 nJ to activate, 512 bits at 14 pJ to read and at 22 pJ to move: 20.53 nJ.
    assert part.energy_pj == pytest.approx(26 * (2100 + 512 * 14 + 512 * 22)) == 26 * 20532


@given(lookups())
def test_lookups_equal_a_loop_over_channels_and_bursts(lookup):
    channels = [0.0] * DRAM.channels  # when the last burst of a channel has come, cycles
    energy = 0.0
    for row in range(lookup.rows):
        channel = row % DRAM.channels
        bursts = math.ceil(lookup.dim * lookup.value_bits / DRAM.burst_bits)
        if channels[channel] == 0:
            channels[channel] = DRAM.first_cycles + (bursts - 1) * DRAM.bus_cycles
        else:
            step = max(bursts * DRAM.bus_cycles, DRAM.activate_cycles / DRAM.ranks)
            channels[channel] += step
        energy += DRAM.activate_pj + bursts * DRAM.burst_bits * (14 + 22)
    for model in (CPU(), ReRAM()):
        part = model.cost(Workload((lookup,))).breakdown[0]
        assert part.latency_ns == pytest.approx(max(channels) * DRAM.clock_ns)
        assert part.energy_pj == pytest.approx(energy)


@given(lookups(), st.floats(0, 1))
def test_a_row_found_near_the_memory_spares_its_activation_and_read(lookup, share):
    workload = Workload((lookup,))
    host, near = CPU().cost(workload), RecNMP(cache_hit=share).cost(workload)
    bits = math.ceil(lookup.dim * 32 / 512) * 512
    spared = share * lookup.rows * (2100 + bits * 14)
    assert near.energy_pj == pytest.approx(host.energy_pj - spared)
    assert near.latency_ns == host.latency_ns  # with one value per field every row crosses the bus


@given(products())
def test_recnmp_speeds_up_nothing_but_lookups(product):
    workload = Workload((product,))
    assert RecNMP().cost(workload) == CPU().cost(workload)


def test_the_roofline_by_hand():
    product = MatrixVector(name="fc", operator="fc", inputs=512, outputs=256)
    gram = Digital(
        name="gram", operator="dot", macs=1000, unit_macs=400, additions=60, special_functions=7,
        after=("fc",),
    )  # fmt: skip
    cost = CPU(peak_gflops=100, call_overhead_ns=500, flop_pj=50).cost(Workload((product, gram)))
    first, second = cost.breakdown
    assert first.latency_ns == pytest.approx(500 + 2 * 131_072 / 100)  # GFLOP/s = FLOP/ns
    assert first.energy_pj == pytest.approx(2 * 131_072 * 50)
    work = 2 * 1000 + 60 + 10 * 7  # a CPU computes the whole Gram matrix
    assert second.latency_ns == pytest.approx(500 + work / 100)
    assert second.energy_pj == pytest.approx(work * 50)
    assert (cost.area_mm2, cost.leakage_mw) == (0, 0)


def test_a_fully_connected_layer_costs_a_cpu_a_hundred_times_the_energy_of_crossbars():
    workload = Workload((MatrixVector(name="fc", operator="fc", inputs=512, outputs=256),))
    assert 100 < CPU().cost(workload).energy_pj / ReRAM().cost(workload).energy_pj < 1000


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: CPU(peak_gflops=0), "peak_gflops: expected more than 0, got 0"),
        (lambda: CPU(flop_pj=-1.0), "flop_pj: expected 0 to inf, got -1.0"),
        (lambda: CPU(call_overhead_ns=math.nan), "call_overhead_ns: expected 0 to inf, got nan"),
        (lambda: CPU(near_memory_cache_hit=2), "near_memory_cache_hit: expected 0 to 1, got 2"),
        (lambda: RecNMP(cache_hit=1.5), "cache_hit: expected 0 to 1, got 1.5"),
    ],
)
def test_figures_that_cannot_be_are_refused(make, sentence):
    with pytest.raises(DescriptionError, match=sentence):
        make()
