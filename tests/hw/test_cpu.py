"""The CPU: tables in DDR4 as everywhere, a roofline for the rest."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workloads import floating, lookups, products, workloads

from hw import CPU, DescriptionError, Digital, Lookup, MatrixVector, ReRAM, Workload

DRAM = ReRAM().technology.dram
CRITEO = Lookup(name="embedding", vectors=26, dim=16)  # 16 values of 32 bits: a burst a row


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
    for row in range(lookup.vectors):
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


def test_the_roofline_by_hand():
    product = MatrixVector(
        name="fc", operator="fc", inputs=512, outputs=256, weight_bits=32, activation_bits=32
    )
    gram = Digital(
        name="gram", operator="dot", macs=1000, unit_macs=400, additions=60, special_functions=7,
        after=("fc",),
    )  # fmt: skip
    model = CPU().with_figures(
        peak_gflops=100, weights_gb_per_s=1000, call_overhead_ns=500, flop_pj=50
    )
    cost = model.cost(Workload((product, gram)))
    first, second = cost.breakdown
    assert first.latency_ns == pytest.approx(500 + 2 * 131_072 / 100)  # GFLOP/s = FLOP/ns
    assert first.energy_pj == pytest.approx(2 * 131_072 * 50)
    work = 2 * 1000 + 60 + 10 * 7  # a CPU computes the whole Gram matrix
    assert second.latency_ns == pytest.approx(500 + work / 100)
    assert second.energy_pj == pytest.approx(work * 50)
    assert (cost.area_mm2, cost.leakage_mw) == (0, 0)
    assert [(c.name, c.latency_ns) for c in first.components] == [
        ("call", 500), ("processor", pytest.approx(2 * 131_072 / 100)),
    ]  # fmt: skip
    # Weights that come slower than they are worked on: 4 bytes each at 10 bytes a ns.
    slow = model.with_figures(weights_gb_per_s=10).cost(Workload((product,)))
    assert slow.latency_ns == pytest.approx(500 + 131_072 * 4 / 10)
    assert slow.energy_pj == first.energy_pj


@given(products(), st.integers(1, 20))
def test_weights_are_loaded_once_however_often_they_are_used(product, repeats):
    model = CPU().with_figures(peak_gflops=1e9, weights_gb_per_s=1)
    ours, theirs = (
        model.cost(Workload((p,))) for p in (product, replace(product, repeats=repeats))
    )
    assert ours.latency_ns == pytest.approx(theirs.latency_ns, rel=1e-3)
    assert theirs.energy_pj * product.repeats == pytest.approx(ours.energy_pj * repeats)


def test_a_fully_connected_layer_costs_a_cpu_a_hundred_times_the_energy_of_crossbars():
    workload = Workload((MatrixVector(name="fc", operator="fc", inputs=512, outputs=256),))
    crossbars_pj = ReRAM().cost(workload).energy_pj
    assert 100 < CPU().cost(floating(workload)).energy_pj / crossbars_pj < 1000
    assert 25 < CPU().cost(workload).energy_pj / crossbars_pj < 250  # as int8


def test_integers_of_8_bits_are_a_byte_each_at_four_times_the_rate():
    model = CPU().with_figures(
        peak_gflops=100, int8_speedup=4, weights_gb_per_s=1000, call_overhead_ns=0, flop_pj=60
    )
    wide = MatrixVector(
        name="fc", operator="fc", inputs=512, outputs=256, weight_bits=32, activation_bits=32
    )
    for bits in ((8, 8), (4, 4), (4, 8), (8, 5)):
        narrow = replace(wide, weight_bits=bits[0], activation_bits=bits[1])
        cost = model.cost(Workload((narrow,)))
        assert cost.latency_ns == pytest.approx(2 * 131_072 / 400)
        assert cost.energy_pj == pytest.approx(2 * 131_072 * 60 / 4)
        slow = model.with_figures(weights_gb_per_s=10).cost(Workload((narrow,)))
        assert slow.latency_ns == pytest.approx(131_072 / 10)  # a byte a weight
    assert model.cost(Workload((replace(wide, activation_bits=8),))) == model.cost(
        Workload((wide,))
    )


@given(workloads())
def test_fewer_bits_never_cost_a_cpu_more(workload):
    def at(bits):
        operations = (
            replace(o, weight_bits=bits, activation_bits=bits) if isinstance(o, MatrixVector) else o
            for o in workload.operations
        )
        return CPU().cost(Workload(tuple(operations)))

    four, eight, floats = at(4), at(8), at(32)
    assert four.latency_ns <= eight.latency_ns <= floats.latency_ns
    assert four.energy_pj <= eight.energy_pj <= floats.energy_pj
    if any(isinstance(o, MatrixVector) for o in workload.operations):
        assert eight.energy_pj < floats.energy_pj


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({"peak_gflops": 0}, r"cpu.peak_gflops: expected more than 0 \(GFLOP/s\), got 0"),
        (
            {"int8_speedup": 0.5},
            r"cpu.int8_speedup: expected 1 to inf \(times fp32\), got 0.5",
        ),
        (
            {"flop_pj": -1.0},
            "cpu.flop_pj: expected a number from 0",
        ),
        ({"call_overhead_ns": math.nan}, "cpu.call_overhead_ns: expected a number from 0"),
        ({"weights_gb_per_s": math.inf}, "cpu.weights_gb_per_s: expected more than 0"),
    ],
)
def test_figures_that_cannot_be_are_refused(figures, sentence):
    with pytest.raises(DescriptionError, match=sentence):
        CPU().with_figures(**figures)


def test_figures_of_its_memory_are_named_as_in_a_file():
    model = CPU()
    with pytest.raises(DescriptionError, match=r"^dram.channels: expected 1 to .* got 0"):
        CPU(dram=replace(model.dram, channels=0))
