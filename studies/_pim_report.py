"""Tables and the plot of the claims study."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hw import Cost
from nasrec_opt._files import atomic_write
from nasrec_opt.space import Genotype
from studies._page import markdown
from studies._pim_assumptions import ASSUMPTIONS, PARAMETERS
from studies._pim_designs import BASELINES, Scene

PAPER = {"handcrafted": (1.5, 1.8), "RecNMP": (1.1, 5.2)}  # section 5.2: speed, energy
RATIOS = [(name, kind) for name in PAPER for kind in range(2)]
TITLES = [f"{('speed', 'energy')[kind]} against {name}" for name, kind in RATIOS]
BASE = "nothing: as assumed"
REPORTED = [PAPER[name][kind] for name, kind in RATIOS]
Row = tuple[str, list[float]]


def sensitivity(genotype: Genotype) -> list[Row]:
    """What is assumed instead, and the four ratios then; the first row assumes nothing else.

    The others stand in the order of the largest factor by which they move a ratio.
    """
    scene = Scene(genotype=genotype)
    base = _ratios(scene)
    rows = [(name, _ratios(change(scene))) for name, change in ASSUMPTIONS]
    rows.sort(key=lambda row: -_moves(base, row[1]))
    return [(BASE, base), *rows]


def _ratios(scene: Scene) -> list[float]:
    found = {name: scene.ratios(name) for name in PAPER}
    return [found[name][kind] for name, kind in RATIOS]


def _moves(before: list[float], after: list[float]) -> float:
    return max(abs(math.log(b / a)) for a, b in zip(before, after, strict=True))


def tables(fronts: Sequence[Sequence[Genotype]]) -> dict[str, str]:
    """Every table of the page by its name.

    Args:
        fronts: Of each search the design, then the other members of its front; tables that have no
            column of blocks are about the first design.
    """
    design = fronts[0][0]
    return {
        "designs": designs(design),
        "parameters": parameters_table([front[0] for front in fronts]),
        "claims": claims(design),
        "front": front_table(fronts),
        "sensitivity": sensitivity_table(design),
    }


def designs(genotype: Genotype) -> str:
    """Latency, energy and so on of every design."""
    searched, dlrm = Scene(genotype=genotype), Scene(genotype=genotype, baseline_model="dlrm")
    bits = dict(ASSUMPTIONS)["searched: bits alone, on the handcrafted accelerator"](searched)
    rows = [
        ("searched model, bits and accelerator", searched.searched()),
        ("searched model and bits, handcrafted accelerator", bits.searched()),
    ]
    rows += [(f"searched model, 8 bits, {name}", searched.baseline(name)) for name in BASELINES]
    rows += [(f"DLRM-like, 8 bits, {name}", dlrm.baseline(name)) for name in BASELINES]
    head = ("design", "us", "uJ", "samples/s", "mm2", "share of embedding rows in energy")
    return markdown(head, [_design(name, cost) for name, cost in rows])


def _design(name: str, cost: Cost) -> list[str]:
    memory = sum(part.energy_pj for part in cost.breakdown if part.operator == "embedding")
    return [
        name.replace(", 8 bits, RecNMP", ", fp32, RecNMP").replace("8 bits, CPU", "fp32, CPU"),
        f"{cost.latency_ns * 1e-3:,.2f}",  # ns -> us
        f"{cost.energy_pj * 1e-6:,.3f}",  # pJ -> uJ
        f"{cost.samples_per_s:,.0f}",
        f"{cost.area_mm2:.3f}" if cost.area_mm2 else "",
        f"{memory / cost.energy_pj:.0%}",
    ]


def claims(genotype: Genotype) -> str:
    """The paper's ratios beside ours: one sample, samples after each other, another model."""
    scenes = [
        Scene(genotype=genotype),
        Scene(genotype=genotype, is_streamed=True),
        Scene(genotype=genotype, baseline_model="dlrm"),
    ]
    head = (
        "searched design against", "paper", "ours, one sample", "samples after each other",
        "baseline runs a DLRM-like model",
    )  # fmt: skip
    rows = []
    for (name, kind), title in zip(RATIOS, TITLES, strict=True):
        ours = [f"{scene.ratios(name)[kind]:.3g}" for scene in scenes]
        rows.append([title, f"{PAPER[name][kind]}", *ours])
    for kind, word in enumerate(("speed", "energy")):
        ours = [f"{scene.ratios('CPU')[kind]:.3g}" for scene in scenes]
        rows.append([f"{word} against CPU", "", *ours])
    return markdown(head, rows)


def parameters_table(genotypes: Sequence[Genotype]) -> str:
    """The ratios of each searched design on the figures that the paper names, and on ISAAC's.

    The last column is the largest factor between one of the four ratios and the paper's.
    """
    head = (
        "figures of both ReRAM designs", "blocks", *TITLES, "area against handcrafted",
        "power against handcrafted", "from the paper",
    )  # fmt: skip
    rows = [["the paper", "7", *(f"{ratio:.3g}" for ratio in REPORTED), "", "", ""]]
    for genotype in genotypes:
        for name, change in PARAMETERS:
            scene = change(Scene(genotype=genotype))
            ratios = _ratios(scene)
            values = (*ratios, *scene.area_and_power())
            rows.append([name, str(genotype.num_blocks), *(f"{value:.3g}" for value in values)])
            rows[-1].append(f"{_from_paper(ratios):.2f}")
    return markdown(head, rows)


def _from_paper(ratios: list[float]) -> float:
    """The largest factor between one of the four ratios and the paper's."""
    return math.exp(_moves(REPORTED, ratios))


def front_table(fronts: Sequence[Sequence[Genotype]]) -> str:
    """The four ratios over each front: median, lowest and highest, on each set of figures.

    The last column is that of the design whose four ratios come closest to the paper's: the largest
    factor between one of them and the paper's.
    """
    lines = []
    for front in fronts:
        for name, change in PARAMETERS:
            ratios = [_ratios(change(Scene(genotype=genotype))) for genotype in front]
            columns = zip(*ratios, strict=True)
            cells = [f"{np.median(c):.3g} ({min(c):.3g} to {max(c):.3g})" for c in columns]
            closest = min(_from_paper(row) for row in ratios)
            lines.append([name, f"{front[0].num_blocks}", f"{len(front)}", *cells])
            lines[-1].append(f"{closest:.2f}")
    head = ("figures of both ReRAM designs", "blocks", "designs", *TITLES, "closest to the paper")
    return markdown(head, lines)


def sensitivity_table(genotype: Genotype) -> str:
    """The four ratios under each assumption, by what factor it moves them at most, and from paper.

    The last column is the largest factor between one of the four ratios and the paper's.
    """
    rows = sensitivity(genotype)
    base = rows[0][1]
    lines = []
    for name, ratios in rows:
        factor = math.exp(_moves(base, ratios))
        factors = (f"{factor:.2f}", f"{_from_paper(ratios):.2f}")
        lines.append([name, *(f"{ratio:.3g}" for ratio in ratios), *factors])
    return markdown(("assumed instead", *TITLES, "factor", "from the paper"), lines)


def plot(genotype: Genotype, path: Path) -> None:
    """Draw how far each assumption moves each ratio, with the paper's beside them."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    rows = sensitivity(genotype)
    base = rows[0][1]
    figure = Figure(figsize=(15, 0.27 * len(rows) + 1.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(RATIOS), sharey=True)
    for panel, ((name, kind), title) in enumerate(zip(RATIOS, TITLES, strict=True)):
        axes = panels[panel]
        for row, (_, ratios) in enumerate(rows):
            axes.plot([base[panel], ratios[panel]], [row, row], color="#1f5fa8", linewidth=1.5)
            axes.plot(ratios[panel], row, "o", color="#1f5fa8", markersize=4)
        axes.axvline(base[panel], color="#555555", linewidth=0.8, label="ours")
        axes.axvline(PAPER[name][kind], color="#b03030", linestyle="--", label="paper")
        axes.axvline(1.0, color="#cccccc", linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if kind == 0 or panel < 2 else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("times better than the baseline")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    panels[0].invert_yaxis()
    panels[-1].legend(fontsize=8, frameon=False)
    stream = io.BytesIO()
    kind_of_file = path.suffix[1:]
    # Text stays text, and identifiers do not change from one drawing to the next.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "claims"}):
        metadata = {"Date": None} if kind_of_file == "svg" else None
        figure.savefig(stream, format=kind_of_file, dpi=110, metadata=metadata)
    with atomic_write(path, "wb") as file:
        file.write(stream.getvalue())
