"""On-chip memory for the most frequent embedding rows: what hits save, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workloads import accelerators, with_figures

from hw import DescriptionError, Lookup, MatrixVector, Popularity, ReRAM, Workload, join
from hw.files import default_technology
from hw.reram._parts import UM2_PER_MM2

LOOKUP = Lookup(name="embedding", vectors=26, dim=16)
DRAM_PJ = 2100 + 512 * (14 + 22)  # of a vector of 64 bytes: an activation, and one burst
HALF = Popularity((1024, 4096), (0.5, 1.0))  # 64 KiB hold half of the reads, 256 KiB hold all
counts = st.lists(st.integers(0, 1000), min_size=1, max_size=200).filter(any)


def memory_of(accelerator: ReRAM, *operations: Lookup) -> tuple[float, float, float, float]:
    """Latency in ns and energy in pJ of lookups, area in um2, and leakage in mW of the chip."""
    cost = accelerator.cost(Workload(operations))
    parts = [c for c in cost.components if c.name == "memory"]
    return (
        sum(c.latency_ns for c in parts), sum(c.energy_pj for c in parts),
        sum(c.area_mm2 for c in parts) * UM2_PER_MM2, cost.leakage_mw,
    )  # fmt: skip


def test_hits_cost_a_read_of_the_buffer_and_the_others_a_read_of_dram():
    latency_ns, energy_pj, area_um2, leak_mw = memory_of(at(64), LOOKUP)
    assert energy_pj == pytest.approx(26 * (0.5 * DRAM_PJ + 0.5 * 2 * 29.56))  # two of 256 bits
    assert area_um2 == pytest.approx(100644)
    assert leak_mw - memory_of(ReRAM(), LOOKUP)[3] == pytest.approx(2.803e-3)
    # A channel reads 7 of 26 vectors, and half of them hit: 36 cycles, and 2.5 times 4 more.
    assert latency_ns == pytest.approx((36 + 2.5 * 4) * 0.833)
    # The next sample waits for the buffer, which reads 13 vectors twice, one after another.
    assert at(64).cost(Workload((LOOKUP,))).interval_ns == pytest.approx(26 * 1.28)


def test_where_all_reads_hit_there_is_no_dram_and_many_reads_are_one_after_another():
    latency_ns, energy_pj, *_ = memory_of(at(256), LOOKUP)
    assert energy_pj == pytest.approx(26 * 2 * 67.18)
    assert latency_ns == pytest.approx(26 * 2 * 1.95)


def test_a_memory_larger_than_a_macro_is_made_of_several():
    area_um2, leak_mw = memory_of(at(6144), LOOKUP)[2:]
    assert area_um2 == pytest.approx(3 * 3440360)
    assert leak_mw - memory_of(ReRAM(), LOOKUP)[3] == pytest.approx(3 * 80.76e-3)


def at(kib: int) -> ReRAM:
    return ReRAM(popularity=HALF).with_parameters(hot_rows_kib=kib)


def test_rows_of_half_the_size_leave_room_for_twice_as_many():
    narrow = Lookup(name="embedding", vectors=26, dim=8)
    assert memory_of(at(32), narrow)[1] == pytest.approx(
        26 * (0.5 * (2100 + 512 * 36) + 0.5 * 15.26)
    )


def test_each_model_of_an_ensemble_has_a_memory_and_single_weights_have_none():
    one = Workload((LOOKUP, MatrixVector(name="fc", operator="fc", inputs=416, outputs=1)))
    two = join([one, one], at_once=True)
    memory, both = (at(64).cost(w).components for w in (one, two))
    [one_mm2] = [c.area_mm2 for c in memory if c.name == "memory"]
    [two_mm2] = [c.area_mm2 for c in both if c.name == "memory"]
    assert two_mm2 == pytest.approx(2 * one_mm2)
    weights = Lookup(name="wide", vectors=26, dim=1)
    assert memory_of(at(64), weights) == memory_of(ReRAM(), weights)


@given(accelerators())
def test_without_memory_it_does_not_matter_how_often_rows_are_read(accelerator):
    t = with_figures(accelerator.technology, "hot_rows", kib=0)
    workload = Workload((LOOKUP,))
    assert ReRAM(t, accelerator.popularity).cost(workload) == ReRAM(t).cost(workload)


@given(counts, st.integers(0, 12))
def test_energy_follows_the_reads_that_hit(counts, power):
    popularity, kib = Popularity.of(counts), 1 << power
    hit = sum(sorted(counts)[::-1][: kib * 16]) / sum(counts)  # rows of 64 bytes
    accelerator = ReRAM(popularity=popularity).with_parameters(hot_rows_kib=kib)
    every, none = memory_of(at_share(kib, 1.0), LOOKUP)[1], memory_of(ReRAM(), LOOKUP)[1]
    assert memory_of(accelerator, LOOKUP)[1] == pytest.approx(hit * every + (1 - hit) * none)


def at_share(kib: int, share: float) -> ReRAM:
    return ReRAM(popularity=Popularity((1,), (share,))).with_parameters(hot_rows_kib=kib)


@given(counts)
def test_shares_are_those_of_the_most_frequent_rows(counts):
    popularity = Popularity.of(counts)
    below = np.cumsum([0, *sorted(counts)[::-1]]) / sum(counts)
    found = popularity.share(np.arange(len(below)))
    assert np.all(found <= below + 1e-12)
    powers = [0, *(1 << power for power in range(len(counts).bit_length()))]
    np.testing.assert_allclose(popularity.share(powers), below[powers])
    assert float(popularity.share(10**9)) == pytest.approx(1)
    assert np.all(np.diff(found) >= 0)


def test_reads_drawn_from_a_skewed_log_hit_as_often_as_its_counts_say():
    rng = np.random.default_rng(0)
    chance = 1 / np.arange(1, 5001)
    chance /= chance.sum()
    popularity = Popularity.of(np.bincount(rng.choice(5000, 200_000, p=chance), minlength=5000))
    reads = rng.choice(5000, 200_000, p=chance)
    assert float(popularity.share(512)) == pytest.approx(np.mean(reads < 512), abs=0.01)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Popularity((), ()), "expected as many shares as numbers of rows, got 0 and 0"),
        (lambda: Popularity((1,), (0.5, 1.0)), "got 2 and 1"),
        (lambda: Popularity((2, 2), (0.5, 1.0)), "rows: expected ascending numbers from 1"),
        (lambda: Popularity((1, 2), (0.5, 0.4)), "shares: expected ascending shares from 0 to 1"),
        (lambda: Popularity((1,), (1.5,)), "shares: expected ascending"),
        (lambda: Popularity((1,), (float("nan"),)), "shares: expected ascending"),
        (lambda: Popularity.of([]), "expected rows that were read, got none"),
        (lambda: Popularity.of([0, 0]), "expected rows that were read, got none"),
        (lambda: Popularity.of([1, -1]), "expected counts from 0, got -1"),
        (lambda: ReRAM(with_figures(default_technology(), "hot_rows", kib=64)).cost(
            Workload((LOOKUP,))), "hot_rows.kib: expected 0 where nothing says how often rows are"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(make, sentence):
    with pytest.raises(DescriptionError, match=sentence):
        make()
