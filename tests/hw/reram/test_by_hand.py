"""One workload, many, and many as columns: each held against totals worked out by hand.

All figures are those of `reram_32nm.toml`; a product's are worked out in
docs/reference/hw_worked_example.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from hw import Batch, Cost, Costs, Digital, Lookup, MatrixVector, ReRAM, Workload

MODEL = ReRAM()
CYCLE_NS, CLOCK_NS = 100, 0.833  # of a crossbar, of the DRAM
ROW_PJ = 2100 + 512 * (14 + 22)  # a burst: activated, read, moved over the bus

EMBEDDING = Lookup(name="embedding", vectors=26, dim=16)
LARGE = MatrixVector(name="large", operator="fc", inputs=512, outputs=256, after=("embedding",))
SMALL = MatrixVector(
    name="small", operator="fc", inputs=256, outputs=64, repeats=3, after=("large",)
)
DOT = Digital(
    name="dot", operator="dot", macs=128_000, unit_macs=64_000, additions=640,
    special_functions=32, after=("small",),
)  # fmt: skip
BESIDE = Digital(name="beside", operator="gate", macs=6400, bits=16, after=("embedding",))


@dataclass(frozen=True)
class Totals:
    latency_ns: float
    dynamic_pj: float
    area_um2: float
    leakage_mw: float
    interval_ns: float
    write_energy_pj: float = 0.0
    write_latency_ns: float = 0.0

    def agree_with(self, cost: Cost) -> None:
        assert cost.latency_ns == pytest.approx(self.latency_ns)
        assert cost.energy_pj == pytest.approx(self.dynamic_pj + self.leakage_mw * self.latency_ns)
        assert cost.area_mm2 == pytest.approx(self.area_um2 * 1e-6)
        assert cost.leakage_mw == pytest.approx(self.leakage_mw)
        assert cost.interval_ns == pytest.approx(self.interval_ns)
        assert cost.write_energy_pj == pytest.approx(self.write_energy_pj)
        assert cost.write_latency_ns == pytest.approx(self.write_latency_ns)


# 7 rows a channel, 4 cycles each; the first takes 36.
EMBEDDING_NS, EMBEDDING_BUSY_NS = (36 + 6 * 4) * CLOCK_NS, 7 * 4 * CLOCK_NS
LARGE_NS, LARGE_PJ = 1161.72, 78521.51552  # from the page
# 4 crossbars, 8 reads for each of 3 vectors and 2 to fill the pipeline; one addition of row blocks;
# 8 reads and 2 writes of the buffer; 1 ns and 256 x 8 bits over a link of 32 bits a ns.
SMALL_BUSY_NS = 3 * (8 * CYCLE_NS + (8 + 2) * 1.28 + 1 + 256 * 8 / 32)
SMALL_NS = SMALL_BUSY_NS + 2 * CYCLE_NS + 1
SMALL_PJ = 3 * (
    4 * 8 * 30  # crossbars
    + 256 * 2 * 8 * 0.390625  # drivers of two column blocks
    + 2 * 256 * 8 * (0.9765625e-3 + 1.5625 + 0.01953125)  # conversions of two row blocks
    + 8 * (124 + 23)  # registers of one element
    + 64 * 0.04864  # adders
    + 8 * 29.56 + 2 * 36.46  # buffer
    + 256 * 8 * 20.74 / 256 + (256 + 64) * 8 * 13.82 / 256  # link, bus
)  # fmt: skip
# 64 multipliers, 16 lanes for special functions, 1 GHz; operands of 16 bits take 4 passes.
DOT_NS = 64_000 / 64 + 640 / 64 + 32 / 16
DOT_PJ = 64_000 * 0.761 + 640 * 0.0797 + 32 * (0.745 + 0.761)
BESIDE_NS, BESIDE_PJ = 6400 * 4 / 64, 6400 * 0.761 * 4

IN_CHAIN = Workload((EMBEDDING, LARGE, SMALL, DOT, BESIDE))
DIGITAL_ONLY = Workload(
    (
        EMBEDDING,
        Digital(name="dot", operator="dot", macs=64_000, additions=640, special_functions=32,
                after=("embedding",)),
        Digital(name="again", operator="dot", macs=64_000, additions=640, special_functions=32,
                after=("dot",)),
    )
)  # fmt: skip
MEMORY_ONLY = Workload(
    (
        Lookup(name="embedding", vectors=4000, dim=16),
        Lookup(name="second", vectors=2000, dim=17, after=("embedding",)),  # two bursts a row
    )
)
TABLES_NS = (36 + 999 * 4 + 40 + 499 * 8) * CLOCK_NS
TABLES_BUSY_NS = (1000 * 4 + 500 * 8) * CLOCK_NS
UNIT_UM2, UNIT_MW = 33664, 0.36

BY_HAND = {
    # 4 elements and 1; one tile, one bank. The slowest stage is the small product.
    IN_CHAIN: Totals(
        latency_ns=EMBEDDING_NS + LARGE_NS + SMALL_NS + DOT_NS,
        dynamic_pj=26 * ROW_PJ + LARGE_PJ + SMALL_PJ + DOT_PJ + BESIDE_PJ,
        area_um2=5 * 13120 + 194504 + 151000 + UNIT_UM2,
        leakage_mw=5 * 0.2408 + 0.002803 + 0.42 + UNIT_MW,
        interval_ns=SMALL_BUSY_NS,
        write_energy_pj=(512 * 1024 + 256 * 256) * 0.5922,
        write_latency_ns=128 * 10,
    ),
    # No crossbars: the one digital unit does both operations of each sample.
    DIGITAL_ONLY: Totals(
        latency_ns=EMBEDDING_NS + 2 * DOT_NS,
        dynamic_pj=26 * ROW_PJ + 2 * DOT_PJ,
        area_um2=UNIT_UM2,
        leakage_mw=UNIT_MW,
        interval_ns=2 * DOT_NS,
    ),
    # The channels read the rows of both lookups.
    MEMORY_ONLY: Totals(
        latency_ns=TABLES_NS,
        dynamic_pj=4000 * ROW_PJ + 2000 * (2100 + 1024 * 36),
        area_um2=UNIT_UM2,
        leakage_mw=UNIT_MW,
        interval_ns=TABLES_BUSY_NS,
    ),
}


def as_columns() -> Batch:
    """The same workloads; what two of them have in common is one slot."""
    workloads = tuple(BY_HAND)
    batch = Batch(len(workloads), workloads.__getitem__)
    first, second, third = np.array([0]), np.array([1]), np.array([2])
    tables = batch.add_lookup(np.arange(3), vectors=np.array([26, 26, 4000]), dim=16, value_bits=32)
    bits = {"weight_bits": 8, "activation_bits": 8}
    large = batch.add_product(first, inputs=512, outputs=256, repeats=1, **bits, after=[tables])
    small = batch.add_product(first, inputs=256, outputs=64, repeats=3, **bits, after=[large])
    work = {"multiplications": 64_000, "additions": 640, "special_functions": 32, "bits": 8}
    dot = batch.add_digital(np.array([0, 1]), **work, after=[tables, small])
    batch.add_digital(second, **work, after=[dot])
    batch.add_digital(
        first, multiplications=6400, additions=0, special_functions=0, bits=16, after=[tables]
    )
    batch.add_lookup(third, vectors=2000, dim=17, value_bits=32, after=[tables])
    return batch


@pytest.mark.parametrize(("workload", "expected"), BY_HAND.items(), ids=["chain", "unit", "memory"])
def test_one_workload_costs_what_was_worked_out_by_hand(workload, expected):
    expected.agree_with(MODEL.cost(workload))


@pytest.mark.parametrize("many", [tuple(BY_HAND), as_columns()], ids=["workloads", "columns"])
def test_many_workloads_cost_what_was_worked_out_by_hand(many):
    costs = MODEL.cost_many(many)
    assert len(costs) == len(BY_HAND)
    for number, expected in enumerate(BY_HAND.values()):
        expected.agree_with(total_of(costs, number))


def total_of(costs: Costs, number: int) -> Cost:
    """The totals from the arrays, which no breakdown enters."""
    names = (
        "latency_ns", "energy_pj", "area_mm2", "leakage_mw", "interval_ns", "write_energy_pj",
        "write_latency_ns",
    )  # fmt: skip
    return Cost(**{name: getattr(costs, name)[number] for name in names}, breakdown=())


def test_the_parts_of_one_workload_are_those_worked_out_by_hand():
    parts = {part.name: part for part in MODEL.cost(IN_CHAIN).breakdown}
    for name, latency_ns, energy_pj in (
        ("embedding", EMBEDDING_NS, 26 * ROW_PJ),
        ("large", LARGE_NS, LARGE_PJ),
        ("small", SMALL_NS, SMALL_PJ),
        ("dot", DOT_NS, DOT_PJ),
        ("beside", 0.0, BESIDE_PJ),  # off the critical path
    ):
        assert parts[name].latency_ns == pytest.approx(latency_ns)
        assert parts[name].energy_pj == pytest.approx(energy_pj)
    assert parts["large"].area_mm2 == pytest.approx(4 * 13120e-6)
    assert parts["small"].area_mm2 == pytest.approx(13120e-6)
