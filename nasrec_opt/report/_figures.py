"""The interactive figures of the report."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt._metrics import LABELS
from nasrec_opt.report._places import with_hashable_choices
from nasrec_opt.report._records import (
    StudyRecord,
    TrialRecord,
    hypervolume_history,
    metric_names_of,
)
from nasrec_opt.space import Genotype, liveness

PALETTE = ("#1f5fa8", "#b03030", "#2b8a3e", "#e67700", "#862e9c", "#0b7285", "#a61e4d", "#5c940d")
LEAST_TRIALS = 20  # below this many, importances are noise
MOST_IMPORTANT = 15  # of the 53 parameters of nasrec_full; bars of all would be unreadable
GREY = "rgba(130,130,130,0.45)"


def pareto_figure(record: StudyRecord) -> go.Figure:
    """All trials over two objectives, the third as colour; the front stands out.

    With three objectives a button turns it into a 3-D view.
    """
    names, values = record.metric_names, record.values
    if len(names) == 1:
        return history_figure(record)
    on_front = np.array([trial.number in record.front for trial in record.trials])
    texts = [_hover(trial, names) for trial in record.trials]
    horizontal = 1
    figure = go.Figure()
    for is_front, label in ((False, "other trials"), (True, "Pareto front")):
        chosen = np.flatnonzero(on_front == is_front)
        marker: dict[str, Any] = {"size": 9 if is_front else 6, "color": GREY}
        if is_front:
            marker |= {"line": {"width": 1, "color": "#222"}}
            third = values[chosen, 2] if len(names) > 2 else values[chosen, 0]
            title = _label(names[2] if len(names) > 2 else names[0])
            marker |= {"color": third, "colorscale": "Viridis", "showscale": True}
            marker |= {"colorbar": {"title": {"text": title}}}
        figure.add_trace(
            go.Scatter(
                x=values[chosen, horizontal],
                y=values[chosen, 0],
                mode="markers",
                name=label,
                marker=marker,
                text=[texts[i] for i in chosen],
                customdata=[record.trials[i].number for i in chosen],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    if len(names) > 2:
        _add_three_dimensions(figure, record, on_front, texts)
    figure.update_layout(
        xaxis_title=_label(names[horizontal]),
        yaxis_title=_label(names[0]),
        legend={"orientation": "h", "y": 1.08},
    )
    return styled(figure, height=520)


def history_figure(record: StudyRecord) -> go.Figure:
    """First objective of every trial, the best so far, and the hypervolume so far."""
    values = record.values
    numbers = [trial.number for trial in record.trials]
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=numbers,
            y=values[:, 0],
            mode="markers",
            name="trial",
            marker={"size": 5, "color": GREY},
            text=[_hover(trial, record.metric_names) for trial in record.trials],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    best = np.minimum.accumulate(np.where(record.is_feasible, values[:, 0], np.inf))
    best = np.where(np.isinf(best), np.nan, best)  # a gap until a trial meets the constraints
    figure.add_trace(
        go.Scatter(x=numbers, y=best, mode="lines", name="best so far", line={"color": PALETTE[0]})
    )
    if values.shape[1] > 1:
        figure.add_trace(
            go.Scatter(
                x=numbers,
                y=hypervolume_history(values, record.is_feasible),
                mode="lines",
                name="hypervolume so far (share)",
                yaxis="y2",
                line={"color": PALETTE[1], "dash": "dot"},
            )
        )
        figure.update_layout(
            yaxis2={"title": "hypervolume", "overlaying": "y", "side": "right", "range": [0, 1]}
        )
    figure.update_layout(
        xaxis_title="trial",
        yaxis_title=_label(record.metric_names[0]),
        legend={"orientation": "h", "y": 1.12},
    )
    return styled(figure, height=380)


def importance_figure(study: optuna.Study) -> go.Figure | None:
    """The parameters that matter most, and how much for each objective.

    Args:
        study: Any study.

    Returns:
        Bars for the `MOST_IMPORTANT` parameters; None with fewer complete trials than
        `LEAST_TRIALS`, or if no parameter is in all of them.
    """
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < LEAST_TRIALS:
        return None
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    columns: dict[str, dict[str, float]] = {}
    searched = with_hashable_choices(study)
    for i, name in enumerate(metric_names_of(study)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # low values are the goal
                columns[name] = optuna.importance.get_param_importances(
                    searched, evaluator=evaluator, target=_objective(i)
                )
        except (ValueError, RuntimeError):  # no parameter is in every trial, or none varies
            continue
    if not columns:
        return None
    totals: dict[str, float] = {}
    for column in columns.values():
        for parameter, value in column.items():
            totals[parameter] = totals.get(parameter, 0.0) + value
    shown = sorted(totals, key=lambda p: totals[p])[-MOST_IMPORTANT:]
    figure = go.Figure(
        [
            go.Bar(
                y=shown,
                x=[column.get(p, 0.0) for p in shown],
                name=_label(name),
                orientation="h",
                marker_color=PALETTE[i % len(PALETTE)],
            )
            for i, (name, column) in enumerate(columns.items())
        ]
    )
    figure.update_layout(barmode="group", xaxis_title="importance (share)")
    figure.update_layout(legend={"orientation": "h", "y": 1.08})
    return styled(figure, height=120 + 32 * len(shown))


def _objective(number: int) -> Callable[[FrozenTrial], float]:
    """Read one objective of a trial."""
    return lambda trial: trial.values[number]


def breakdown_figure(trials: Sequence[TrialRecord], metric: str) -> go.Figure | None:
    """Latency or energy of some trials by operator, as stacked bars."""
    shown = [trial for trial in trials if trial.breakdown.get(metric)]
    if not shown:
        return None
    operators = sorted({name for trial in shown for name in trial.breakdown[metric]})
    figure = go.Figure(
        [
            go.Bar(
                x=[f"trial {trial.number}" for trial in shown],
                y=[trial.breakdown[metric].get(operator, 0.0) for trial in shown],
                name=operator,
                marker_color=PALETTE[i % len(PALETTE)],
            )
            for i, operator in enumerate(operators)
        ]
    )
    figure.update_layout(barmode="stack", yaxis_title=_label(metric))
    return styled(figure, height=360)


def summary_of(genotype: Genotype) -> str:
    """A genotype in one line: live operators and widths, block by block, and the first order."""
    parts = []
    for number, (gene, live) in enumerate(
        zip(genotype.blocks, liveness(genotype), strict=True), start=1
    ):
        ops = []
        if live.dense_pre:
            ops.append(f"{'+'.join(gene.dense_ops)} {gene.dense_width}")
        if live.sparse_pre:
            ops.append(f"{'+'.join(gene.sparse_ops)} {gene.sparse_width}")
        if ops:
            parts.append(f"{number}: {', '.join(ops)}")
    return " · ".join([*parts, "first order"] if genotype.wide else parts)


def _add_three_dimensions(
    figure: go.Figure, record: StudyRecord, on_front: np.ndarray, texts: list[str]
) -> None:
    names, values = record.metric_names, record.values
    figure.add_trace(
        go.Scatter3d(
            x=values[:, 1],
            y=values[:, 2],
            z=values[:, 0],
            mode="markers",
            name="all trials",
            visible=False,
            marker={
                "size": np.where(on_front, 5, 2.5),
                "color": np.where(on_front, "#b03030", "#999999"),
            },
            text=texts,
            hovertemplate="%{text}<extra></extra>",
        )
    )
    figure.update_layout(
        scene={
            "xaxis_title": _label(names[1]),
            "yaxis_title": _label(names[2]),
            "zaxis_title": _label(names[0]),
        },
        updatemenus=[
            {
                "type": "buttons",
                "direction": "left",
                "x": 0.6,
                "xanchor": "center",
                "y": 1.14,
                "buttons": [
                    {"label": label, "method": "update", "args": [{"visible": visible}]}
                    for label, visible in (
                        ("2-D", [True, True, False]),
                        ("3-D", [False, False, True]),
                    )
                ],
            }
        ],
    )


def _hover(trial: TrialRecord, names: Sequence[str]) -> str:
    lines = [f"<b>trial {trial.number}</b>"]
    lines += [f"{_label(n)}: {v:.5g}" for n, v in zip(names, trial.values, strict=True)]
    if trial.num_rows is not None:
        error = "" if trial.log_loss_se is None else f"± {trial.log_loss_se:.2g} "
        lines.append(f"{_label('log_loss')}: {error}from {trial.num_rows:,} rows")
    if trial.genotype is not None:
        lines += summary_of(trial.genotype).split(" · ")
    return "<br>".join(lines)


def _label(name: str) -> str:
    return LABELS.get(name, name)


def styled(figure: go.Figure, *, height: int) -> go.Figure:
    """The figure in the style of the pages."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 70, "r": 30, "t": 50, "b": 55},
        font={"family": "system-ui, sans-serif", "size": 13},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": GREY},  # else the background is black
    )
    return figure
