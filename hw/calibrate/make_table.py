"""Component figures from hwcomponents (CACTI, NeuroSim, Aladdin, ISAAC's parts), as a table.

    tox run -e calibrate                                               compares
    tox run -e calibrate -- --write hw/calibrate/components.toml       makes it anew

hwcomponents needs Python 3.12. Its wheels contain programs that need a newer C library than that of
Debian 12, so tox builds two of its packages from source. A figure of `hw/technology/` whose source
is hwcomponents has the same name in the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = (
    "hwcomponents",
    "hwcomponents-adc",
    "hwcomponents-cacti",
    "hwcomponents-library",
    "hwcomponents-neurosim",
)
NODE_M = 32e-9
SIZES_KIB = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
ADC_BITS = (4, 5, 6, 7, 8, 9, 10)
CELL = "nvmexplorer_RRAM.cell"
DIGITS = 4  # significant digits to which the programs agree between machines
Figures = dict[str, tuple[Any, str, str]]  # name: value, unit, how it was made


def all_figures() -> Figures:
    """Every figure of the table."""
    made: Figures = {}
    for part in (buffers, crossbar, digital, movement, converters):
        made |= part()
    return made


def buffers() -> Figures:
    """SRAM of a tile: CACTI with a 256-bit port."""
    sram = import_module("hwcomponents_cacti").SRAM
    parts = [sram(tech_node=NODE_M, width=256, size=int(kib * 8192)) for kib in SIZES_KIB]
    how = "CACTI: SRAM(width=256), low-standby-power cells"
    small = sram(tech_node=NODE_M, width=64, size=int(0.5 * 8192))
    return {
        "tile.buffer_sizes_kib": (list(SIZES_KIB), "KiB", how),
        "tile.buffer_read_pj": ([p.read().energy * 1e12 for p in parts], "pJ per access", how),
        "tile.buffer_write_pj": ([p.write().energy * 1e12 for p in parts], "pJ per access", how),
        "tile.buffer_area_um2": ([p.area * 1e12 for p in parts], "um2 per buffer", how),
        "tile.buffer_leakage_uw": ([p.leak_power * 1e6 for p in parts], "uW per buffer", how),
        "tile.buffer_access_ns": ([p.read().latency * 1e9 for p in parts], "ns per access", how),
        "digital.special_pj": (
            small.read().energy * 1e12,
            "pJ per table read",
            "CACTI: a 64-bit read of SRAM of 0.5 KiB",
        ),
    }


def crossbar() -> Figures:
    """A cell of a 128 x 128 array and what drives it: NeuroSim."""
    neurosim = import_module("hwcomponents_neurosim")
    main = import_module("hwcomponents_neurosim.main")
    cell = Path(str(neurosim.__file__)).parent / "cells" / CELL
    options = {
        "tech_node": NODE_M,
        "cycle_period": 100e-9,
        "rows": 128,
        "cols": 128,
        "cols_active_at_once": 8,
        "cell_config": str(cell),
        "average_input_value": 0.5,
        "average_cell_value": 0.5,
        "read_pulse_width": 10e-9,
    }
    held = main.MemoryCell(**options)
    how = f"NeuroSim: MemoryCell, {CELL}, 128 x 128"
    return {
        "crossbar.cell_write_pj": (held.write().energy * 1e12, "pJ per cell", how),
        "crossbar.cell_read_fj": (held.read().energy * 1e15, "fJ per cell and read", how),
        "element.adder_pj": (
            main.Adder(tech_node=NODE_M, cycle_period=1e-9, n_bits=24).add().energy * 1e12,
            "pJ per addition",
            "NeuroSim: Adder of 24 bits",
        ),
    }


def digital() -> Figures:
    """The digital unit: Aladdin's parts."""
    library = import_module("hwcomponents_library")
    mac = library.AladdinIntMAC(tech_node=NODE_M, adder_width=32, multiplier_width=8)
    adder = library.AladdinAdder(tech_node=NODE_M, width=16)
    how = "library: AladdinIntMAC of 8 bits with a 32-bit adder"
    return {
        "digital.mac_pj": (mac.compute().energy * 1e12, "pJ per operation", how),
        "digital.mac_area_um2": (mac.area * 1e12, "um2 per multiplier", how),
        "digital.mac_leakage_uw": (mac.leak_power * 1e6, "uW per multiplier", how),
        "digital.add_pj": (
            adder.add().energy * 1e12,
            "pJ per operation",
            "library: AladdinAdder of 16 bits",
        ),
    }


def movement() -> Figures:
    """ISAAC's bus and router, per bit of a 256-bit transfer."""
    library = import_module("hwcomponents_library")
    figures: Figures = {}
    for name, part in (
        ("tile.bus_pj_per_bit", library.IsaacEDRAMBus),
        ("bank.link_pj_per_bit", library.IsaacRouterSharedByFour),
    ):
        energy_pj = part(tech_node=NODE_M, width=256).read().energy * 1e12
        figures[name] = (energy_pj / 256, "pJ/bit", f"library: {part.__name__} of 256 bits")
    return figures


def converters() -> Figures:
    """ADCs: the fit over published ones, and ISAAC's scaled by a factor of 2 a bit."""
    fitted = import_module("hwcomponents_adc").ADC
    isaac = import_module("hwcomponents_library").IsaacADC
    models: tuple[tuple[str, Callable[[int], Any], str], ...] = (
        (
            "adc_fit",
            lambda bits: fitted(n_bits=bits, tech_node=NODE_M, throughput=1.2e9),
            "adc: ADC at 1.2 GS/s",
        ),
        ("adc_isaac", lambda bits: isaac(tech_node=NODE_M, resolution=bits), "library: IsaacADC"),
    )
    figures: Figures = {}
    for name, make, how in models:
        bits = ADC_BITS if name == "adc_fit" else ADC_BITS[:5]
        parts = [make(b) for b in bits]
        figures[f"{name}.bits"] = (list(bits), "bit", how)
        energies_pj = [p.convert().energy * 1e12 for p in parts]
        figures[f"{name}.conversion_pj"] = (energies_pj, "pJ per conversion", how)
        figures[f"{name}.area_um2"] = ([p.area * 1e12 for p in parts], "um2 per converter", how)
    return figures


def as_toml(figures: Figures) -> str:
    """The table as TOML, with the versions that made it."""
    lines = ["# Made by hw/calibrate/make_table.py; 32 nm. Do not edit.", "", "[versions]"]
    lines += [f'"{name}" = "{version(name)}"' for name in PACKAGES]
    sections: dict[str, list[str]] = {}
    for name, (value, unit, how) in figures.items():
        section, _, figure = name.partition(".")
        line = f'{figure} = {{ value = {_number(value)}, unit = "{unit}", source = "{how}" }}'
        sections.setdefault(section, []).append(line)
    for section, entries in sections.items():
        lines += ["", f"[{section}]", *entries]
    return "\n".join(lines) + "\n"


def _number(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_number(entry) for entry in value) + "]"
    return repr(float(f"{value:.{DIGITS}g}"))


def main() -> None:
    """Print the table, or write it into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the file that is made anew")
    chosen = parser.parse_args()
    table = as_toml(all_figures())
    if chosen.write is None:
        print(table, end="")
    else:
        chosen.write.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
