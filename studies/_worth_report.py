"""Tables and anytime curves of a study of worth, from the models that its contenders finished."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.ticker import NullFormatter

from nasrec_opt._files import atomic_write
from studies._anytime import Event, Step, steps, value_at
from studies._page import fill, markdown
from studies._statistics import paired_difference
from studies._worth_plan import DEFAULT

Row = Mapping[str, Any]
Floats = npt.NDArray[np.float64]
MARKS = (0.25, 0.5, 1.0)  # shares of the budget at which contenders are compared
POINTS = 200  # of a curve


@dataclass(frozen=True)
class Curve:
    """What one run had in hand over time.

    Args:
        steps: The pick.
        constant: Test log loss of the constant click rate, which counts before the first model.
        models: How many were finished in time.
    """

    steps: Sequence[Step]
    constant: float
    models: int

    @classmethod
    def of(cls, row: Row) -> Curve:
        """The curve of a result."""
        columns = (row[field] for field in Event._fields)
        events = [Event(*values) for values in zip(*columns, strict=True)]
        in_time = [e for e in events if e.seconds <= row["budget_s"] and not e.is_final]
        return cls(steps(events), row["constant"], len(in_time))

    def at(self, seconds: float) -> float:
        """Test log loss after so many seconds."""
        found = value_at(self.steps, seconds)
        return self.constant if found is None else found

    def has_model(self, seconds: float) -> bool:
        """Whether a model is finished by then."""
        return value_at(self.steps, seconds) is not None


Curves = Mapping[str, Mapping[int, Curve]]  # by contender, then by seed


def write_report(
    folder: Path, rows: Sequence[Row], labels: Mapping[str, str], page: Path | None = None
) -> None:
    """Write `worth.md` and `worth.svg`.

    Args:
        folder: Of the study.
        rows: Results of one clock, and of one budget for each log.
        labels: What people call a contender, in the order of the tables.
        page: Gets the tables between its marks, and the picture beside it.
    """
    logs: dict[str, dict[str, dict[int, Curve]]] = {}
    budgets: dict[str, float] = {}
    for row in rows:
        by_contender = logs.setdefault(row["log"], {name: {} for name in labels})
        by_contender[row["contender"]][row["seed"]] = Curve.of(row)
        budgets[row["log"]] = row["budget_s"]
    tables = {
        log: as_markdown({n: c for n, c in curves.items() if c}, budgets[log], labels)
        for log, curves in logs.items()
    }
    text = "\n".join(f"### {log}, {budgets[log]:g} s\n\n{table}" for log, table in tables.items())
    commits = sorted({str(row["commit"]) for row in rows})
    said = "No result.\n"
    if rows:
        said = f"Run at {', '.join(commits)}; {rows[0]['clock']} seconds of one core.\n\n"
    with atomic_write(folder / "worth.md") as stream:
        stream.write(said + text)
    picture = draw(logs, budgets, labels) if logs else b""
    for file in [folder / "worth.svg", *([page.with_suffix(".svg")] if page else [])]:
        if picture:
            with atomic_write(file, "wb") as stream:
                stream.write(picture)
    if page:
        filled = fill(page.read_text(encoding="utf-8"), tables)
        with atomic_write(page) as stream:
            stream.write(filled)


def as_markdown(curves: Curves, budget_s: float, labels: Mapping[str, str]) -> str:
    """The table of one log: a line a contender, ours first."""
    head = ["test log loss after", *(f"{mark * budget_s:g} s" for mark in MARKS), "models", "seeds"]
    lines = []
    for name, own in curves.items():
        cells = [_cell(name, curves, mark * budget_s) for mark in MARKS]
        models = sorted(curve.models for curve in own.values())
        few, many = models[0], models[-1]
        lines.append(
            [
                labels[name],
                *cells,
                f"{few}" if few == many else f"{few} to {many}",
                str(len(own)),
            ]
        )
    return markdown(head, lines)


def _cell(name: str, curves: Curves, seconds: float) -> str:
    """Mean log loss, and how it differs from our default's with the same seeds."""
    own, ours = curves[name], curves.get(DEFAULT, {})
    text = f"{np.mean([curve.at(seconds) for curve in own.values()]):.4f}"
    without = sum(not curve.has_model(seconds) for curve in own.values())
    if without:
        text += " (no model yet" + (f" in {without} of {len(own)})" if without < len(own) else ")")
    seeds = sorted(own.keys() & ours.keys())
    if name == DEFAULT or not seeds:
        return text
    found = paired_difference(
        [own[seed].at(seconds) for seed in seeds], [ours[seed].at(seconds) for seed in seeds]
    )
    return f"{text}; {found.in_words()}"


def draw(
    logs: Mapping[str, Curves], budgets: Mapping[str, float], labels: Mapping[str, str]
) -> bytes:
    """Anytime curves as SVG, a panel a log: means over the seeds, and between the extremes.

    What a seed does to all contenders alike is taken out of the bands.

    References:
        Cousineau 2005: intervals of values that come in groups, the groups' means taken out.
    """
    columns = min(len(logs), 2)
    rows = -(-len(logs) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(7 * columns, 4.4 * rows), squeeze=False)
    for axis in axes.flat[len(logs) :]:
        axis.axis("off")
    for axis, (log, curves) in zip(axes.flat, logs.items(), strict=False):
        _panel(axis, {n: c for n, c in curves.items() if c}, budgets[log], labels)
        axis.set_title(log, fontsize=10)
    found = {
        label: line
        for axis in axes.flat[: len(logs)]
        for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="lower center", ncols=4, fontsize=9)
    figure.tight_layout(rect=(0, 0.02 + 0.1 / rows, 1, 1))
    stream = io.BytesIO()
    # Text stays text, and identifiers do not change from one drawing to the next.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "worth"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    plt.close(figure)
    return stream.getvalue()


def _panel(axis: Any, curves: Curves, budget_s: float, labels: Mapping[str, str]) -> None:
    colours = plt.get_cmap("tab20")
    first = min(
        (
            curve.steps[0].seconds
            for own in curves.values()
            for curve in own.values()
            if curve.steps
        ),
        default=budget_s / 10,
    )
    times = np.geomspace(min(first, budget_s / 10), budget_s, POINTS)
    shift = _shifts(curves, budget_s)
    shown = []
    for place, name in enumerate(labels):
        if name not in curves:
            continue
        own = curves[name]
        values = np.array([[curve.at(t) for t in times] for curve in own.values()])
        values -= np.array([[shift[seed]] for seed in own])
        has_all = [all(curve.has_model(t) for curve in own.values()) for t in times]
        if not any(has_all):
            continue
        middle, low, high = values.mean(0), values.min(0), values.max(0)
        colour, width = colours(place % 20), 2.4 if name == DEFAULT else 1.2
        axis.plot(
            times[has_all], middle[has_all], label=labels[name], color=colour, linewidth=width
        )
        axis.fill_between(
            times[has_all], low[has_all], high[has_all], color=colour, alpha=0.15, linewidth=0
        )
        shown.append(middle[has_all][-1])
    if shown:
        best, worst = min(shown), max(shown)
        axis.set_ylim(best - 0.3 * (worst - best) - 1e-3, worst + 0.5 * (worst - best) + 1e-3)
    axis.set_xscale("log")
    axis.xaxis.set_minor_formatter(NullFormatter())  # within a decade its labels overlap
    axis.set_xlabel("seconds")
    axis.set_ylabel("test log loss")
    axis.grid(alpha=0.3, which="both")


def _shifts(curves: Curves, budget_s: float) -> dict[int, float]:
    """By how much the contenders' mean at the end is higher with a seed than with all."""
    ends: dict[int, list[float]] = defaultdict(list)
    complete = set.intersection(*(set(own) for own in curves.values()))
    for own in curves.values():
        for seed, curve in own.items():
            if seed in complete:
                ends[seed].append(curve.at(budget_s))
    means = {seed: float(np.mean(values)) for seed, values in ends.items()}
    middle = float(np.mean(list(means.values()))) if means else 0.0
    found = {seed: mean - middle for seed, mean in means.items()}
    return {seed: found.get(seed, 0.0) for own in curves.values() for seed in own}
