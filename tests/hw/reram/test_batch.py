"""Columns of operations: each distinct one once, and chains of needs through slots."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw import Batch, Digital, MatrixVector, ReRAM, Workload
from hw.reram._batch import distinct


@pytest.mark.parametrize("largest", [3, 2**40], ids=["one key", "too large for one key"])
@given(data=st.data())
def test_distinct_columns_are_each_column_once(largest, data):
    values = st.lists(st.integers(0, largest), min_size=2, max_size=2)
    columns = np.array(data.draw(st.lists(values, min_size=1, max_size=12)), dtype=np.int64).T
    unique, which = distinct(columns)
    np.testing.assert_array_equal(unique[:, which], columns)
    assert which.shape == columns.shape[1:]
    assert len({tuple(column) for column in unique.T}) == unique.shape[1]


def test_columns_that_one_key_could_confuse_stay_apart():
    # With a base of 10 both would be 19.
    columns = np.array([[1, 0, 1], [9, 19, 9]], dtype=np.int64)
    unique, which = distinct(columns)
    assert unique.shape == (2, 2)
    assert which[0] == which[2] != which[1]


def test_times_follow_the_needs_of_each_workload():
    batch = Batch(3, in_full=lambda _number: Workload(()))
    everyone, some = np.arange(3), np.array([0, 2])
    work = {"multiplications": 1, "additions": 0, "special_functions": 0, "bits": 8}
    first = batch.add_digital(everyone, **work)
    second = batch.add_digital(some, **work, after=[first, first])
    chosen = batch.add_join(everyone, [first, second])
    batch.add_digital(np.array([1, 2]), **work, after=[chosen])
    times = [
        np.array([1.0, 2.0, 3.0]),
        np.array([10.0, 20.0]),
        np.zeros(3),
        np.array([100.0, 200.0]),
    ]
    # 1 + 10; 2 + 100, which lacks the second; 3 + 20 + 200.
    assert batch.latency_ns([np.array(t) for t in times]).tolist() == [11.0, 102.0, 223.0]


def test_a_workload_without_operations_costs_the_unit_alone():
    operation = MatrixVector(name="fc", operator="fc", inputs=128, outputs=32)
    several = [Workload(()), Workload((operation,)), Workload(())]
    batch = Batch(3, in_full=several.__getitem__)
    batch.add_product(
        np.array([1]), inputs=128, outputs=32, repeats=1, weight_bits=8, activation_bits=8
    )
    model = ReRAM()
    for many in (several, batch):
        costs = model.cost_many(many)
        assert list(costs) == [model.cost(workload) for workload in several]
        assert costs.latency_ns.tolist() == [0.0, costs[1].latency_ns, 0.0]
        assert costs.area_mm2[0] == pytest.approx(33664e-6)
        assert costs.area_mm2[1] == costs[1].area_mm2


def test_a_batch_without_slots_is_so_many_times_nothing():
    costs = ReRAM().cost_many(Batch(2, in_full=lambda _number: Workload(())))
    assert costs.latency_ns.tolist() == costs.energy_pj.tolist() == [0.0, 0.0]
    assert costs.leakage_mw == pytest.approx([0.36, 0.36])
    assert len(ReRAM().cost_many([])) == 0


def test_work_of_several_kinds_at_once_waits_for_the_slowest():
    slow = Digital(name="slow", operator="dot", macs=64_000)
    fast = Digital(name="fast", operator="dot", macs=640)
    last = Digital(name="last", operator="dot", macs=6400, after=("fast", "slow"))
    assert ReRAM().cost(Workload((slow, fast, last))).latency_ns == pytest.approx(1000 + 100)
    assert ReRAM().cost_many([Workload((slow, fast, last))]).latency_ns == pytest.approx([1100])
