"""One page that holds the searches of a run folder against each other."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from nasrec_opt._files import atomic_write
from nasrec_opt._metrics import LABELS
from nasrec_opt.report._figures import PALETTE, styled
from nasrec_opt.report._html import figure_section, number, page
from nasrec_opt.report._records import StudyRecord, hypervolume_history
from nasrec_opt.report._winner import name_of_winner, winner, winner_in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search of a folder.

    Args:
        record: Its trials.
        proposer: Who proposed them.
        results: What its `results.json` holds; empty where nothing was retrained.
        link: Its report, relative to the page; empty where there is none.
    """

    record: StudyRecord
    proposer: str
    results: Mapping[str, Any]
    link: str

    @property
    def winner(self) -> dict[str, Any] | None:
        """What it recommends: its best retrained model, or a baseline."""
        return winner(self.results)

    @property
    def best_retrained(self) -> float | None:
        """Test log loss of the retrained model that is best on validation rows."""
        models = self.results.get("models") or []
        return float(models[0]["test_log_loss"]) if models else None


def write_comparison(path: Path | str, searches: Sequence[Search], title: str) -> None:
    """Write the page.

    Hypervolume is the share of the box that the trials of all searches with the same objectives
    span, so that it can be compared between them.

    Args:
        path: The HTML file; it appears whole or not at all.
        searches: In their order on the page.
        title: Of the page.
    """
    groups: dict[tuple[str, ...], list[Search]] = {}
    for search in searches:
        groups.setdefault(search.record.metric_names, []).append(search)
    parts = [f"<h1>{html.escape(title)}</h1><p class=lead>{len(searches)} searches.</p>"]
    for place, (names, group) in enumerate(groups.items()):
        labels = ", ".join(LABELS.get(name, name) for name in names)
        volumes = _hypervolumes([search.record for search in group])
        parts.append(f"<h2>Minimised: {html.escape(labels)}</h2>" + _table(group, volumes))
        parts.append(_winners(group))
        best = [(_best(search.record), search.record.name) for search in group]
        label = LABELS.get(names[0], names[0])
        parts.append(
            figure_section(f"Best {label} so far", "", _lines(best, label), f"best-{place}")
        )
        if len(names) > 1:
            shares = list(zip(volumes, (search.record.name for search in group), strict=True))
            text = "Share of the box between the best and the worst value of any search here."
            drawn = _lines(shares, "hypervolume")
            parts.append(figure_section("Hypervolume so far", text, drawn, f"hypervolume-{place}"))
    with atomic_write(path) as stream:
        stream.write(page(title, "\n".join(parts)))


def _table(group: Sequence[Search], volumes: Sequence[npt.NDArray[np.float64]]) -> str:
    first = group[0].record.metric_names[0]
    heads = ["search", "proposed by", "trials", "on the front"]
    heads += [f"best {LABELS.get(first, first)}, searched", "hypervolume"]
    heads += ["test log loss, best retrained", "models retrained"]
    heads += ["winner", "its validation log loss", "its test log loss"]
    rows = []
    for search, volume in zip(group, volumes, strict=True):
        record = search.record
        name = html.escape(record.name)
        best, won = _best(record)[-1], search.winner or {}
        cells = [
            f"<a href='{html.escape(search.link, quote=True)}'>{name}</a>" if search.link else name,
            html.escape(search.proposer),
            f"{len(record.trials):,}",
            f"{len(record.front):,}",
            number(None if np.isnan(best) else float(best)),
            number(float(volume[-1])) if len(record.metric_names) > 1 else "-",
            number(search.best_retrained),
            f"{len(search.results.get('models') or []):,}",
            html.escape(name_of_winner(search.results)),
            number(won.get("validation_log_loss")),
            number(won.get("test_log_loss")),
        ]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<div class=wide>{table}</div>"


def _winners(group: Sequence[Search]) -> str:
    """A sentence on the winner of each search that has one."""
    lines = [
        f"<li>{html.escape(search.record.name)}: {html.escape(sentence)}</li>"
        for search in group
        for sentence in winner_in_words(search.results)
    ]
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def _hypervolumes(records: Sequence[StudyRecord]) -> list[npt.NDArray[np.float64]]:
    """The hypervolume so far of each search, `[trials]`, all on one scale."""
    values = np.concatenate([record.values for record in records])
    box = values.min(axis=0), values.max(axis=0)
    return [hypervolume_history(r.values, r.is_feasible, box=box) for r in records]


def _best(record: StudyRecord) -> npt.NDArray[np.float64]:
    """The least first objective so far, NaN until a trial keeps the constraints, `[trials]`."""
    best = np.minimum.accumulate(np.where(record.is_feasible, record.values[:, 0], np.inf))
    return np.where(np.isinf(best), np.nan, best)


def _lines(lines: Sequence[tuple[npt.NDArray[np.float64], str]], label: str) -> go.Figure:
    """One line a search, over the number of its complete trials."""
    figure = go.Figure()
    for place, (values, name) in enumerate(lines):
        colour = PALETTE[place % len(PALETTE)]
        trials = np.arange(1, len(values) + 1)
        figure.add_trace(
            go.Scatter(x=trials, y=values, mode="lines", name=name, line={"color": colour})
        )
    figure.update_layout(xaxis_title="complete trials", yaxis_title=label)
    return styled(figure, height=380)
