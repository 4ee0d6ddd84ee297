"""Costs of many workloads as columns: where each figure goes, and which cost is which."""

from __future__ import annotations

import numpy as np
import pytest

from hw import Cost, Costs

NAMES = (
    "latency_ns", "energy_pj", "area_mm2", "leakage_mw", "write_energy_pj", "write_latency_ns",
)  # fmt: skip


def cost(number: int, interval_ns: float | None = None) -> Cost:
    """A cost whose every figure is another: 10 x number + the figure's place."""
    figures = {name: 10.0 * number + place for place, name in enumerate(NAMES)}
    return Cost(**figures, interval_ns=interval_ns, breakdown=())


FIRST, SECOND, THIRD = cost(1), cost(2, interval_ns=7.0), cost(3)


def test_each_figure_is_a_column_and_without_overlap_the_interval_is_the_latency():
    costs = Costs.of([FIRST, SECOND])
    for place, name in enumerate(NAMES):
        assert getattr(costs, name).tolist() == [10.0 + place, 20.0 + place], name
    assert costs.interval_ns.tolist() == [FIRST.latency_ns, 7.0]
    assert len(Costs.of([])) == 0


def test_costs_are_a_sequence():
    costs = Costs.of([FIRST, SECOND, THIRD])
    assert len(costs) == 3
    assert list(costs) == [FIRST, SECOND, THIRD]
    assert (costs[0], costs[-1]) == (FIRST, THIRD)
    assert costs[1:] == [SECOND, THIRD]
    assert costs[::-1] == [THIRD, SECOND, FIRST]
    with pytest.raises(IndexError):
        costs[3]


def test_parts_are_put_where_their_numbers_say():
    asked = []

    def in_full(number: int) -> Cost:
        asked.append(number)
        return (FIRST, SECOND, THIRD)[number]

    placed = Costs.placed(
        [([2, 0], Costs.of([THIRD, FIRST])), ((1,), Costs.of([SECOND]))], 3, in_full
    )
    whole = Costs.of([FIRST, SECOND, THIRD])
    for name in (*NAMES, "interval_ns"):
        np.testing.assert_array_equal(getattr(placed, name), getattr(whole, name), err_msg=name)
    assert asked == []  # a breakdown is made when it is asked for
    assert placed[1:] == [SECOND, THIRD]
    assert asked == [1, 2]
