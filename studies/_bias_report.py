"""Errors of a supernet's scores: what score minus truth correlates with, and what limits ranking.

Both tables and the figure are made from the ledgers of a ranking study.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from nasrec_opt._files import atomic_write
from nasrec_opt.ladder import feature_names, features_of
from studies._ranking_results import Scored, repeated_truths, scored_subnets
from studies._setup import Setup
from studies._statistics import FloatArray, least_squares
from studies._techniques import SCORINGS, TECHNIQUES

Rows = Sequence[Mapping[str, Any]]
MACS, DEPTH = "log2 MACs", "depth"
MILLI = 1e3  # nats -> thousandths of them, which is what differs between subnets


def write_bias(folder: Path, setup: Setup, truth: Rows, scores: Rows) -> None:
    """Write `bias.parquet`, `bias.md` and `bias.png`."""
    features = subnet_features(setup)
    results = scored_subnets(truth, scores)
    table = [bias_of(result, features) for result in results]
    default = next((result for result in results if result.is_default), None)
    parts = ["# What the scores' errors go with", trend_table(table)]
    if default is not None:
        parts += [
            "",
            f"## {_label(default)}, by what a subnet has",
            feature_table(default, features),
        ]
    bounds = bound_table(results, truth)
    if bounds:
        parts += ["", "## What bounds the correlation", bounds]
    with atomic_write(folder / "bias.parquet", "wb") as stream:
        pl.DataFrame(table, infer_schema_length=None).write_parquet(stream)
    with atomic_write(folder / "bias.md") as stream:
        stream.write("\n".join(parts) + "\n")
    if default is not None:
        with atomic_write(folder / "bias.png", "wb") as stream:
            _plot(default, features, stream)


def subnet_features(setup: Setup) -> dict[str, FloatArray]:
    """MACs, live blocks, widths, operators and so on of all subnets, `[subnets]` each."""
    shape = setup.open_dataset().features
    values = np.array([features_of(genotype, shape) for genotype in setup.subnets()])
    return dict(zip(feature_names(), values.T, strict=True))


def bias_of(result: Scored, features: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Slopes of score, truth and their difference, each with its standard error, nats.

    `beyond_score` is the slope of truth on MACs at equal scores: what a score leaves out.
    """
    found: dict[str, Any] = {"technique": result.technique, "scoring": result.scoring}
    macs, depth = (features[name][result.subnets] for name in (MACS, DEPTH))
    score = result.mean_scores
    for name, of, values in (
        ("truth_per_doubling", macs, result.truth),
        ("score_per_doubling", macs, score),
        ("difference_per_doubling", macs, score - result.truth),
        ("difference_per_block", depth, score - result.truth),
    ):
        fit = least_squares(of, values)
        found |= {name: float(fit.slopes[0]), f"{name}_se": float(fit.errors[0])}
    fit = least_squares(np.column_stack([macs, score]), result.truth)
    return found | {
        "beyond_score": float(fit.slopes[0]),
        "beyond_score_se": float(fit.errors[0]),
    }


def trend_table(table: Rows) -> str:
    """A line for each way to train and to score."""
    columns = {
        "truth": "truth_per_doubling",
        "score": "score_per_doubling",
        "score - truth": "difference_per_doubling",
        "truth at equal scores": "beyond_score",
        "score - truth, for each live block more": "difference_per_block",
    }
    lines = [
        "Thousandths of a nat for twice the MACs, with standard errors; below 0 is in favour of "
        "the larger.",
        "",
        f"| trained by | scored by | {' | '.join(columns)} |",
        "|---" * (2 + len(columns)) + "|",
    ]
    for row in table:
        cells = [_with_error(row[name], row[f"{name}_se"]) for name in columns.values()]
        labels = TECHNIQUES[row["technique"]].label, SCORINGS[row["scoring"]].label
        lines.append(f"| {' | '.join((*labels, *cells))} |")
    return "\n".join(lines)


def feature_table(result: Scored, features: Mapping[str, FloatArray]) -> str:
    """Slopes of one regression on all features together."""
    names = [name for name, values in features.items() if np.ptp(values[result.subnets]) > 0]
    design = np.column_stack([features[name][result.subnets] for name in names])
    fits = [
        least_squares(design, values)
        for values in (
            result.truth,
            result.mean_scores,
            result.mean_scores - result.truth,
        )
    ]
    lines = [
        "One regression on everything, thousandths of a nat for one more of each.",
        "",
        "| | truth | score | score - truth |",
        "|---|---|---|---|",
    ]
    for index, name in enumerate(names):
        cells = [_with_error(fit.slopes[index], fit.errors[index]) for fit in fits]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def bound_table(results: Sequence[Scored], truth: Rows) -> str:
    """How much of the correlation with truth noise takes, where both noises are known.

    References:
        Spearman 1904: a correlation divided by the roots of both reliabilities is that of the
        expected values.
    """
    first, second = repeated_truths(truth)
    if len(first) < 4:
        return ""
    of_one = float(np.corrcoef(first, second)[0, 1])
    lines = [
        f"Pearson's rho. Two trainings from scratch: {of_one:.2f}. What the last column lacks to "
        "1 is noise neither of the truth nor of a supernet's seed: it is bias.",
        "",
        "| trained by | scored by | two supernets | one supernet, truth | truth without noise "
        "| both without noise |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        if len(result.scores) < 2:
            continue
        reliability = float(np.mean(1 / (1 + (1 / of_one - 1) / result.seeds)))
        between = fmean(
            float(np.corrcoef(one, other)[0, 1]) for one, other in combinations(result.scores, 2)
        )
        rho = float(np.mean([np.corrcoef(s, result.truth)[0, 1] for s in result.scores]))
        without = rho / math.sqrt(reliability)
        of_both = f"{without / math.sqrt(between):.2f}" if between > 0 else "-"
        labels = TECHNIQUES[result.technique].label, SCORINGS[result.scoring].label
        cells = f"{between:.2f} | {rho:.2f} | {without:.2f} | {of_both}"
        lines.append(f"| {' | '.join(labels)} | {cells} |")
    return "\n".join(lines) if len(lines) > 4 else ""


def _label(result: Scored) -> str:
    return f"{TECHNIQUES[result.technique].label}; {SCORINGS[result.scoring].label}"


def _with_error(slope: float, error: float) -> str:
    return "-" if math.isnan(slope) else f"{slope * MILLI:+.1f} ± {error * MILLI:.1f}"


def _plot(result: Scored, features: Mapping[str, FloatArray], stream: Any) -> None:
    """Score minus truth of each subnet against its MACs and its live blocks."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    difference = (result.mean_scores - result.truth) * MILLI
    for axis, name in zip(axes, (MACS, DEPTH), strict=True):
        values = features[name][result.subnets]
        axis.scatter(values, difference, s=14)
        fit = least_squares(values, difference)
        ends = np.array([values.min(), values.max()])
        axis.plot(ends, difference.mean() + fit.slopes[0] * (ends - values.mean()), color="#b03030")
        axis.set_title(f"{fit.slopes[0]:+.1f} ± {fit.errors[0]:.1f} for one more", fontsize=10)
        axis.set_xlabel("live blocks" if name == DEPTH else name)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("score - truth, thousandths of a nat")
    figure.suptitle(_label(result), fontsize=10)
    figure.tight_layout()
    figure.savefig(stream, format="png", dpi=120)
    plt.close(figure)
