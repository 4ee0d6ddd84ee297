"""Pruned models beside the models that they were made of (paper, section 6.2)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from nasrec_opt._metrics import LABELS
from nasrec_opt.report._figures import PALETTE, styled
from nasrec_opt.report._html import Row, Table, number

WHOLE = "whole"
CPU = "CPU (µs)"
PRUNING_COLUMNS = (  # those that fit a terminal
    "test log loss",
    LABELS["mflops"],
    "of the whole",
    LABELS["parameters"],
    "file (MB)",
    CPU,
    LABELS["latency_us"],
    LABELS["energy_uj"],
)
PRUNING_NOTE = (
    "Rounds before the last are not trained to the end, and have neither log loss nor file. The "
    "file has the embedding tables, which pruning leaves as they are. CPU is measured on one "
    "thread of this machine, as the median of repeated predictions of one row; in a batch, it is "
    "the time of a row among up to 1,000. Latency and energy are those of one sample on the run's "
    "accelerator."
)
Entries = list[tuple[str, Mapping[str, Any]]]  # the models of one original with their names


@dataclass(frozen=True, slots=True)
class Pruned:
    """The part of a page on pruned models.

    Args:
        table: The models, those that others were made of highlighted.
        plot: Log loss against MFLOPs of the models that were trained to the end.
    """

    table: Table
    plot: go.Figure


def pruned(results: Sequence[Mapping[str, Any]], models: Sequence[Any]) -> Pruned | None:
    """Show what pruning made of models.

    Args:
        results: Contents of `results.json` of each pruning.
        models: Entries of the run's `results.json`, which give the models their names.

    Returns:
        None where nothing was pruned.
    """
    if not results:
        return None
    groups: dict[str, tuple[str, Entries]] = {}
    for found in results:
        whole = found["model"]
        key = json.dumps(whole["genotype"], sort_keys=True)
        _, entries = groups.setdefault(key, (_name(whole, models), [(WHOLE, whole)]))
        for entry in found["rounds"]:
            count = f"{entry['round']} round{'' if entry['round'] == 1 else 's'}"
            entries.append((f"{found['pruning']['method']}, {count}", entry))
    return Pruned(_table(groups.values()), _plot(groups.values()))


def pruning_cells(entry: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, str]:
    """Format the figures of a model for a table.

    Args:
        entry: The model.
        whole: The model that it was made of.

    Returns:
        Texts by the headings of their columns; `-` for a figure that there is not, such as the log
        loss of a model that was not trained to the end.
    """
    size = entry.get("bytes")
    return {
        "test log loss": number(entry.get("test_log_loss")),
        "test AUC": number(entry.get("test_auc")),
        LABELS["mflops"]: number(entry["mflops"]),
        "of the whole": f"{entry['mflops'] / whole['mflops']:.0%}",
        LABELS["mflops_paper"]: number(entry.get("mflops_paper")),
        LABELS["parameters"]: number(entry["parameters"]),
        "file (MB)": "-" if size is None else f"{size / 1e6:,.2f}",
        CPU: number(entry.get("cpu_latency_us")),
        "CPU, batch (µs)": number(entry.get("cpu_us_per_row")),
        LABELS["latency_us"]: number(entry["latency_us"]),
        LABELS["energy_uj"]: number(entry["energy_uj"]),
    }


def _name(whole: Mapping[str, Any], models: Sequence[Any]) -> str:
    for rank, model in enumerate(models, start=1):
        if model["genotype"] == whole["genotype"]:
            return f"model {rank}"
    return "an earlier model"


def _table(groups: Iterable[tuple[str, Entries]]) -> Table:
    rows = []
    for model, entries in groups:
        whole = entries[0][1]
        for name, entry in entries:
            kind = "best" if name == WHOLE else ""
            cells = pruning_cells(entry, whole)
            rows.append(Row([f"{model}, {name}", *cells.values()], kind))
    return Table(["model", *cells], rows)


def _plot(groups: Iterable[tuple[str, Entries]]) -> go.Figure:
    figure = go.Figure()
    for place, (model, entries) in enumerate(groups):
        shown = [(n, e) for n, e in entries if e.get("test_log_loss") is not None]
        figure.add_trace(
            go.Scatter(
                x=[entry["mflops"] for _, entry in shown],
                y=[entry["test_log_loss"] for _, entry in shown],
                text=[name for name, _ in shown],
                mode="markers+text",
                textposition="top center",
                cliponaxis=False,
                name=model,
                marker={"size": 10, "color": PALETTE[place % len(PALETTE)]},
            )
        )
    figure.update_layout(xaxis_title=LABELS["mflops"], yaxis_title="test log loss")
    figure.update_xaxes(rangemode="tozero")
    return styled(figure, height=340)
