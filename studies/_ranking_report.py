"""Tables, plot and MLflow runs of a ranking study, made from its ledgers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from nasrec_opt._files import atomic_write
from studies._mlflow import log_runs
from studies._setup import Setup
from studies._statistics import rank_quality
from studies._techniques import DEFAULT, SCORINGS, TECHNIQUES

Rows = Sequence[Mapping[str, Any]]
MEASURES = ("rho", "tau", "tau_better_half")
CEILING = "ceiling"


def write_report(folder: Path, setup: Setup, truth: Rows, supernets: Rows, scores: Rows) -> None:
    """Write `ranking.parquet`, `ranking.md` and `ranking.png`, and log the MLflow runs."""
    table = ranking_table(truth, supernets, scores)
    with atomic_write(folder / "ranking.parquet", "wb") as stream:
        pl.DataFrame(table, infer_schema_length=None).write_parquet(stream)
    with atomic_write(folder / "ranking.md") as stream:
        stream.write(as_markdown(table))
    with atomic_write(folder / "ranking.png", "wb") as stream:
        plot(table, truth, scores, stream)
    parameters = {"space": setup.space, "train": setup.train, "truth": setup.truth} | {
        "fingerprint": setup.fingerprint, "subnets": setup.num_subnets, "seed": setup.seed,
    }  # fmt: skip
    runs = [
        (
            f"{row['technique']}/{row['scoring']}",
            {"technique": row["technique"], "scoring": row["scoring"]},
            {k: v for k, v in row.items() if isinstance(v, int | float)},
        )
        for row in table
    ]
    files = [folder / name for name in ("ranking.md", "ranking.parquet", "ranking.png")]
    log_runs(folder, "ranking", parameters, runs, files)


def true_losses(truth: Rows, *, balance: bool = True) -> dict[int, float]:
    """Log loss of each subnet trained from scratch, the mean over its seeds.

    Without balancing, subnets without a dot product are what they are with it.
    """
    found: dict[int, list[float]] = defaultdict(list)
    for row in truth:
        if row["balance"]:
            found[row["subnet"]].append(_loss(row))
    if not balance:
        found |= {row["subnet"]: [_loss(row)] for row in truth if not row["balance"]}
    return {subnet: fmean(values) for subnet, values in found.items()}


def ranking_table(truth: Rows, supernets: Rows, scores: Rows) -> list[dict[str, Any]]:
    """A row for each technique and scoring; the first is the noise ceiling, where it is known."""
    table = []
    first, second = (
        {row["subnet"]: _loss(row) for row in truth if row["balance"] and row["repeat"] == repeat}
        for repeat in (0, 1)
    )
    both = sorted(first.keys() & second.keys())
    if len(both) >= 4:
        quality = rank_quality([first[i] for i in both], [second[i] for i in both])
        seconds = fmean(row["seconds"] for row in truth)
        table.append(
            {"technique": CEILING, "scoring": "a second seed", "subnets": len(both)}
            | quality
            | {"mean_score": fmean(first.values()), "query_seconds": seconds}
        )
    training = {row["technique"]: row for row in supernets}
    by_oracle: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in scores:
        by_oracle[row["technique"], row["scoring"]].append(row)
    for (technique, scoring), rows in by_oracle.items():
        losses = true_losses(truth, balance=TECHNIQUES[technique].balance)
        scored = {row["subnet"]: row["log_loss"] for row in rows}
        subnets = sorted(losses.keys() & scored.keys())
        quality = rank_quality([losses[i] for i in subnets], [scored[i] for i in subnets])
        table.append(
            {"technique": technique, "scoring": scoring, "subnets": len(subnets)}
            | quality
            | {
                "train_log_loss": training[technique]["train_log_loss"],
                "mean_score": fmean(scored.values()),
                "train_seconds": training[technique]["seconds"],
                "query_seconds": median(row["seconds"] for row in rows),
            }
        )
    return table


def as_markdown(table: Rows) -> str:
    """The table for people."""
    lines = [
        "| trained by | scored by | Pearson's rho | Kendall's tau | tau, better half | regret "
        "| training: log loss, s | scores: mean, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table:
        technique, scoring = row["technique"], row["scoring"]
        is_score = technique != CEILING
        cells = [
            TECHNIQUES[technique].label if is_score else "noise ceiling",
            SCORINGS[scoring].label if is_score else scoring,
            *(
                f"{row[name]:.2f} ({row[name + '_low']:.2f} to {row[name + '_high']:.2f})"
                for name in MEASURES
            ),
            f"{row['regret']:.4f}",
            f"{row['train_log_loss']:.3f}, {row['train_seconds']:.0f}" if is_score else "-",
            f"{row['mean_score']:.4f}, {row['query_seconds']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot(table: Rows, truth: Rows, scores: Rows, stream: Any) -> None:
    """Truth against the default technique's scores, and tau of all with intervals."""
    shown = [row for row in table if row["technique"] == DEFAULT]
    bars = [row for row in table if row["technique"] != CEILING]
    size = (4 * len(shown) + 6, max(4.2, 0.24 * len(bars)))  # a line of text for each bar
    figure, grid = plt.subplots(1, len(shown) + 1, figsize=size, squeeze=False)
    axes = grid[0]
    losses = true_losses(truth)
    for axis, row in zip(axes, shown, strict=False):
        scored = {
            s["subnet"]: s["log_loss"]
            for s in scores
            if (s["technique"], s["scoring"]) == (DEFAULT, row["scoring"])
        }
        subnets = sorted(losses.keys() & scored.keys())
        axis.scatter([scored[i] for i in subnets], [losses[i] for i in subnets], s=14)
        axis.set_title(f"{SCORINGS[row['scoring']].label}\ntau {row['tau']:.2f}", fontsize=10)
        axis.set_xlabel("log loss, oracle")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("log loss, trained from scratch")
    places = np.arange(len(bars))[::-1]
    taus = (
        np.array([[row["tau"], row["tau_low"], row["tau_high"]] for row in bars]).reshape(-1, 3).T
    )
    axes[-1].barh(places, taus[0], xerr=np.abs(taus[1:] - taus[0]), color="#1f5fa8", alpha=0.8)
    axes[-1].set_yticks(places, [f"{r['technique']}, {r['scoring']}" for r in bars], fontsize=8)
    for row in table:
        if row["technique"] == CEILING:
            axes[-1].axvline(row["tau"], color="#b03030", label="noise ceiling")
            axes[-1].legend(fontsize=8, loc="upper right")
    axes[-1].set_xlabel("Kendall's tau, 95 % interval")
    figure.tight_layout()
    figure.savefig(stream, format="png", dpi=120)
    plt.close(figure)


def _loss(row: Mapping[str, Any]) -> float:
    expected = row["expected_log_loss"]
    return float(row["test_log_loss"] if expected is None else expected)
