"""Tables, plots and MLflow runs of a comparison of samplers, from the trials of its searches."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from scipy import stats

from nasrec_opt._files import atomic_write
from studies._contenders import CONTENDERS, EVOLUTION, RANDOM
from studies._mlflow import log_runs
from studies._page import fill, markdown
from studies._problems import PROBLEMS, Floats, Yardstick, make_problem

Rows = Sequence[Mapping[str, Any]]
LEVEL = 0.05  # below, a difference is not put down to chance
LATEST = 200  # trials at the end of a search, whose mean time is reported
STEP = 20  # trials between two points of a curve


def write_report(
    folder: Path, searches: Rows, budgets: Sequence[int], page: Path | None = None
) -> None:
    """Write `comparison.parquet`, `comparison.md` and `comparison.png`, and log the MLflow runs.

    Args:
        folder: Of the study.
        searches: What its ledger holds.
        budgets: Numbers of trials to compare at, ascending.
        page: Gets the tables between its marks, and the picture beside it.
    """
    table: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    shown: list[Curves] = []
    by_problem = _grouped(searches, "problem")
    for problem in [name for name in PROBLEMS if name in by_problem]:
        curves = measured(folder, problem, by_problem[problem], budgets)
        rows = comparison(problem, curves, budgets)
        table += rows
        shown.append(curves)
        texts[problem] = as_markdown(rows, curves.unit, budgets)
    picture = io.BytesIO()
    plot(shown, picture)
    with atomic_write(folder / "comparison.parquet", "wb") as stream:
        pl.DataFrame(table, infer_schema_length=None).write_parquet(stream)
    with atomic_write(folder / "comparison.md") as stream:
        stream.write("\n".join(f"### {_sentence(name)}\n\n{text}" for name, text in texts.items()))
    for file in [folder / "comparison.png", *([page.with_suffix(".png")] if page else [])]:
        with atomic_write(file, "wb") as stream:
            stream.write(picture.getvalue())
    if page:
        filled = fill(page.read_text(encoding="utf-8"), texts)
        with atomic_write(page) as stream:
            stream.write(filled)
    runs = [
        (
            f"{row['problem']}/{row['contender']}/{row['trials']}",
            {name: row[name] for name in ("problem", "contender", "trials")},
            {k: v for k, v in row.items() if isinstance(v, int | float)},
        )
        for row in table
    ]
    files = [folder / f"comparison.{kind}" for kind in ("md", "parquet", "png")]
    log_runs(folder, "compare_samplers", {"budgets": list(budgets)}, runs, files)


class Curves:
    """What is missing over the trials of every search of one problem.

    Args:
        problem: The problem.
        marks: Numbers of trials, ascending, `[marks]`.
        unit: What is missing, and of what.
    """

    def __init__(self, problem: str, marks: Sequence[int], unit: str) -> None:
        self.problem = problem
        self.marks = list(marks)
        self.unit = unit
        self.missing: dict[str, list[Floats]] = defaultdict(list)  # [marks reached] a search
        self.overheads_ms: dict[str, list[float]] = defaultdict(list)
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def at(self, contender: str, trials: int) -> Floats:
        """What each search was missing after so many trials, `[searches that got there]`."""
        place = self.marks.index(trials)
        curves = self.missing.get(contender, ())
        found = [curve[place] for curve in curves if len(curve) > place]
        return np.array(found, dtype=np.float64)


def measured(folder: Path, problem: str, searches: Rows, budgets: Sequence[int]) -> Curves:
    """Hold every search of a problem against the best that is known of it.

    The best known of the live problem is what all its searches have found together, and the
    reference point the median of what is drawn at random: its front is too narrow for a margin.
    """
    trials = [np.load(_file(folder, row)) for row in searches]
    values = [np.asarray(found["values"]) for found in trials]
    front = None if problem == "live" else make_problem(problem).front
    if front is None:
        drawn = [v for row, v in zip(searches, values, strict=True) if row["contender"] == RANDOM]
        reference = np.median(np.concatenate(drawn or values), axis=0)
        yardstick = Yardstick(np.concatenate(values), reference)
    else:
        yardstick = Yardstick(front)
    lengths = {len(found) for found in values}
    marks = sorted({*range(STEP, max(lengths) + 1, STEP), *budgets, *lengths})
    single = values[0].shape[1] == 1
    curves = Curves(problem, marks, "regret, 1e-4" if single else "missing hypervolume, %")
    scale = 1e4 if single else 100.0
    for row, found, own in zip(searches, values, trials, strict=True):
        reached = [mark for mark in marks if mark <= len(found)]
        name = row["contender"]
        curves.missing[name].append(scale * np.array(yardstick.missing(found, reached)))
        curves.overheads_ms[name].append(1e3 * float(np.mean(own["overheads_s"][-LATEST:])))
        curves.seconds[name].append(row["seconds"])
    return curves


def comparison(problem: str, curves: Curves, budgets: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each contender and number of trials, with the test against ours."""
    table = []
    for name in [name for name in CONTENDERS if name in curves.missing]:
        lengths = {len(curve) for curve in curves.missing[name]}
        ends = {*budgets, curves.marks[min(lengths) - 1]}
        for trials in sorted(end for end in ends if curves.at(name, end).size):
            own, ours = curves.at(name, trials), curves.at(EVOLUTION, trials)
            table.append(
                {
                    "problem": problem,
                    "contender": name,
                    "trials": trials,
                    "searches": len(own),
                    "missing": float(np.median(own)),
                    "missing_best": float(own.min()),
                    "missing_worst": float(own.max()),
                    "p": None if name == EVOLUTION else _chance(own, ours),
                    "ours": float(np.median(ours)) if ours.size else None,
                    "overhead_ms": float(np.median(curves.overheads_ms[name])),
                    "seconds": float(np.median(curves.seconds[name])),
                }
            )
    return table


def _chance(own: Floats, ours: Floats) -> float:
    """Probability of such a difference between equals: Wilcoxon's rank-sum test, two-sided."""
    if min(len(own), len(ours)) < 2 or np.ptp(np.concatenate((own, ours))) == 0:
        return 1.0
    return float(stats.mannwhitneyu(own, ours, alternative="two-sided").pvalue)


def as_markdown(table: Rows, unit: str, budgets: Sequence[int]) -> str:
    """The table of one problem for people: a line a contender."""
    head = [unit, *(f"{budget:,} trials" for budget in budgets), "fewer", "CPU ms a trial"]
    lines = []
    for name, rows in _grouped(table, "contender").items():
        at = {row["trials"]: _cell(row) for row in rows}
        others = [f"{trials:,}: {cell}" for trials, cell in at.items() if trials not in budgets]
        cells = [at.get(budget, "-") for budget in budgets]
        time = f"{rows[-1]['overhead_ms']:.3g}"
        lines.append([CONTENDERS[name].label, *cells, ", ".join(others) or "-", time])
    return markdown(head, lines)


def _cell(row: Mapping[str, Any]) -> str:
    text = f"{row['missing']:.2f} ({row['missing_best']:.2f} to {row['missing_worst']:.2f})"
    if row["p"] is None or row["p"] >= LEVEL:
        return text
    return f"{text} {'better' if row['missing'] < row['ours'] else 'worse'}, p {row['p']:.3f}"


def plot(shown: Sequence[Curves], stream: Any) -> None:
    """What is missing over trials, a panel a problem: medians, and between the quartiles."""
    columns = min(len(shown), 2)
    rows = -(-len(shown) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(7 * columns, 4.2 * rows), squeeze=False)
    for axis in axes.flat[len(shown) :]:
        axis.axis("off")
    for axis, curves in zip(axes.flat, shown, strict=False):
        _panel(axis, curves)
    found = {
        label: line
        for axis in axes.flat[: len(shown)]
        for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="lower center", ncols=4, fontsize=9)
    figure.tight_layout(rect=(0, 0.02 + 0.18 / rows, 1, 1))
    figure.savefig(stream, format="png", dpi=80)
    plt.close(figure)


def _panel(axis: Any, curves: Curves) -> None:
    colours = plt.get_cmap("tab20")
    for place, (name, contender) in enumerate(CONTENDERS.items()):
        if name not in curves.missing:
            continue
        shortest = min(len(curve) for curve in curves.missing[name])
        all_of = np.array([curve[:shortest] for curve in curves.missing[name]])
        low, middle, high = np.quantile(all_of, [0.25, 0.5, 0.75], axis=0)
        marks = curves.marks[:shortest]
        width = 2.4 if name.startswith(EVOLUTION) else 1.2
        colour = colours(place)
        axis.plot(marks, middle, label=contender.label, color=colour, linewidth=width)
        axis.fill_between(marks, low, high, color=colour, alpha=0.15, linewidth=0)
    axis.set_xscale("log")
    axis.set_xlabel("trials")
    axis.set_ylabel(curves.unit)
    axis.set_title(_sentence(curves.problem), fontsize=10)
    axis.set_ylim(bottom=0.0)
    axis.grid(alpha=0.3, which="both")


def _sentence(problem: str) -> str:
    text = PROBLEMS[problem]
    return text[0].upper() + text[1:]


def _grouped(rows: Rows, column: str) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found


def _file(folder: Path, row: Mapping[str, Any]) -> Path:
    name = "-".join(str(row[key]) for key in ("problem", "contender", "seed", "trials"))
    return folder / "trials" / f"{name}.npz"
