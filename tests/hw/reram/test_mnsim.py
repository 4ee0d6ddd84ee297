"""Parity with MNSIM 2.0: its formulas for one layer, written down as it has them, for any layer."""

from __future__ import annotations

from importlib.resources import files
from math import ceil, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw import MatrixVector, ReRAM, Workload
from hw.reram._movement import _hops, _spiral

CONFIGURATIONS = {
    "mnsim_2_0.toml": {
        "R": 256, "C": 256, "n_dac": 128, "n_adc": 128, "b": 6, "t_adc": 8.0, "p_adc": 1.26e-3,
        "T": 2.0, "port": 64, "leak": 1.006428e-3, "read": 0.0075695, "write": 0.0131361,
        "ways": (2, 2), "area_x": 256 * 256 * 1.44 + 1150 * 256, "a_adc": 1650, "a_sram": 40580.3,
        "t_nm": 130, "shift_nm": 65,
    },
    "mnsim_2_0_pim128.toml": {
        "R": 128, "C": 128, "n_dac": 128, "n_adc": 16, "b": 8, "t_adc": 7.8125, "p_adc": 2e-3,
        "T": 1.0, "port": 256, "leak": 4.1977e-3, "read": 0.0174977, "write": 0.0182943,
        "ways": (2, 8), "area_x": 3 * 4 * 128 * 128 * 0.032**2, "a_adc": 1200, "a_sram": 99338.763,
        "t_nm": 32, "shift_nm": 45,
    },
}  # fmt: skip
COUNTS = {2: 8, 8: 72}  # transistors of a multiplexer by its ways
HOPS = {1: 0, 4: 2, 14: 3}  # tiles of a layer, and hops to where their results meet


def mnsim(c, product):
    """Latency ns, energy nJ and area um2 of a fully connected layer."""
    K, N, ba = product.inputs, product.outputs, product.activation_bits  # noqa: N806
    pes = (product.weight_bits - 1) * ceil(N / c["C"]) * ceil(K / c["R"])
    tiles, q = ceil(pes / 4), min(pes, 4)
    r, used = min(K, c["R"]), min(N, c["C"])
    dm, am = ceil(c["R"] / c["n_dac"]), ceil(c["C"] / c["n_adc"])
    turns = ceil(r / c["n_dac"]) * ceil(used / c["n_adc"])
    m, T, j = ba * turns, c["T"], ceil(log2(q))  # noqa: N806
    levels = [2 if ways < 8 else 3 for ways in (dm, am)]
    codes = c["b"] + j
    load = ceil(r * ba / c["port"]) * 20
    tile_write = ceil(codes * used * q / c["port"]) * 20
    tile_read = ceil(used * ba * q / c["port"]) * 20
    latency = {
        "crossbar": m * 3.16,
        "dac": m * 3.0,
        "adc": m * c["t_adc"],
        "input_register": (turns + m) * T,
        "shift": m * T,
        "output_register": ceil(used / c["n_adc"]) * T,
        "decoder": m * levels[0] * 0.27933,
        "mux": m * levels[1] * 0.032744,
        "joint": j * T,
        "in_tile": (2 * codes - j * (j + 1) / 2) * used / 1024,
        "buffer_read": load + tile_read,
        "buffer_write": load + tile_write,
        "between": HOPS[tiles] * (T + used * q * ba / 20),
    }
    r_eq = 1e6 * 1e4 / (0.67 * 1e4 + 0.33 * 1e6)
    node = (45 / 65) ** 2
    power = {  # W of the layer
        "crossbar": q * 2 * r * used * 0.1 * 0.15**2 / r_eq / dm / am,
        "adc": q * ceil(used / am) * c["p_adc"],
        "dac": q * ceil(r / dm) * 3.9e-6,
        "decoder": q * ceil(r / dm) * COUNTS[c["ways"][0]] * 1.2e-8,
        "mux": q * ceil(used / am) * COUNTS[c["ways"][1]] * 1.2e-8,
        "shift": q * ceil(used / am) * 8.1e-7 * (c["shift_nm"] / 65) ** 2,
        "joint": (q - 1) * ceil(used / am) * 2.64e-4 * node,
        "buffer_read": (q + 1) * (c["read"] / 20 + c["leak"]),
        "buffer_write": (q + 1) * (c["write"] / 20 + c["leak"]),
    }
    energy = tiles * sum(watts * latency[name] for name, watts in power.items())  # W x ns = nJ
    logic = 10 * c["t_nm"] ** 2 / 1e6
    area = tiles * (
        8 * c["area_x"]
        + 4 * c["n_adc"] * c["a_adc"]
        + 4 * c["n_dac"] * 0.166
        + 4 * c["n_dac"] * (COUNTS[c["ways"][0]] * logic + 1.4256 * node)
        + 4 * c["n_adc"] * (COUNTS[c["ways"][1]] * logic + 1.4256 * node)
        + 4 * c["n_adc"] * 1.42 * (c["shift_nm"] / 65) ** 2
        + 3 * c["n_adc"] * 353.76 * node
        + 5 * c["a_sram"]
        + 91917.1562
    )
    return sum(latency.values()), energy, area


def test_results_meet_where_the_farthest_tile_is_nearest():
    for tiles in (*range(1, 30), 60):
        places = _spiral(tiles + 1)[1:]
        assert len(set(places)) == tiles
        assert all(abs(x) + abs(y) for x, y in places)  # the first place is another layer's
        nearest = min(max(abs(x - a) + abs(y - b) for x, y in places) for a, b in places)
        assert _hops(tiles) == nearest
    assert {tiles: _hops(tiles) for tiles in HOPS} == HOPS


@st.composite
def layers(draw, rows):
    """Layers of 1, 4 or 14 tiles, whose places on the spiral are known."""
    # Processing elements are slices times blocks: 1, 4, 4, 14, 15 and 56, four to a tile.
    several = [(2, 1, 1), (5, 1, 1), (3, 1, 2), (8, 1, 2), (4, 1, 5), (8, 2, 4)]
    bits, row_blocks, column_blocks = draw(st.sampled_from(several))
    return MatrixVector(
        name="fc", operator="fc",
        inputs=draw(st.integers((row_blocks - 1) * rows + 1, row_blocks * rows)),
        outputs=draw(st.integers((column_blocks - 1) * rows + 1, column_blocks * rows)),
        weight_bits=bits, activation_bits=draw(st.integers(1, 8)),
    )  # fmt: skip


@pytest.mark.parametrize("name", CONFIGURATIONS)
@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_any_layer_costs_what_the_formulas_of_mnsim_say(name, data):
    configuration = CONFIGURATIONS[name]
    product = data.draw(layers(configuration["R"]))
    cost = ReRAM.from_toml(str(files("hw") / "technology" / name)).cost(Workload((product,)))
    latency, energy, area = mnsim(configuration, product)
    assert cost.latency_ns == pytest.approx(latency, rel=1e-6)
    # Registers, which are a millionth of the energy, are charged by the element here.
    assert cost.energy_pj * 1e-3 == pytest.approx(energy, rel=1e-4)
    assert cost.area_mm2 * 1e6 == pytest.approx(area, rel=1e-6)
