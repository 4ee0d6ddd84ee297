"""The accelerator: a layer worked by hand, and what can never be cheaper."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workloads import accelerators, digitals, products, with_figures, workloads

from hw import (
    Digital,
    Lookup,
    MatrixVector,
    ReRAM,
    Workload,
    element_area_um2,
)
from hw.reram._product import adc_scale

SHIPPED = ReRAM()
FC = MatrixVector(name="fc", operator="fc", inputs=512, outputs=256)


TOTALS = (
    "latency_ns", "energy_pj", "area_mm2", "leakage_mw", "interval_ns", "write_energy_pj",
    "write_latency_ns",
)  # fmt: skip


def cost_of(*operations, on=SHIPPED):
    return on.cost(Workload(operations))


def components_of(part, quantity="energy_pj"):
    return {c.name: getattr(c, quantity) for c in part.components if getattr(c, quantity)}


def test_energy_of_a_fully_connected_layer_by_hand():
    # 512 -> 256 at 8 bits: 32 crossbars of 128 x 128 with 2 bits a cell in 4 elements, 8 cycles.
    (part, shared) = cost_of(FC).breakdown
    events = {
        "crossbar": 32 * 8 * 30.0,  # crossbars, cycles, pJ of a read
        "dac": 32_768 * 0.390625,  # 512 rows, 8 column blocks, 8 cycles
        "sample_and_hold": 32_768 * 0.9765625e-3,  # 4 row blocks, 1024 columns, 8 cycles
        "adc": 32_768 * 1.5625,
        "shift_add": 32_768 * 0.01953125,
        "input_register": 4 * 8 * 124,
        "output_register": 4 * 8 * 23,
        "adders": 3 * 256 * 0.04864,
    }
    assert sum(events.values()) - events["adders"] == pytest.approx(77_056)
    assert sum(events.values()) == pytest.approx(4 * 24.08 * 800 + 37.4, abs=0.1)  # mW x ns = pJ
    # By hand the layer ends there; the model adds what moves its vectors: 16 reads and 8 writes of
    # 256 bits, 512 x 8 bits over a link, and these and 256 x 8 more over the tile's bus.
    moved = {
        "buffer_read": 16 * 29.56,
        "buffer_write": 8 * 36.46,
        "transport": 4096 * 20.74 / 256 + 6144 * 13.82 / 256,
    }
    assert components_of(part) == pytest.approx(events | moved)
    # 4 elements, one tile's buffer, its bank and the digital unit leak for as long as it takes.
    leakage_mw = 4 * 0.2408 + 2.803e-3 + 0.42 + 0.36
    assert cost_of(FC).leakage_mw == pytest.approx(leakage_mw)
    assert components_of(shared) == pytest.approx({"leakage": leakage_mw * part.latency_ns})


@pytest.mark.parametrize(
    ("converters", "read_ns", "schedule", "by_hand"),
    [
        (1, 100.0, "overlapped", 1002),
        (16, 100.0, "overlapped", 1002),
        (1, 100.0, "held", 1602),
        (16, 100.0, "held", 852),
        (1, 10.0, "overlapped", 1002),
        (16, 10.0, "overlapped", 102),
        (1, 10.0, "held", 882),
        (16, 10.0, "held", 132),
    ],
)
def test_time_of_a_fully_connected_layer_by_hand(converters, read_ns, schedule, by_hand):
    # Overlapped: the longer of reading a crossbar and converting its 128 columns at 1.28 per ns,
    # over 8 cycles and 2 pipeline stages. Held: the sum of the two, over 8 cycles. Then 2 levels of
    # adders. The model adds 24 accesses to the buffer, and 4096 bits over a link of 32 bits a ns.
    technology = with_figures(SHIPPED.technology, "crossbar", read_ns=read_ns)
    technology = with_figures(technology, "adc", per_crossbar=converters, schedule=schedule)
    moved = 24 * 1.28 + 1 + 4096 / 32
    assert cost_of(FC, on=ReRAM(technology)).latency_ns == pytest.approx(by_hand + moved)


def test_without_sample_and_hold_rows_are_driven_again_for_every_group_of_columns():
    technology = with_figures(SHIPPED.technology, "crossbar", read_ns=10.0)
    technology = with_figures(technology, "adc", per_crossbar=16, schedule="in_turn")
    part = cost_of(FC, on=ReRAM(technology)).breakdown[0]
    times, energies = components_of(part, "latency_ns"), components_of(part)
    assert times["crossbar"] == 8 * 8 * 10  # cycles, groups of 16 of 128 columns
    assert times["adc"] == 8 * 128 / 16 / 1.28
    assert energies["dac"] == pytest.approx(8 * 12_800)
    assert energies["crossbar"] == pytest.approx(7680)  # only the columns converted draw current


def test_vectors_of_one_sample_pass_one_after_another():
    # 26 -> 32 for each of 16 columns: one crossbar; a vector takes 8 cycles of 100 ns, 2 accesses,
    # and 208 bits over a link.
    efc = MatrixVector(name="efc", operator="efc", inputs=26, outputs=32, repeats=16)
    once, all_of_them = (cost_of(replace(efc, repeats=n)).breakdown[0] for n in (1, 16))
    assert all_of_them.latency_ns == pytest.approx((16 * 8 + 2) * 100 + 16 * (2 * 1.28 + 7.5))
    assert all_of_them.energy_pj == pytest.approx(16 * once.energy_pj)
    assert all_of_them.area_mm2 == once.area_mm2


def test_area_of_a_fully_connected_layer_by_hand():
    assert element_area_um2(SHIPPED.technology) == pytest.approx(13_120)  # ISAAC's IMA
    (part, shared) = cost_of(FC).breakdown
    assert part.area_mm2 == pytest.approx(4 * 0.01312)
    sixteen = ReRAM(with_figures(SHIPPED.technology, "adc", per_crossbar=16))
    assert cost_of(FC, on=sixteen).breakdown[0].area_mm2 == pytest.approx(0.0525 + 0.576, abs=1e-4)
    # One tile: buffer, bus, its own shift-and-add, sigmoid and output register; a bank's router.
    tile_um2 = 100_644 + 90_000 + 60 + 3_800
    assert shared.area_mm2 == pytest.approx((tile_um2 + 151_000 + 33_664) * 1e-6)


def test_variants_of_a_fully_connected_layer_by_hand():
    def adc_pj(product, model=SHIPPED):
        return components_of(cost_of(product, on=model).breakdown[0])["adc"]

    assert adc_pj(replace(FC, weight_bits=4, activation_bits=4)) == adc_pj(FC) / 4
    # A DAC of 2 bits halves the conversions, but needs a converter of 10 bits, 2.38 / 1.67 as dear.
    two = SHIPPED.with_parameters(dac_bits=2, adc_bits=10)
    assert adc_pj(FC, two) == pytest.approx(16_384 * 1.5625 * 2.38 / 1.67)


@pytest.mark.parametrize(
    ("encoding", "conversions"), [("pair_analog", 32_768), ("pair_digital", 65_536)]
)
def test_differential_pairs_by_hand(encoding, conversions):
    # 7 bits in 4 slices of 2 as before, twice: 64 crossbars in 8 elements, of which 9 bits (10 for
    # differences of both signs) read all rows at once.
    technology = with_figures(SHIPPED.technology, "adc", flip_encoding=False, bits=10)
    technology = with_figures(technology, "crossbar", encoding=encoding)
    one = with_figures(technology, "crossbar", encoding="offset")
    pair, offset = (cost_of(FC, on=ReRAM(t)).breakdown[0] for t in (technology, one))
    theirs, ours = components_of(pair), components_of(offset)
    assert theirs["crossbar"] == pytest.approx(2 * ours["crossbar"])
    assert theirs["adc"] == pytest.approx(conversions * 1.5625 * 2.38 / 1.67)
    assert theirs["dac"] == ours["dac"]  # both arrays share the drivers
    areas, single = components_of(pair, "area_mm2"), components_of(offset, "area_mm2")
    assert areas["crossbar"] == pytest.approx(2 * single["crossbar"])
    assert areas["dac"] == pytest.approx(single["dac"])
    converters = 1 if encoding == "pair_analog" else 2
    assert areas["adc"] == pytest.approx(converters * single["adc"])


def test_the_digital_unit_by_hand():
    gram = Digital(name="gram", operator="dot", macs=999, unit_macs=640, additions=65,
                   special_functions=17, bits=4)  # fmt: skip
    part = cost_of(gram).breakdown[0]
    assert part.latency_ns == 10 + 2 + 2  # 64 multipliers, 16 lanes, 1 GHz
    mac, add = 0.761 / 4, 0.0797 / 2  # half the bits: a quarter of a multiplier, half of an adder
    assert part.energy_pj == pytest.approx(640 * mac + 65 * add + 17 * (0.745 + mac))
    wide = cost_of(replace(gram, bits=16)).breakdown[0]
    assert wide.latency_ns == 40 + 3 + 2  # 4 passes of the multipliers, 2 of the adders
    assert wide.energy_pj == pytest.approx(640 * 0.761 * 4 + 65 * 0.0797 * 2 + 17 * (0.745 + 3.044))
    assert part.area_mm2 == 0  # the unit is shared


@settings(deadline=None)
@given(products(), st.sampled_from(["inputs", "outputs", "weight_bits", "activation_bits",
                                    "repeats"]), st.integers(1, 40), accelerators())  # fmt: skip
def test_a_larger_product_is_never_cheaper(product, field, more, model):
    value = getattr(product, field) + more
    larger = replace(product, **{field: min(value, 16) if field.endswith("bits") else value})
    ours, theirs = cost_of(product, on=model), cost_of(larger, on=model)
    assert theirs.energy_pj >= ours.energy_pj
    assert theirs.latency_ns >= ours.latency_ns
    assert theirs.area_mm2 >= ours.area_mm2


@settings(deadline=None)
@given(digitals(), st.sampled_from(["macs", "additions", "special_functions"]), st.integers(1, 99))
def test_more_digital_work_is_never_cheaper(digital, field, more):
    ours = cost_of(digital)
    theirs = cost_of(replace(digital, **{field: getattr(digital, field) + more}))
    assert theirs.energy_pj > ours.energy_pj
    assert theirs.latency_ns >= ours.latency_ns


@settings(deadline=None)
@given(workloads(), accelerators())
def test_names_do_not_enter_the_cost(workload, model):
    renamed = Workload(
        tuple(
            replace(o, name=f"x{o.name}", operator="y", after=tuple(f"x{n}" for n in o.after))
            for o in workload.operations
        )
    )
    ours, theirs = model.cost(workload), model.cost(renamed)
    assert replace(ours, breakdown=()) == replace(theirs, breakdown=())


@settings(deadline=None)
@given(st.lists(workloads(), max_size=4), accelerators())
def test_many_workloads_cost_what_each_costs(several, model):
    each, many = [model.cost(workload) for workload in several], model.cost_many(several)
    assert list(many) == each
    assert many[1:] == each[1:]
    for total in TOTALS:
        assert getattr(many, total).tolist() == [getattr(cost, total) for cost in each]


@settings(deadline=None)
@given(workloads(), accelerators())
def test_energy_is_that_of_the_operations_alone_and_leakage_during_the_whole(workload, model):
    alone = (cost_of(replace(o, after=()), on=model).breakdown[0] for o in workload.operations)
    cost = model.cost(workload)
    dynamic_pj = sum(part.energy_pj for part in alone)
    assert cost.energy_pj == pytest.approx(dynamic_pj + cost.leakage_mw * cost.latency_ns)


@settings(deadline=None)
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
    at = [adc_scale(b, t.adc.scaling_bits, t.adc.energy_scaling) for b in range(1, 17)]
    assert at[3:10] == pytest.approx([e / 1.67 for e in (0.79, 0.99, 1.20, 1.42, 1.67, 1.97, 2.38)])
    assert at[11] / at[10] == pytest.approx(2.38 / 1.97)
    assert at[1] / at[0] == pytest.approx(0.99 / 0.79)
    assert at == sorted(at)


def test_orders_of_magnitude():
    cost = cost_of(FC)
    assert 0.4 < cost.energy_pj / FC.macs < 0.8  # pJ per MAC on full crossbars; ISAAC: about 0.6
    model = Workload(
        (
            Lookup(name="embedding", vectors=26, dim=16),
            replace(FC, name="efc", inputs=26, outputs=32, repeats=16, after=("embedding",)),
            replace(FC, after=("efc",)),
        )
    )
    cost = SHIPPED.cost(model)
    assert 1e3 < cost.latency_ns < 1e5  # microseconds
    assert 1e5 < cost.energy_pj < 1e7  # microjoules
    assert 0.1 < cost.area_mm2 < 85  # well under ISAAC's chip
    assert cost.leakage_mw < 100


class Doubled(ReRAM):
    """A model of a user's, with a cost of its own."""

    def cost(self, workload):
        cost = super().cost(workload)
        return replace(cost, latency_ns=2 * cost.latency_ns)


def test_other_parameters_keep_the_class_of_the_model():
    model = Doubled(SHIPPED.technology).with_parameters(replication=2)
    assert isinstance(model, Doubled)
    assert model.technology == SHIPPED.with_parameters(replication=2).technology
