"""Plot of the time and energy of one sample: bars of operators, stacked by component."""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from hw import Cost
from nasrec_opt.report._picture import write_picture

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.typing import ColorType

PANELS = (  # quantity of a component, title, unit, factor from the units of `hw`
    ("latency_ns", "Latency, critical path alone", "us", 1e-3),
    ("energy_pj", "Energy", "uJ", 1e-6),
)
SMALL = 0.01  # components below this share of every total are drawn together
OTHER = "other"
WIDTH, ROW_HEIGHT, MARGIN_HEIGHT = 10.5, 0.42, 1.9  # inches
Sums = dict[str, dict[str, float]]  # operator -> component -> value


def plot_cost(cost: Cost, path: Path | str, title: str = "") -> None:
    """Draw a cost by operator and by component into a file.

    Args:
        cost: Cost of a model; an operator without components is a single bar.
        path: The picture; its suffix, `.svg` or `.png`, decides the format.
        title: Title above the picture.

    Raises:
        StudyError: The suffix is neither `.svg` nor `.png`.
    """
    write_picture(path, lambda kind: _render(cost, kind, title))


def stacked(cost: Cost) -> tuple[list[str], list[str], dict[str, Sums]]:
    """Compute the pieces of the bars.

    Returns:
        Operators, those with most energy first; components in the same order; and for both panels
        the pieces of each bar, which add up to the total.
    """
    sums: dict[str, Sums] = {
        quantity: defaultdict(lambda: defaultdict(float)) for quantity, *_ in PANELS
    }
    for part in cost.breakdown:
        for quantity, _title, _unit, factor in PANELS:
            pieces = part.components or ((OTHER, part.latency_ns, part.energy_pj, part.area_mm2),)
            for component, latency_ns, energy_pj, _area_mm2 in pieces:
                value = latency_ns if quantity == "latency_ns" else energy_pj
                sums[quantity][part.operator][component] += value * factor
    kept = _kept(sums)
    merged: dict[str, Sums] = {quantity: {} for quantity in sums}
    for quantity, by_operator in sums.items():
        for operator, pieces_of in by_operator.items():
            bar = merged[quantity].setdefault(operator, defaultdict(float))
            for component, value in pieces_of.items():
                bar[component if component in kept else OTHER] += value
    energies = {operator: sum(bar.values()) for operator, bar in merged["energy_pj"].items()}
    operators = sorted(energies, key=lambda name: -energies[name])
    is_drawn = any(OTHER in bar for bars in merged.values() for bar in bars.values())
    return operators, [*kept, *([OTHER] if is_drawn else [])], merged


def _kept(sums: dict[str, Sums]) -> list[str]:
    """Components that are more than a small share of a total, those with most energy first."""
    totals: dict[str, dict[str, float]] = {quantity: defaultdict(float) for quantity in sums}
    for quantity, by_operator in sums.items():
        for bar in by_operator.values():
            for component, value in bar.items():
                totals[quantity][component] += value
    shares = {
        component: max(total[component] / (sum(total.values()) or 1.0) for total in totals.values())
        for component in totals["energy_pj"]
    }
    large = [name for name, share in shares.items() if share >= SMALL and name != OTHER]
    return sorted(large, key=lambda name: -totals["energy_pj"][name])


def _render(cost: Cost, kind: str, title: str) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    operators, components, sums = stacked(cost)
    tab20 = mpl.colormaps["tab20"]
    colors: dict[str, ColorType] = {c: tab20(i) for i, c in enumerate(components)}  # 18 at most
    colors[OTHER] = "#c8c8c8"
    height = MARGIN_HEIGHT + ROW_HEIGHT * max(1, len(operators))
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    handles: dict[str, Artist] = {}
    for axes, (quantity, name, unit, _factor) in zip(
        figure.subplots(1, len(PANELS), sharey=True), PANELS, strict=True
    ):
        total = 0.0
        for row, operator in enumerate(operators):
            left = 0.0
            bar = sums[quantity][operator]
            for component in (c for c in components if bar.get(c)):
                [patch] = axes.barh(row, bar[component], left=left, color=colors[component])
                handles.setdefault(component, patch)
                left += bar[component]
            axes.text(left, row, f" {left:.3g}" if left else " 0", va="center", fontsize=8)
            total += left
        axes.set_title(f"{name}: {total:.4g} {unit}", fontsize=10)
        axes.set_xlabel(unit)
        axes.margins(x=0.14)
        axes.set_xlim(left=0)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_yticks(range(len(operators)), operators)
    axes.invert_yaxis()
    ordered = [component for component in components if component in handles]
    figure.legend(
        [handles[component] for component in ordered],
        [component.replace("_", " ") for component in ordered],
        loc="outside lower center", ncols=min(9, len(ordered)), fontsize=8, frameon=False,
    )  # fmt: skip
    if title:
        figure.suptitle(title, fontsize=11)
    stream = io.BytesIO()
    # Text stays text, and identifiers do not change from one drawing to the next.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cost"}):
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(stream, format=kind, dpi=130, metadata=metadata)
    return stream.getvalue()
