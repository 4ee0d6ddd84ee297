"""The picture of a cost: its bars add up to the totals, and it is the same every time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from workloads import workloads

from hw import CPU, Cost, MatrixVector, OperatorCost, RecNMP, ReRAM, Workload
from nasrec_opt.errors import StudyError
from nasrec_opt.report import plot_cost
from nasrec_opt.report._cost_plot import OTHER, stacked

MODELS = {"reram": ReRAM(), "cpu": CPU(), "recnmp": RecNMP()}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@settings(deadline=None, max_examples=30)
@given(workload=workloads())
def test_the_pieces_of_all_bars_are_the_totals_and_of_a_bar_the_operator(model, workload):
    cost = model.cost(workload)
    operators, components, sums = stacked(cost)
    assert set(operators) == {part.operator for part in cost.breakdown}
    totals = {"latency_ns": cost.latency_ns * 1e-3, "energy_pj": cost.energy_pj * 1e-6}
    for quantity, total in totals.items():
        bars = sums[quantity]
        pieces = [value for bar in bars.values() for value in bar.values()]
        assert sum(pieces) == pytest.approx(total)
        assert {name for bar in bars.values() for name in bar} <= set(components)
        for operator in operators:
            parts = [part for part in cost.breakdown if part.operator == operator]
            factor = 1e-3 if quantity == "latency_ns" else 1e-6
            expected = sum(getattr(part, quantity) for part in parts) * factor
            assert sum(bars[operator].values()) == pytest.approx(expected)
    energies = [sum(sums["energy_pj"][operator].values()) for operator in operators]
    assert energies == sorted(energies, reverse=True)


def test_a_model_that_knows_no_components_has_plain_bars():
    parts = [
        OperatorCost(name="a", operator="fc", latency_ns=3.0, energy_pj=1.0, area_mm2=0.0),
        OperatorCost(name="b", operator="efc", latency_ns=0.0, energy_pj=9.0, area_mm2=0.0),
    ]
    operators, components, _ = stacked(Cost.of(parts, leakage_mw=0.0))
    assert (operators, components) == (["efc", "fc"], [OTHER])


FC = MatrixVector(name="fc", operator="fc", inputs=13, outputs=64)


@pytest.mark.parametrize("workload", [Workload(()), Workload((FC,))], ids=["none", "some"])
def test_a_picture_is_written_the_same_every_time(tmp_path, workload):
    cost = ReRAM().cost(workload)
    for name, magic in (("a.svg", b"<?xml"), ("b.svg", b"<?xml"), ("c.png", b"\x89PNG")):
        plot_cost(cost, tmp_path / name, "A model")
        assert (tmp_path / name).read_bytes().startswith(magic)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "A model" in (tmp_path / "a.svg").read_text()
    with pytest.raises(StudyError, match=r"d.pdf: expected a file name that ends in .svg or .png"):
        plot_cost(cost, tmp_path / "d.pdf")
