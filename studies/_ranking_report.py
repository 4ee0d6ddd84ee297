"""Tables, plot and MLflow runs of a ranking study, made from its ledgers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from nasrec_opt._files import atomic_write
from studies._bias_report import MACS, subnet_features, write_bias
from studies._mlflow import log_runs
from studies._ranking_results import Scored, losses_by_seed, repeated_truths, scored_subnets
from studies._setup import Setup
from studies._statistics import FloatArray, rank_quality, tau_of_a_perfect_score
from studies._techniques import DEFAULT, SCORINGS, TECHNIQUES

Rows = Sequence[Mapping[str, Any]]
CEILING, RULE = "ceiling", "rule"
COLOURS = ("#b03030", "#d08030")
COMBINED = (("supernet", "newton"), ("adagrad", "newton"))  # of which means are compared


def write_report(folder: Path, setup: Setup, truth: Rows, supernets: Rows, scores: Rows) -> None:
    """Write tables and plots of ranking and bias, and log the MLflow runs."""
    macs = subnet_features(setup)[MACS]
    table = ranking_table(truth, supernets, scores, macs)
    write_bias(folder, setup, truth, scores)
    with atomic_write(folder / "ranking.parquet", "wb") as stream:
        pl.DataFrame(table, infer_schema_length=None).write_parquet(stream)
    with atomic_write(folder / "ranking.md") as stream:
        stream.write(as_markdown(table))
    with atomic_write(folder / "ranking.png", "wb") as stream:
        plot(table, scored_subnets(truth, scores), stream)
    parameters = {"space": setup.space, "train": setup.train, "truth": setup.truth} | {
        "fingerprint": setup.fingerprint, "subnets": setup.num_subnets, "seed": setup.seed,
    }  # fmt: skip
    runs = [
        (
            run_name(row),
            {"technique": row["technique"], "scoring": row["scoring"]},
            {k: v for k, v in row.items() if isinstance(v, int | float)},
        )
        for row in table
    ]
    names = ("ranking.md", "ranking.parquet", "ranking.png", "bias.md", "bias.parquet")
    files = [folder / name for name in names]
    log_runs(folder, "ranking", parameters, runs, files)


def ranking_table(
    truth: Rows, supernets: Rows, scores: Rows, macs: FloatArray
) -> list[dict[str, Any]]:
    """Ceilings first, where they are known, then each technique and scoring.

    Args:
        truth: Rows of that ledger.
        supernets: Likewise.
        scores: Likewise.
        macs: Of all subnets, as logarithms, `[subnets]`.
    """
    results = scored_subnets(truth, scores)
    table = ceilings(truth)
    if results:
        whole = max(results, key=lambda result: len(result.subnets))
        quality = rank_quality(whole.truth, -macs[whole.subnets])
        line = _line(RULE, "more MACs is better", whole, quality)
        table.append(line | {"supernets": 0})
    default = next((result for result in results if result.is_default), None)
    for result in results:
        reference = _of_default(default, result)
        beside = None if result is default else reference  # no difference of a thing from itself
        quality = rank_quality(result.truth, result.scores, reference=beside)
        trained = [row for row in supernets if row["technique"] == result.technique]
        training = {
            "train_log_loss": fmean(row["train_log_loss"] for row in trained),
            "train_seconds": fmean(row["seconds"] for row in trained),
            "query_seconds": median(row["seconds"] for row in result.rows),
        }
        means = {"mean_score": float(result.scores.mean())}
        table.append(_line(result.technique, result.scoring, result, quality | means | training))
        if len(result.scores) > 1:
            quality = rank_quality(result.truth, result.mean_scores, reference=reference)
            line = _line(result.technique, result.scoring, result, quality | means | training)
            table.append(line | {"ensemble": f"mean of {len(result.scores)} supernets"})
    return table + _of_several_scorings(results, default)


def ceilings(truth: Rows) -> list[dict[str, Any]]:
    """How well anything can rank: a second training, and a score that has no error at all."""
    first, second = repeated_truths(truth)
    if len(first) < 4:
        return []
    quality = rank_quality(first, second)
    seconds = fmean(row["seconds"] for row in truth)
    seeds = [len(losses) for losses in losses_by_seed(truth).values()]
    of_perfect = {
        name: tau_of_a_perfect_score(quality[name], seeds)
        for name in ("tau", "tau_low", "tau_high")
    }
    base = {"technique": CEILING, "ensemble": ""}
    return [
        base
        | {"scoring": "a second seed", "subnets": len(first)}
        | quality
        | {"mean_score": float(first.mean()), "query_seconds": seconds},
        base | {"scoring": "a score without error", "subnets": len(seeds)} | of_perfect,
    ]


def _line(
    technique: str, scoring: str, result: Scored, values: Mapping[str, float]
) -> dict[str, Any]:
    base = {"technique": technique, "scoring": scoring, "ensemble": ""}
    return base | {"subnets": len(result.subnets), "supernets": len(result.scores)} | dict(values)


def _of_default(default: Scored | None, result: Scored) -> FloatArray | None:
    """The default's scores of the same subnets by supernets of the same seeds, if there are any.

    Args:
        default: The default's result, if it is known.
        result: What is compared with it.

    Returns:
        `[supernets, subnets]`.
    """
    if default is None or not set(result.subnets.tolist()) <= set(default.subnets.tolist()):
        return None
    same = [row for row, repeat in enumerate(default.repeats) if repeat in result.repeats]
    subnets = np.searchsorted(default.subnets, result.subnets)
    return np.asarray(default.scores[np.ix_(np.array(same), subnets)]) if same else None


def _of_several_scorings(results: Sequence[Scored], default: Scored | None) -> list[dict[str, Any]]:
    """Means of the standardized scores of the default supernets, asked in several ways."""
    if default is None:
        return []
    ways = {result.scoring: result for result in results if result.technique == DEFAULT}
    table = []
    for scorings in COMBINED:
        several = [ways[scoring] for scoring in scorings if scoring in ways]
        if len(several) < len(scorings) or len({tuple(one.subnets) for one in several}) > 1:
            continue  # not all of them have been asked for the same
        repeats = set.intersection(*(set(one.repeats) for one in several))
        if not repeats:
            continue
        several = [_of_repeats(one, repeats) for one in several]
        scores = np.mean([_standardized(one.scores) for one in several], axis=0)
        reference = _of_default(default, several[0])
        quality = rank_quality(several[0].truth, scores, reference=reference)
        line = _line(DEFAULT, "+".join(scorings), several[0], quality)
        table.append(line | {"ensemble": "mean of standardized scores"})
    return table


def _of_repeats(result: Scored, repeats: Collection[int]) -> Scored:
    """What some of the supernets say."""
    rows = [row for row, repeat in enumerate(result.repeats) if repeat in repeats]
    kept = tuple(result.repeats[row] for row in rows)
    return replace(result, repeats=kept, scores=result.scores[rows])


def _standardized(scores: FloatArray) -> FloatArray:
    """With mean 0 and spread 1 for each supernet, `[supernets, subnets]`."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    return np.asarray(centred / scores.std(axis=1, keepdims=True))


def as_markdown(table: Rows) -> str:
    """The table for people."""
    lines = [
        "| trained by | scored by | supernets, subnets | Pearson's rho | Kendall's tau "
        "| tau beside the default, same seeds | tau, better half | regret | training: log loss, s "
        "| scores: mean, s |",
        "|---" * 10 + "|",
    ]
    for row in table:
        is_score = row["technique"] in TECHNIQUES
        counts = f"{row['supernets']}, " if row.get("supernets") else ""
        cells = [
            *_labels(row),
            f"{counts}{row['subnets']}",
            *(_with_interval(row, name) for name in ("rho", "tau", "tau_difference")),
            _with_interval(row, "tau_better_half"),
            _cell(row, "regret", ".4f"),
            f"{row['train_log_loss']:.3f}, {row['train_seconds']:.0f}"
            if is_score and row.get("train_seconds") is not None
            else "-",
            f"{row['mean_score']:.4f}, {row['query_seconds']:.2f}"
            if row.get("query_seconds") is not None
            else "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _labels(row: Mapping[str, Any]) -> tuple[str, str]:
    """How a model of the line is trained and scored, in words."""
    technique, names = row["technique"], row["scoring"].split("+")
    trained = {CEILING: "noise ceiling", RULE: "a rule"}.get(technique)
    scored = " + ".join(SCORINGS[name].label if name in SCORINGS else name for name in names)
    ensemble = f", {row['ensemble']}" if row["ensemble"] else ""
    return trained or TECHNIQUES[technique].label, scored + ensemble


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return "-"
    sign = "+" if name.endswith("difference") else ""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{value:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def _cell(row: Mapping[str, Any], name: str, how: str) -> str:
    return "-" if row.get(name) is None else format(row[name], how)


def plot(table: Rows, results: Sequence[Scored], stream: Any) -> None:
    """Truth against the default technique's scores, and tau of all with intervals."""
    shown = [result for result in results if result.technique == DEFAULT]
    bars = [row for row in table if row["technique"] in TECHNIQUES]
    size = (4 * len(shown) + 6, max(4.2, 0.24 * len(bars)))  # a line of text for each bar
    figure, grid = plt.subplots(1, len(shown) + 1, figsize=size, squeeze=False)
    axes = grid[0]
    for axis, result in zip(axes, shown, strict=False):
        tau = rank_quality(result.truth, result.scores)["tau"]
        axis.scatter(result.mean_scores, result.truth, s=14)
        axis.set_title(f"{SCORINGS[result.scoring].label}\ntau {tau:.2f}", fontsize=10)
        axis.set_xlabel("log loss, oracle")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("log loss, trained from scratch")
    places = np.arange(len(bars))[::-1]
    taus = (
        np.array([[row["tau"], row["tau_low"], row["tau_high"]] for row in bars]).reshape(-1, 3).T
    )
    axes[-1].barh(places, taus[0], xerr=np.abs(taus[1:] - taus[0]), color="#1f5fa8", alpha=0.8)
    axes[-1].set_yticks(places, [run_name(row) for row in bars], fontsize=8)
    lines = [row for row in table if row["technique"] == CEILING]
    for row, colour in zip(lines, COLOURS, strict=False):
        axes[-1].axvline(row["tau"], color=colour, label=row["scoring"])
    if lines:
        axes[-1].legend(fontsize=8, loc="upper right")
    axes[-1].set_xlabel("Kendall's tau, 95 % interval")
    figure.tight_layout()
    figure.savefig(stream, format="png", dpi=120)
    plt.close(figure)


def run_name(row: Mapping[str, Any]) -> str:
    """Name of a line's MLflow run."""
    ensemble = f"/{row['ensemble']}" if row["ensemble"] else ""
    return f"{row['technique']}/{row['scoring']}{ensemble}"
