"""The paper's Figure 8: how log losses of random subnets that were trained from scratch spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from nasrec_opt.errors import StudyError
from studies._ledger import Ledger
from studies._setup import Setup
from studies._tasks import TRUTH_KEYS

QUANTILES = {"best": 0.0, "best tenth": 0.1, "median": 0.5, "worst tenth": 0.9, "worst": 1.0}


@dataclass(frozen=True, kw_only=True)
class Subnets:
    """Random subnets of one log.

    Args:
        source: What the log is called.
        log_losses: Test log loss of each subnet, trained from scratch with the first seed, least
            first.
        found: Test log loss of models that searches found on this log, by method.
    """

    source: str
    log_losses: tuple[float, ...]
    found: Mapping[str, float] = field(default_factory=dict)

    def share_better(self, log_loss: float) -> float:
        """Share of the subnets whose log loss is below one."""
        return float(np.mean(np.array(self.log_losses) < log_loss))


def subnets_of(folder: Path, found: Mapping[str, float] | None = None) -> Subnets:
    """The trained subnets in the folder of a ranking study.

    Args:
        folder: The folder.
        found: Log losses of what searches found, by method.

    Raises:
        StudyError: The folder holds no ranking study, or none of its subnets is trained.
    """
    setup = Setup.load(folder)
    file = folder / "truth.parquet"
    losses = [
        float(row["test_log_loss"])
        for row in Ledger(file, TRUTH_KEYS).rows
        if row["repeat"] == 0 and row["balance"]
    ]
    if not losses:
        raise StudyError(
            f"{file}: expected subnets that were trained from scratch, found none; "
            "`python -m studies.ranking` trains them"
        )
    source = setup.source if "," in setup.source else Path(setup.source).name
    return Subnets(source=source, log_losses=tuple(sorted(losses)), found=found or {})


def as_markdown(logs: Sequence[Subnets]) -> str:
    """Quantiles of each log's subnets."""
    lines = [
        "| log | subnets | " + " | ".join(QUANTILES) + " |",
        "|---" * (2 + len(QUANTILES)) + "|",
    ]
    for log in logs:
        values = np.quantile(log.log_losses, list(QUANTILES.values()))
        cells = " | ".join(f"{value:.4f}" for value in values)
        lines.append(f"| {log.source} | {len(log.log_losses)} | {cells} |")
    return "\n".join(lines) + "\n"


def plot(logs: Sequence[Subnets], stream: Any) -> None:
    """Write the figure as PNG."""
    figure = draw(logs)
    figure.savefig(stream, format="png", dpi=120)
    plt.close(figure)


def draw(logs: Sequence[Subnets]) -> Figure:
    """Share of subnets whose log loss is at most a value, one panel for each log.

    Vertical lines are the models that searches found.
    """
    figure, axes = plt.subplots(
        1, len(logs), figsize=(5.2 * len(logs), 3.8), sharey=True, squeeze=False
    )
    for axis, log in zip(axes[0], logs, strict=True):
        count = len(log.log_losses)
        # From 0 at the first: a step that begins on the axis.
        axis.step([log.log_losses[0], *log.log_losses], np.arange(count + 1) / count, where="post")
        for number, (method, loss) in enumerate(log.found.items()):
            axis.axvline(loss, color=f"C{1 + number}", ls="--", lw=1, label=method)
        if log.found:
            axis.legend(fontsize=6, loc="lower right")
        axis.set_title(f"{log.source}, {count} subnets", fontsize=9)
        axis.set_xlabel("test log loss, trained from scratch")
        axis.locator_params(axis="x", nbins=5)
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("share of subnets")
    figure.tight_layout()
    return figure
