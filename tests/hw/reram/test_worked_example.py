"""The page that costs a layer by hand: its arithmetic is right, and the model agrees with it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from importlib.resources import files

import pytest
from conftest import REPOSITORY
from workloads import with_figures

from hw import MatrixVector, ReRAM, Workload, element_area_um2, map_product
from hw.reram._charge import charge
from hw.reram._kinds import columns_of
from hw.reram._parts import PRODUCT, Products

PAGE = (REPOSITORY / "docs" / "reference" / "hw_worked_example.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([^|]+) \| `([^`]+)` \| ([\d.]+) \|$", re.MULTILINE)
ROWS = {name: (arithmetic, float(result)) for name, arithmetic, result in ROW.findall(PAGE)}
TIMES = re.compile(r"^\| (\d+) ns \| (\w+) \| (\d+) \| (\d+) \|$", re.MULTILINE).findall(PAGE)
MODEL = ReRAM()
FC = MatrixVector(name="fc", operator="fc", inputs=512, outputs=256)


def with_signs(encoding):
    technology = with_figures(MODEL.technology, "adc", flip_encoding=False, bits=10)
    return ReRAM(with_figures(technology, "crossbar", encoding=encoding))


def adc_pj(product=FC, model=MODEL):
    part = model.cost(Workload((product,))).breakdown[0]
    return next(c.energy_pj for c in part.components if c.name == "adc")


def as_columns(product):
    return Products(*columns_of([product], [PRODUCT])[PRODUCT])


def conversions(product=FC, model=MODEL):
    t, columns = model.technology, as_columns(product)
    mapping = map_product(columns, t.geometry)
    return int((charge(columns, mapping, t).columns * mapping.cycles)[0])


def lossless_bits(model):
    """Least resolution that reads all rows at once."""
    t = with_figures(model.technology, "adc", flip_encoding=False)
    several = (with_figures(t, "adc", bits=bits) for bits in range(2, 17))
    return next(s.adc.bits for s in several if s.geometry.wordlines_at_once == s.crossbar.rows)


def modelled():
    """What the model says for each row of the page; rows of pure arithmetic are left out."""
    mapping = map_product(FC, MODEL.geometry)
    t, columns = MODEL.technology, as_columns(FC)
    charged = charge(columns, map_product(columns, t.geometry), t)
    cost = MODEL.cost(Workload((FC,)))
    layer, shared = cost.breakdown
    energy = {c.name: c.energy_pj for c in layer.components}
    time = {c.name: c.latency_ns for c in layer.components}
    area = {c.name: c.area_mm2 * 1e6 for c in shared.components}
    pairs = map_product(FC, with_signs("pair_analog").geometry)
    four = replace(FC, weight_bits=4, activation_bits=4)
    two = MODEL.with_parameters(dac_bits=2, adc_bits=10)
    mnsim = ReRAM.from_toml(str(files("hw") / "technology" / "mnsim_2_0_pim128.toml"))
    elements = layer.energy_pj - sum(
        energy[name] for name in ("adders", "buffer_read", "buffer_write", "transport")
    )
    moved = sum(energy[name] for name in ("buffer_read", "buffer_write", "transport"))
    return {
        **{f"{name}, pJ": value for name, value in energy.items()},
        **{f"{n}, ns": time[n] for n in ("crossbar", "adders", "buffer_read", "buffer_write",
                                         "transport")},
        "MACs": FC.macs,
        "slices of a weight": mapping.slices,
        "physical columns": mapping.columns,
        "row blocks": mapping.row_blocks,
        "column blocks": mapping.column_blocks,
        "crossbars": mapping.crossbars,
        "cells that hold weights, share": mapping.utilization,
        "processing elements": charged.elements[0],
        "slices of an input": mapping.input_slices,
        "bits without loss": lossless_bits(MODEL),
        "reads of a crossbar": mapping.cycles,
        "row drives": charged.rows[0] * mapping.input_slices,
        "cell reads": charged.cells[0] * mapping.input_slices,
        "conversions": conversions(),
        "additions of row blocks": charged.adders[0],
        "of the elements, pJ": elements,
        "with adders, pJ": layer.energy_pj - moved,
        "pJ per MAC": (layer.energy_pj - moved) / FC.macs,
        "the layer, pJ": layer.energy_pj,
        "the product alone, ns": time["crossbar"] + time["adders"],
        "latency, ns": cost.latency_ns,
        "interval between samples, ns": cost.interval_ns,
        "samples per second": cost.samples_per_s,
        "leakage of 4 elements, a buffer, a bank, the digital unit, mW": cost.leakage_mw,
        "leakage, pJ": shared.energy_pj,
        "energy of a sample, pJ": cost.energy_pj,
        "mean power, mW": cost.power_mw,
        "an element with 8 crossbars, um2": element_area_um2(t),
        "4 elements, um2": layer.area_mm2 * 1e6,
        "a tile's buffer, bus, adders and units, um2": area["buffer"] + area["adders"]
        + area["transport"] - t.bank.router_area_um2 + t.tile.unit_area_um2,
        "area, mm2": cost.area_mm2,
        "writing the weights, pJ": cost.write_energy_pj,
        "writing the weights, ns": cost.write_latency_ns,
        "pairs: slices of a weight": pairs.slices,
        "pairs: crossbars": pairs.crossbars,
        "pairs: conversions, subtracted before the converter": conversions(
            model=with_signs("pair_analog")
        ),
        "pairs: conversions, subtracted after it": conversions(model=with_signs("pair_digital")),
        "4 bits: crossbars": map_product(four, MODEL.geometry).crossbars,
        "4 bits: conversions": conversions(four),
        "4 bits: adc, pJ": adc_pj(four),
        "2-bit drivers: bits without loss": lossless_bits(two),
        "2-bit drivers, 10-bit converter and flip encoding: conversions": conversions(model=two),
        "the same: adc, pJ": adc_pj(model=mnsim),  # the last row of this name
        "MNSIM 2.0 on ISAAC's crossbars: conversions": conversions(model=mnsim),
        "MNSIM's over ours: slices, then bit clock over sample clock": adc_pj(model=mnsim)
        / adc_pj(),
    }  # fmt: skip


@pytest.mark.parametrize(("arithmetic", "result"), [row[1:] for row in ROW.findall(PAGE)])
def test_the_arithmetic_of_the_page_is_right(arithmetic, result):
    names = {"ceil": math.ceil, "log2": math.log2, "max": max, "__builtins__": {}}
    assert eval(arithmetic, names) == pytest.approx(float(result), rel=1e-8)


def test_the_model_agrees_with_every_number_of_the_page():
    model = modelled()
    assert model.keys() <= ROWS.keys()
    for name, value in model.items():
        assert value == pytest.approx(ROWS[name][1], rel=1e-8), name
    arithmetic_alone = {
        "largest column sum", "the same with flip encoding", "reads of 256 bits",
        "writes of 256 bits", "over the link, pJ", "over the bus, pJ",
        "check: power of 4 of ISAAC's IMAs over 800 ns, pJ",
        "converting the columns of a crossbar, ns", "cycle, ns",
        "cycles, with 2 to fill the pipeline", "a bank's router and the digital unit, um2",
    }  # fmt: skip
    assert ROWS.keys() - model.keys() == arithmetic_alone
    two = MODEL.with_parameters(dac_bits=2, adc_bits=10)
    assert adc_pj(model=two) == pytest.approx(36483.8323, rel=1e-8)


@pytest.mark.parametrize(("read_ns", "schedule", "one", "sixteen"), TIMES)
def test_the_model_agrees_with_every_time_of_the_page(read_ns, schedule, one, sixteen):
    technology = with_figures(MODEL.technology, "crossbar", read_ns=float(read_ns))
    for converters, by_hand in ((1, one), (16, sixteen)):
        t = with_figures(technology, "adc", per_crossbar=converters, schedule=schedule)
        part = ReRAM(t).cost(Workload((FC,))).breakdown[0]
        moved = ("buffer_read", "buffer_write", "transport")
        alone = sum(c.latency_ns for c in part.components if c.name not in moved)
        assert alone == pytest.approx(float(by_hand), rel=1e-12)


def test_the_page_has_every_time_of_the_table():
    assert len(TIMES) == 4
