"""What learning curves say: how well a part of a training ranks models, and what it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt._files import atomic_write
from studies._page import fill, markdown
from studies._statistics import least_squares, tau_between, tau_of_a_perfect_score

Row = Mapping[str, Any]
Floats = npt.NDArray[np.float64]
FRACTIONS = tuple(map(Fraction, ("1/8", "1/4", "1/2", "1", "2", "3")))
NAME = "curves"  # of the marks in a page


class Curves:
    """Trainings by seed and model.

    Args:
        rows: Of the ledger.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {(row["seed"], row["model"]): row for row in rows}
        self.seeds = sorted({seed for seed, _ in self._rows})
        self.models = sorted({model for _, model in self._rows})
        self.ends = self._table(lambda row: row["expected_log_loss"] if row["is_over"] else None)

    def scores(self, fraction: Fraction | None) -> Floats:
        """Lowest validation log loss up to a part of an epoch, `[seeds, models]`; None = all."""
        return self._table(lambda row: score_at(row, fraction))

    def seconds(self, fraction: Fraction | None, column: str, device: str) -> float:
        """Mean seconds to get there on a device."""
        places = [
            (row, place_of(row, fraction)) for row in self._rows.values() if row["device"] == device
        ]
        found = [row[column][place] for row, place in places if place is not None]
        return float(np.mean(found)) if found else math.nan

    @property
    def others(self) -> Floats:
        """Mean end of a model's other seeds, `[seeds, models]`; NaN where there is none."""
        kept = [np.delete(self.ends, i, axis=0) for i in range(len(self.seeds))]
        return np.array([mean_of_known(ends) for ends in kept]).reshape(self.ends.shape)

    @property
    def truth(self) -> Floats:
        """Mean end of a model, `[models]`."""
        return mean_of_known(self.ends)

    @property
    def devices(self) -> list[str]:
        """What models were trained on."""
        return sorted({row["device"] for row in self._rows.values()})

    def of_models(self, column: str) -> Floats:
        """A column that is the same for every seed, `[models]`."""
        found = {model: row[column] for (_, model), row in self._rows.items()}
        return np.array([found[model] for model in self.models], np.float64)

    def _table(self, value: Any) -> Floats:
        table = np.full((len(self.seeds), len(self.models)), np.nan)
        for (seed, model), row in self._rows.items():
            found = value(row)
            if found is not None:
                table[self.seeds.index(seed), self.models.index(model)] = found
        return table


def mean_of_known(values: Floats) -> Floats:
    """Mean over the first axis of what is no NaN; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def place_of(row: Row, fraction: Fraction | None) -> int | None:
    """Which point of a curve a training has come to after a part of an epoch, None = the end.

    A training that ended before stays where it ended. None says that it has not come so far.
    """
    if fraction is not None:
        least = math.floor(fraction * row["epoch_steps"])
        reached = (i for i, steps in enumerate(row["steps"]) if steps >= least)
        place = next(reached, None)
        if place is not None:
            return place
    return len(row["steps"]) - 1 if row["is_over"] else None


def score_at(row: Row, fraction: Fraction | None) -> float | None:
    """The lowest validation log loss up to there."""
    place = place_of(row, fraction)
    return None if place is None else min(row["validation"][: place + 1])


def write_report(folder: Path, rows: Sequence[Row], source: str, page: Path | None = None) -> None:
    """Write `curves.md`, and the same into a page between its marks.

    Args:
        folder: Of the study.
        rows: Of the ledger.
        source: What the log is called.
        page: The page; it is begun where it is missing.
    """
    text = report(Curves(rows), source)
    with atomic_write(folder / "curves.md") as stream:
        stream.write(text)
    if page is None:
        return
    marks = f"<!-- {NAME} -->\n<!-- end -->\n"
    before = page.read_text() if page.exists() else f"# Learning curves\n\n{marks}"
    with atomic_write(page) as stream:
        stream.write(fill(before, {NAME: "\n" + text + "\n"}))


def report(curves: Curves, source: str) -> str:
    """All that is said of the curves."""
    over = int(np.isfinite(curves.ends).sum())
    parts = [
        f"{over} trainings of {len(curves.models)} models ended; log: {source}.\n",
        parts_table(curves),
    ]
    if over:
        parts += [ceiling(curves), by_macs(curves)]
    return "\n".join(parts)


def parts_table(curves: Curves) -> str:
    """A line for each part of a training."""
    clocks = {"wall s": "wall_seconds", "CPU s": "cpu_seconds"}
    head = ["epochs", "tau with the other seeds' end", "models", "tau with its own end", "models"]
    head += [f"{clock}, {device}" for device in curves.devices for clock in clocks]
    lines = []
    for fraction in (*FRACTIONS, None):
        scores = curves.scores(fraction)
        line = ["the end" if fraction is None else str(fraction)]
        for ends in (curves.others, curves.ends):
            found = tau_between(ends, scores)
            line += [interval(found), f"{found['models']:.0f}"]
        for device in curves.devices:
            for column in clocks.values():
                line.append(number(curves.seconds(fraction, column, device), ".1f"))
        lines.append(line)
    return markdown(head, lines)


def ceiling(curves: Curves) -> str:
    """How well a second training ranks like the first."""
    found = tau_between(curves.others, curves.ends)
    truth = curves.truth[np.isfinite(curves.truth)]
    spread = float(truth.std(ddof=1)) if len(truth) > 1 else math.nan
    lines = [["standard deviation between models", number(spread, ".5f")]]
    both = np.isfinite(curves.ends).sum(axis=0) > 1
    if both.any():
        noise = float(np.sqrt(np.nanvar(curves.ends[:, both], axis=0, ddof=1).mean()))
        lines.append(["standard deviation between seeds of a model", f"{noise:.5f}"])
    lines.append(["tau between ends of two seeds", interval(found)])
    if math.isfinite(found["tau"]):
        for seeds in (1, 2):
            perfect = tau_of_a_perfect_score(found["tau"], [seeds] * len(curves.models))
            against = "the end of one seed" if seeds == 1 else "the mean end of two seeds"
            lines.append([f"tau of a score without error with {against}", f"{perfect:.2f}"])
        one = math.sin(math.pi / 2 * max(0.0, found["tau"]))
        two = 2 / math.pi * math.asin(2 * one / (1 + one))
        lines.append(["tau between mean ends of two seeds each (Spearman-Brown)", f"{two:.2f}"])
    return markdown(["noise", ""], lines)


def by_macs(curves: Curves) -> str:
    """What log2 MACs say of the end."""
    macs, truth = np.log2(1 + curves.of_models("macs")), curves.truth
    known = np.isfinite(truth)
    macs, truth = macs[known], truth[known]
    lines = [["tau of log2 MACs with the end", interval(tau_between(truth, macs))]]
    middle = macs.mean()
    if len(truth) > 3:
        fit = least_squares(np.column_stack([macs - middle, (macs - middle) ** 2]), truth)
        for name, slope, error in zip(("slope", "curvature"), fit.slopes, fit.errors, strict=True):
            lines.append([f"{name} of the end on log2 MACs", f"{slope:+.5f} ± {error:.5f}"])
        slope, curvature = fit.slopes
        if curvature > 0:
            best = middle - slope / (2 * curvature)
            place = "" if macs.min() <= best <= macs.max() else ", outside of what was trained"
            lines.append(["MACs of the lowest fitted end", f"{2**best:,.0f}{place}"])
    low, median, high = (f"{2**value:,.0f}" for value in np.quantile(macs, [0, 0.5, 1]))
    lines.append(["MACs of the models", f"{low} to {high}, median {median}"])
    return markdown(["MACs of a sample", ""], lines)


def interval(found: Mapping[str, float]) -> str:
    """A tau with its interval."""
    if not math.isfinite(found["tau"]):
        return "-"
    return f"{found['tau']:.2f} ({found['tau_low']:.2f} to {found['tau_high']:.2f})"


def number(value: float, form: str) -> str:
    """A number, or a dash where there is none."""
    return format(value, form) if math.isfinite(value) else "-"
