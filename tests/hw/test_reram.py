"""The accelerator: a layer worked by hand, and what can never be cheaper."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workloads import accelerators, digitals, products, with_figures, workloads

import hw
from hw import (
    Digital,
    Lookup,
    MatrixVector,
    ReRAM,
    Workload,
    element_area_um2,
    event_energies_pj,
    map_product,
)
from hw._reram import adc_scale

SHIPPED = ReRAM()
FC = MatrixVector(name="fc", operator="fc", inputs=512, outputs=256)


def cost_of(*operations, on=SHIPPED):
    return on.cost(Workload(operations))


def test_energy_of_a_fully_connected_layer_by_hand():
    # 512 -> 256 at 8 bits: 32 crossbars of 128 x 128 with 2 bits a cell in 4 elements, 8 cycles.
    events = event_energies_pj(FC, map_product(FC, SHIPPED.geometry), SHIPPED.technology)
    assert events == pytest.approx(
        {
            "array": 32 * 8 * 30.0,  # crossbars, cycles, pJ of a read
            "row_drive": 32_768 * 0.390625,  # 512 rows, 8 column blocks, 8 cycles
            "sample_and_hold": 32_768 * 0.9765625e-3,  # 4 row blocks, 1024 columns, 8 cycles
            "adc": 32_768 * 1.5625,
            "shift_add": 32_768 * 0.01953125,
            "registers": 4 * 8 * (124 + 23),
            "adders": 3 * 256 * 0.04864,
        }
    )
    assert sum(events.values()) - events["adders"] == pytest.approx(77_056)
    assert sum(events.values()) == pytest.approx(4 * 24.08 * 800 + 37.4, abs=0.1)  # mW x ns = pJ
    # By hand the layer ends there; the model adds what moves its vectors: 24 accesses of 256 bits
    # to the tile's buffer, and (512 + 256) x 8 bits between tiles.
    (part, shared) = cost_of(FC).breakdown
    moved = 24 * 36.46 + 6144 * 0.135
    assert part.energy_pj == pytest.approx(sum(events.values()) + moved)
    # 4 elements, one tile's buffer and the digital unit leak for as long as it takes.
    leakage_mw = 4 * 0.2408 + 2.803e-3 + 0.36
    assert cost_of(FC).leakage_mw == pytest.approx(leakage_mw)
    assert shared.energy_pj == pytest.approx(leakage_mw * part.latency_ns)


@pytest.mark.parametrize(
    ("converters", "read_ns", "by_hand"),
    [(1, 100.0, 1002), (16, 100.0, 1002), (1, 10.0, 1002), (16, 10.0, 102)],
)
def test_time_of_a_fully_connected_layer_by_hand(converters, read_ns, by_hand):
    # The longer of reading a crossbar and converting its 128 columns at 1.28 per ns, over 8 cycles
    # and 2 pipeline stages, then 2 levels of adders. The model reads ahead of the converters, as
    # ISAAC does, so the columns of the table without overlap have no counterpart; and it adds 24
    # accesses to the buffer.
    technology = with_figures(SHIPPED.technology, "crossbar", read_ns=read_ns)
    model = ReRAM(with_figures(technology, "adc", per_crossbar=converters))
    assert cost_of(FC, on=model).latency_ns == pytest.approx(by_hand + 24 * 1.28)


def test_vectors_of_one_sample_pass_one_after_another():
    # 26 -> 32 for each of 16 columns: one crossbar, 8 cycles of 100 ns and 2 accesses a vector.
    efc = MatrixVector(name="efc", operator="efc", inputs=26, outputs=32, repeats=16)
    once, all_of_them = (cost_of(replace(efc, repeats=n)).breakdown[0] for n in (1, 16))
    assert all_of_them.latency_ns == pytest.approx((16 * 8 + 2) * 100 + 16 * 2 * 1.28)
    assert all_of_them.energy_pj == pytest.approx(16 * once.energy_pj)
    assert all_of_them.area_mm2 == once.area_mm2


def test_area_of_a_fully_connected_layer_by_hand():
    assert element_area_um2(SHIPPED.technology) == pytest.approx(13_120)  # ISAAC's IMA
    (part, shared) = cost_of(FC).breakdown
    assert part.area_mm2 == pytest.approx(4 * 0.01312)
    sixteen = ReRAM(with_figures(SHIPPED.technology, "adc", per_crossbar=16))
    assert cost_of(FC, on=sixteen).breakdown[0].area_mm2 == pytest.approx(0.0525 + 0.576, abs=1e-4)
    assert shared.area_mm2 == pytest.approx((100_644 + 127_750 + 33_664) * 1e-6)


def test_variants_of_a_fully_connected_layer_by_hand():
    def adc_pj(product, model=SHIPPED):
        mapping = map_product(product, model.geometry)
        return event_energies_pj(product, mapping, model.technology)["adc"]

    assert adc_pj(replace(FC, weight_bits=4, activation_bits=4)) == adc_pj(FC) / 4
    # A DAC of 2 bits halves the conversions, but needs a converter of 10 bits, 2.38 / 1.67 as dear.
    two = SHIPPED.with_parameters(dac_bits=2, adc_bits=10)
    assert adc_pj(FC, two) == pytest.approx(16_384 * 1.5625 * 2.38 / 1.67)


def test_the_digital_unit_by_hand():
    gram = Digital(name="gram", operator="dot", macs=999, unit_macs=640, additions=65,
                   special_functions=17, bits=4)  # fmt: skip
    part = cost_of(gram).breakdown[0]
    assert part.latency_ns == 10 + 2 + 2  # 64 multipliers, 16 lanes, 1 GHz
    assert part.energy_pj == pytest.approx(640 * 0.761 / 4 + 65 * 0.0797 + 17 * 1.506)
    assert part.area_mm2 == 0  # the unit is shared


@given(products(), st.sampled_from(["inputs", "outputs", "weight_bits", "activation_bits",
                                    "repeats"]), st.integers(1, 40), accelerators)  # fmt: skip
def test_a_larger_product_is_never_cheaper(product, field, more, model):
    value = getattr(product, field) + more
    larger = replace(product, **{field: min(value, 16) if field.endswith("bits") else value})
    ours, theirs = cost_of(product, on=model), cost_of(larger, on=model)
    assert theirs.energy_pj >= ours.energy_pj
    assert theirs.latency_ns >= ours.latency_ns
    assert theirs.area_mm2 >= ours.area_mm2


@given(digitals(), st.sampled_from(["macs", "additions", "special_functions"]), st.integers(1, 99))
def test_more_digital_work_is_never_cheaper(digital, field, more):
    ours = cost_of(digital)
    theirs = cost_of(replace(digital, **{field: getattr(digital, field) + more}))
    assert theirs.energy_pj > ours.energy_pj
    assert theirs.latency_ns >= ours.latency_ns


@given(workloads(), accelerators)
def test_names_do_not_enter_the_cost(workload, model):
    renamed = Workload(
        tuple(
            replace(o, name=f"x{o.name}", operator="y", after=tuple(f"x{n}" for n in o.after))
            for o in workload.operations
        )
    )
    ours, theirs = model.cost(workload), model.cost(renamed)
    assert replace(ours, breakdown=()) == replace(theirs, breakdown=())


@given(st.lists(workloads(), max_size=4), accelerators)
def test_many_workloads_cost_what_each_costs(several, model):
    assert model.cost_many(several) == [model.cost(workload) for workload in several]


@given(workloads(), accelerators)
def test_energy_is_that_of_the_operations_alone_and_leakage_during_the_whole(workload, model):
    alone = (cost_of(replace(o, after=()), on=model).breakdown[0] for o in workload.operations)
    cost = model.cost(workload)
    dynamic_pj = sum(part.energy_pj for part in alone)
    assert cost.energy_pj == pytest.approx(dynamic_pj + cost.leakage_mw * cost.latency_ns)


@given(products(), st.integers(2, 8))
def test_copies_take_area_and_spare_time_but_no_work(product, copies):
    one, many = cost_of(product), cost_of(product, on=SHIPPED.with_parameters(replication=copies))
    ours, theirs = one.breakdown[0], many.breakdown[0]
    assert theirs.area_mm2 == pytest.approx(copies * ours.area_mm2)
    assert theirs.energy_pj == ours.energy_pj
    assert theirs.latency_ns <= ours.latency_ns
    in_turn = math.ceil(product.repeats / copies)
    alone = cost_of(replace(product, repeats=in_turn)).breakdown[0]
    assert theirs.latency_ns == pytest.approx(alone.latency_ns)


@pytest.mark.parametrize("field", ["crossbar_rows", "crossbar_cols", "dac_bits", "adc_bits"])
def test_area_of_an_element_grows_with_what_it_holds(field):
    areas = [
        element_area_um2(SHIPPED.with_parameters(**{field: value}).technology)
        for value in (2, 3, 5, 8)
    ]
    assert areas == sorted(set(areas))


def test_a_converter_costs_what_the_table_says_and_beyond_it_grows_by_its_last_ratio():
    t = SHIPPED.technology
    at = [adc_scale(with_figures(t, "adc", bits=b), t.adc.energy_scaling) for b in range(1, 17)]
    assert at[3:10] == pytest.approx([e / 1.67 for e in (0.79, 0.99, 1.20, 1.42, 1.67, 1.97, 2.38)])
    assert at[11] / at[10] == pytest.approx(2.38 / 1.97)
    assert at[1] / at[0] == pytest.approx(0.99 / 0.79)
    assert at == sorted(at)


def test_orders_of_magnitude():
    cost = cost_of(FC)
    assert 0.4 < cost.energy_pj / FC.macs < 0.8  # pJ per MAC on full crossbars; ISAAC: about 0.6
    model = Workload(
        (
            Lookup(name="embedding", rows=26, dim=16),
            replace(FC, name="efc", inputs=26, outputs=32, repeats=16, after=("embedding",)),
            replace(FC, after=("efc",)),
        )
    )
    cost = SHIPPED.cost(model)
    assert 1e3 < cost.latency_ns < 1e5  # microseconds
    assert 1e5 < cost.energy_pj < 1e7  # microjoules
    assert 0.1 < cost.area_mm2 < 85  # well under ISAAC's chip
    assert cost.leakage_mw < 100


def test_the_example_in_the_docstring_holds():
    (example,) = doctest.DocTestFinder(recurse=False).find(ReRAM, globs=vars(hw))
    assert doctest.DocTestRunner().run(example) == (0, 2)
