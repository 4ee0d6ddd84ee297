"""One page that compares the searches of a run folder."""

from __future__ import annotations

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
from nasrec_opt.report._html import Row, Table, number, render
from nasrec_opt.report._records import StudyRecord, hypervolume_history
from nasrec_opt.report._winner import name_of_winner, winner, winner_in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search of a folder.

    Args:
        record: Its trials.
        proposer: Name of what proposed them.
        results: Contents of its `results.json`; empty if no model was retrained.
        link: Its report, relative to the page; empty if there is none.
    """

    record: StudyRecord
    proposer: str
    results: Mapping[str, Any]
    link: str

    @property
    def winner(self) -> dict[str, Any] | None:
        """The winner of the search: its best retrained model, its ensemble, or a baseline."""
        return winner(self.results)

    @property
    def best_retrained(self) -> float | None:
        """Test log loss of the retrained model that is best on validation rows."""
        models = self.results.get("models") or []
        return float(models[0]["test_log_loss"]) if models else None


def write_comparison(path: Path | str, searches: Sequence[Search], title: str) -> None:
    """Write the page.

    Hypervolume is a share of the box spanned by the trials of all searches with the same
    objectives, so it can be compared between them.

    Args:
        path: The HTML file; it appears whole or not at all.
        searches: The searches, in their order on the page.
        title: Title of the page.
    """
    groups: dict[tuple[str, ...], list[Search]] = {}
    for search in searches:
        groups.setdefault(search.record.metric_names, []).append(search)
    page = render(
        "comparison.html",
        title=title,
        num_searches=len(searches),
        groups=[_group(names, group) for names, group in groups.items()],
    )
    with atomic_write(path) as stream:
        stream.write(page)


def _group(names: Sequence[str], group: Sequence[Search]) -> dict[str, Any]:
    """The part of the page on searches with the same objectives."""
    labels = [LABELS.get(name, name) for name in names]
    volumes = _hypervolumes([search.record for search in group])
    titles = [search.record.name for search in group]
    best = [_best(search.record) for search in group]
    return {
        "labels": labels,
        "table": _table(group, volumes),
        "winners": [
            f"{search.record.name}: {sentence}"
            for search in group
            for sentence in winner_in_words(search.results)
        ],
        "best": _lines(best, titles, labels[0]),
        "hypervolume": _lines(volumes, titles, "hypervolume") if len(names) > 1 else None,
    }


def _table(group: Sequence[Search], volumes: Sequence[npt.NDArray[np.float64]]) -> Table:
    first = group[0].record.metric_names[0]
    heads = ["search", "proposed by", "trials", "on the front"]
    heads += [f"best {LABELS.get(first, first)}, searched", "hypervolume"]
    heads += ["test log loss, best retrained", "models retrained"]
    heads += ["winner", "its validation log loss", "its test log loss"]
    rows = []
    for search, volume in zip(group, volumes, strict=True):
        record = search.record
        best, won = _best(record)[-1], search.winner or {}
        cells = [
            record.name,
            search.proposer,
            f"{len(record.trials):,}",
            f"{len(record.front):,}",
            number(None if np.isnan(best) else float(best)),
            number(float(volume[-1])) if len(record.metric_names) > 1 else "-",
            number(search.best_retrained),
            f"{len(search.results.get('models') or []):,}",
            name_of_winner(search.results),
            number(won.get("validation_log_loss")),
            number(won.get("test_log_loss")),
        ]
        rows.append(Row(cells, link=search.link))
    return Table(heads, rows)


def _hypervolumes(records: Sequence[StudyRecord]) -> list[npt.NDArray[np.float64]]:
    """The hypervolume so far of each search, `[trials]`, all on one scale."""
    values = np.concatenate([record.values for record in records])
    box = values.min(axis=0), values.max(axis=0)
    return [hypervolume_history(r.values, r.is_feasible, box=box) for r in records]


def _best(record: StudyRecord) -> npt.NDArray[np.float64]:
    """The lowest first objective so far, NaN until a trial meets the constraints, `[trials]`."""
    best = np.minimum.accumulate(np.where(record.is_feasible, record.values[:, 0], np.inf))
    return np.where(np.isinf(best), np.nan, best)


def _lines(lines: Sequence[npt.NDArray[np.float64]], names: Sequence[str], label: str) -> go.Figure:
    """One line a search, over the number of its complete trials."""
    figure = go.Figure()
    for place, (values, name) in enumerate(zip(lines, names, strict=True)):
        colour = PALETTE[place % len(PALETTE)]
        trials = np.arange(1, len(values) + 1)
        figure.add_trace(
            go.Scatter(x=trials, y=values, mode="lines", name=name, line={"color": colour})
        )
    figure.update_layout(xaxis_title="complete trials", yaxis_title=label)
    return styled(figure, height=380)
