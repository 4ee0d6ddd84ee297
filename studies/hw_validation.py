"""The hardware model against MNSIM 2.0: by component, and what each of our departures changes.

    python -m studies.hw_validation [--write docs/reference/hw_validation.md]

The layer is fully connected, 512 to 256, 8 bits. MNSIM's figures are its own output for two of its
configurations; ours are `hw/technology/mnsim_2_0*.toml`. The departures start from these and change
one thing each, then all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from hw import Cost, MatrixVector, ReRAM, Technology, Workload
from nasrec_opt._files import atomic_write
from studies._page import fill, markdown

WORKLOAD = Workload((MatrixVector(name="fc", operator="fc", inputs=512, outputs=256),))
FILES = {"mnsim_default": "mnsim_2_0.toml", "pim128": "mnsim_2_0_pim128.toml"}

# MNSIM 2.0's output at commit ca39ccb6: latency ns, energy nJ, area um2; None: none reported.
# Its energy of output registers is what its total has beyond the other components.
Figures = tuple[float | None, float | None, float | None]
PUBLISHED: dict[str, dict[str, Figures]] = {
    "mnsim_default": {
        "total": (7843.54314688, 861.3556448957099, 17271192.4663716),
        "crossbar": (101.12041088, 4.0163761336, 12440698.88),
        "dac": (96.0, 0.7667712, 339.968),
        "adc": (256.0, 660.60288, 3379200.0),
        "input_register": (72.0, 0.00132867, None),
        "output_register": (4.0, None, None),
        "shift_add": (64.0, 0.10616832, None),
        "row_select": (17.87712, 0.00351478, None),
        "column_select": (2.095616, 0.00041201, None),
        "adders": (4.0, 0.7774159527, 260434.344142),
        "buffer_read": (3200.0, 88.633792, None),
        "buffer_write": (3200.0, 106.446912, None),
        "transport": (3.25 + 3383.2 - 2560.0, None, None),  # the tile's read is in buffer_read
        "buffer": (None, None, 811606.0),
        "digital": (None, None, 367668.6248),
    },
    "pim128": {
        "total": (2581.80613984, 1218.917745612127, 9460799.639848141),
        "crossbar": (202.24005184, 3.5143157380, 22548.578304),
        "dac": (192.0, 5.3673984, 1189.888),
        "adc": (500.0, 896.0, 1075200.0),
        "input_register": (72.0, 0.00465036, None),
        "output_register": (8.0, None, None),
        "shift_add": (64.0, 0.02226237, None),
        "row_select": (35.75424, 0.02460349, None),
        "column_select": (6.286848, 0.00486693, None),
        "adders": (2.0, 0.1700597396, 113940.025562),
        "buffer_read": (400.0, 142.03238, None),
        "buffer_write": (480.0, 171.777144, None),
        "transport": (2.125 + 937.4 - 320.0, None, None),
        "buffer": (None, None, 6953713.41),
        "digital": (None, None, 1286840.1868),
    },
}


def accelerator(configuration: str) -> ReRAM:
    """Our model with the parameters and conventions of one of MNSIM's configurations."""
    return ReRAM.from_toml(str(files("hw") / "technology" / FILES[configuration]))


def ours(configuration: str) -> dict[str, tuple[float, float, float]]:
    """Latency ns, energy nJ and area um2 of our model, in total and by component."""
    return by_component(accelerator(configuration).cost(WORKLOAD))


def by_component(cost: Cost) -> dict[str, tuple[float, float, float]]:
    """Latency ns, energy nJ and area um2, in total and by component."""
    total = ("total", cost.latency_ns, cost.energy_pj, cost.area_mm2)
    return {
        name: (latency_ns, energy_pj * 1e-3, area_mm2 * 1e6)  # pJ -> nJ, mm2 -> um2
        for name, latency_ns, energy_pj, area_mm2 in (total, *cost.components)
    }


def comparison(configuration: str) -> list[list[str]]:
    """Rows of component, and MNSIM's and our latency, energy and area."""
    mine = ours(configuration)
    rows = []
    for name, theirs in PUBLISHED[configuration].items():
        row = [name]
        for published, modelled in zip(theirs, mine[name], strict=True):
            if published is None:
                row += ["", "", ""]
            else:
                off = abs(modelled / published - 1)
                row += [f"{published:.6g}", f"{modelled:.6g}", f"{off:.3%}"]
        rows.append(row)
    return rows


def _with(section: str, **figures: Any) -> Callable[[Technology], Technology]:
    """A change of some figures of one section."""

    def change(t: Technology) -> Technology:
        changed: Any = {section: replace(getattr(t, section), **figures)}
        return replace(t, **changed)

    return change


ISAAC = ReRAM().technology
BUFFERS = (
    "buffer_sizes_kib", "buffer_read_pj", "buffer_write_pj", "buffer_area_um2",
    "buffer_leakage_uw", "buffer_access_ns",
)  # fmt: skip
Step = tuple[str, Callable[[Technology], Technology]]


def _sample_clock(t: Technology) -> Technology:
    """The converter's rate read as samples: MNSIM's conversion lasts bits + 2 periods of it."""
    periods = t.adc.bits + 2
    return _with(
        "adc",
        samples_per_ns=t.adc.samples_per_ns * periods,
        conversion_pj=t.adc.conversion_pj / periods,
    )(t)


STEPS: tuple[Step, ...] = (
    ("ADC: a sample per period of its clock, not a bit", lambda t: _sample_clock(t)),
    (
        "buffers: CACTI's time and energy, leakage apart",
        _with("tile", **{name: getattr(ISAAC.tile, name) for name in BUFFERS}),
    ),
    ("tiles: what is used, not whole tiles", _with("tile", whole=False)),
    (
        "one buffer a tile, links of 32 bits, transport charged",
        lambda t: replace(
            _with("tile", element_buffers=False, bus_pj_per_bit=ISAAC.tile.bus_pj_per_bit)(t),
            bank=ISAAC.bank,
        ),
    ),
    ("columns held, reading and converting overlapped", _with("adc", schedule="overlapped")),
    (
        "2 bits a cell, converters that lose nothing",
        lambda t: _with("adc", clips=False)(_with("crossbar", cell_bits=2)(t)),
    ),
)
WIDE_DAC = _with("dac", bits=8, drive_ns=10.0, drive_pj=0.4992e3 * 10.0 / 128 * 1e-3)
SLIP_DAC = _with("dac", bits=8, drive_ns=10.0, drive_pj=0.4992e3 * 10.0 / 128)


def departures(configuration: str) -> list[list[str]]:
    """Rows of what differs, and latency, energy, area and their ratio to MNSIM's conventions."""
    start = accelerator(configuration).technology
    cases: list[tuple[str, Technology]] = [("nothing: MNSIM 2.0's conventions", start)]
    cases += [(name, change(start)) for name, change in STEPS]
    together = start
    for _name, change in STEPS:
        together = change(together)
    cases += [("all of these", together), ("hw/technology/reram_32nm.toml", ISAAC)]
    return _rows(cases)


def dac_slip() -> list[list[str]]:
    """The same for drivers of 8 bits: with the power in MNSIM's table, and with a thousandth."""
    start = accelerator("pim128").technology
    return _rows(
        [
            ("8-bit DAC of 0.4992 W, as in its table", SLIP_DAC(start)),
            ("8-bit DAC of 0.4992 mW, by its rule of doubling", WIDE_DAC(start)),
        ]
    )


def _rows(cases: Sequence[tuple[str, Technology]]) -> list[list[str]]:
    rows: list[list[str]] = []
    first: tuple[float, float, float] | None = None
    for name, technology in cases:
        latency, energy, area = by_component(ReRAM(technology).cost(WORKLOAD))["total"]
        first = first or (latency, energy, area)
        rows.append(
            [
                name,
                f"{latency:,.0f}",
                f"{latency / first[0]:.3f}",
                f"{energy:,.1f}",
                f"{energy / first[1]:.3f}",
                f"{area * 1e-6:.3f}",  # um2 -> mm2
                f"{area / first[2]:.3f}",
            ]
        )
    return rows


COMPARED = (
    "component", "ns, MNSIM", "ours", "", "nJ, MNSIM", "ours", "", "um2, MNSIM", "ours", "",
)  # fmt: skip
DEPARTED = ("what differs", "ns", "ratio", "nJ", "ratio", "mm2", "ratio")


def tables() -> dict[str, str]:
    """Every table of the page by its name."""
    return {
        "mnsim_default": markdown(COMPARED, comparison("mnsim_default")),
        "pim128": markdown(COMPARED, comparison("pim128")),
        "departures_default": markdown(DEPARTED, departures("mnsim_default")),
        "departures_pim128": markdown(DEPARTED, departures("pim128")),
        "dac": markdown(DEPARTED, dac_slip()),
    }


def filled(page: str) -> str:
    """The page with the tables between its marks `<!-- NAME -->` and `<!-- end -->`."""
    return fill(page, tables())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, or write them into a page."""
    parser = argparse.ArgumentParser(prog="studies.hw_validation", description=__doc__)
    parser.add_argument("--write", type=Path, help="page whose tables to regenerate")
    chosen = parser.parse_args(arguments)
    if chosen.write is None:
        print("\n".join(tables().values()), end="")
        return
    page = filled(chosen.write.read_text(encoding="utf-8"))
    with atomic_write(chosen.write) as stream:
        stream.write(page)


if __name__ == "__main__":
    main()
