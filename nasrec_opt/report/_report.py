"""One self-contained HTML page about a run: no network, one file to send."""

from __future__ import annotations

import html
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from nasrec_opt import __version__
from nasrec_opt._files import atomic_write
from nasrec_opt._metrics import COST, LABELS, SHAPE, definitions
from nasrec_opt.report._drawing import drawing_svg
from nasrec_opt.report._figures import (
    breakdown_figure,
    history_figure,
    importance_figure,
    pareto_figure,
    summary_of,
)
from nasrec_opt.report._records import StudyRecord, TrialRecord, read_study
from nasrec_opt.space import Genotype

MOST_ROWS = 25  # of the table of searched models
MOST_DRAWINGS = 4

STYLE = """
:root { color-scheme: light; --line: #dfe3e8; --soft: #f6f8fa; --text: #1b1f24; --mute: #59636e; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 2rem 1.5rem 4rem; color: var(--text);
  background: #fff; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.6rem 0 .4rem; }
p { margin: .3rem 0 .8rem; } .lead { font-size: 1.08rem; } .mute { color: var(--mute); }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.card { border: 1px solid var(--line); border-radius: 10px; padding: .7rem 1rem; min-width: 9.5rem;
  background: var(--soft); } .card b { display: block; font-size: 1.35rem; }
.card span { color: var(--mute); font-size: .86rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { padding: .42rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
td.text { white-space: normal; min-width: 16rem; color: var(--mute); font-size: .82rem; }
thead th { background: var(--soft); position: sticky; top: 0; }
tr.best td { background: #eef7ee; font-weight: 600; } tr.base td { color: var(--mute); }
.models { display: grid; grid-template-columns: repeat(auto-fit, minmax(430px, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 10px; padding: .6rem; }
figure svg { width: 100%; height: auto; } figcaption { font-size: .9rem; padding: .2rem .4rem; }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; } }
"""


def write_report(
    path: Path | str,
    *,
    study: optuna.Study,
    results: Mapping[str, Any] | None = None,
    dataset_summary: Mapping[str, Any] | None = None,
    stages: Mapping[str, float] | None = None,
    title: str | None = None,
) -> None:
    """Write the report of a study.

    Args:
        path: The HTML file; it appears whole or not at all.
        study: Trials with the attributes that `Objective` sets.
        results: What `retrained/results.json` holds.
        dataset_summary: `source`, `fingerprint`, `rows`, `num_dense`, `num_sparse`, and where known
            `bayes_log_loss`.
        stages: Wall time of each stage, s.
        title: Of the page; nothing = the study's name.

    Raises:
        StudyError: The study has no complete trial.
    """
    record = read_study(study)
    results, data = results or {}, dataset_summary or {}
    best = record.front_trials[:MOST_DRAWINGS]
    sections = [
        _headline(title or record.name, record, results, data),
        _figure("Pareto front", _pareto_text(record), pareto_figure(record), "pareto"),
        _retrained(results),
        _models(results, best),
        _searched(record),
        _figure(
            "Where time and energy go",
            "Latency on the critical path of one sample, by operator, for the best of the front.",
            breakdown_figure(best, "latency_us"),
            "latency",
        ),
        _figure("", "", breakdown_figure(best, "energy_uj"), "energy"),
        _figure("History", "", history_figure(record), "history"),
        _importances(study),
        _facts(record, data, stages or {}),
    ]
    page = _page(title or record.name, "\n".join(sections))
    with atomic_write(path) as stream:
        stream.write(page)


def _page(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{html.escape(title)} - nasrec-opt</title>
<style>{STYLE}</style>
<script>{get_plotlyjs()}</script>
</head>
<body>
{body}
</body>
</html>
"""


def _headline(
    title: str, record: StudyRecord, results: Mapping[str, Any], data: Mapping[str, Any]
) -> str:
    source = Path(str(data.get("source", "a click log"))).name
    metrics = ", ".join(LABELS.get(name, name) for name in record.metric_names)
    lead = f"{len(record.trials):,} architectures scored on {metrics}; data: {source}."
    cards = [
        (f"{len(record.trials):,}", "trials"),
        (f"{len(record.front):,}", "on the Pareto front"),
    ]
    feasible = record.values[record.is_feasible, 0]
    if len(feasible):
        name = LABELS.get(record.metric_names[0], record.metric_names[0])
        cards.append((_number(float(feasible.min())), f"best searched {name}"))
    models = results.get("models") or []
    if models:
        model = models[0]
        cards.append((f"{model['test_log_loss']:.4f}", "test log loss, best retrained model"))
        baseline = results.get("baselines", {}).get("logistic_regression")
        if baseline is not None:
            cards.append((f"{baseline:.4f}", "test log loss, logistic regression"))
            lead += f" Logistic regression reaches a test log loss of {baseline:.4f}."
            difference = baseline - model["test_log_loss"]
            verb = "below" if difference > 0 else "above"
            lead += (
                f" The best retrained model is {abs(difference):.4f} {verb} logistic regression."
            )
    shown = "".join(
        f"<div class=card><b>{html.escape(b)}</b><span>{html.escape(s)}</span></div>"
        for b, s in cards
    )
    return (
        f"<h1>{html.escape(title)}</h1><p class=lead>{html.escape(lead)}</p>"
        f"<div class=cards>{shown}</div>"
    )


def _pareto_text(record: StudyRecord) -> str:
    if len(record.metric_names) == 1:
        return "One objective: the history of the search."
    return "Every point is an architecture; coloured ones are on the front. Hover for details."


def _figure(heading: str, text: str, figure: go.Figure | None, name: str) -> str:
    if figure is None:
        return ""
    drawn = figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=name, config={"displaylogo": False}
    )
    return (f"<h2>{heading}</h2>" if heading else "") + (f"<p>{text}</p>" if text else "") + drawn


def _retrained(results: Mapping[str, Any]) -> str:
    """Test log loss of the retrained models beside the baselines."""
    models = results.get("models") or []
    if not models:
        return ""
    baselines = results.get("baselines", {})
    names = {"constant": "constant click rate", "logistic_regression": "logistic regression"}
    figures = (*SHAPE, *COST)
    empty = [""] * (2 + len(figures))
    rows = [
        _row([names.get(name, name), _number(value), *empty], "base")
        for name, value in baselines.items()
    ]
    if results.get("bayes") is not None:
        rows.append(_row(["Bayes (true probabilities)", _number(results["bayes"]), *empty], "base"))
    for place, model in enumerate(models):
        cells = [f"model {place + 1} (trial {model.get('trial', '-')})"]
        cells += [_number(model.get(key)) for key in ("test_log_loss", "test_auc")]
        cells.append(_number(model.get("validation_log_loss")))
        cells += [_number(model.get(metric.name)) for metric in figures]
        rows.append(_row(cells, "best" if place == 0 else ""))
    heads = ["", "test log loss", "test AUC", "validation log loss"]
    heads += [metric.label for metric in figures]
    return (
        "<h2>Retrained models and baselines</h2><p>Trained from scratch; the first is the best on "
        "validation rows.</p>" + _table(heads, rows) + _meanings()
    )


def _meanings() -> str:
    """What the columns of a table of models count."""
    return f"<p class=mute>{html.escape(definitions(*(metric.name for metric in SHAPE)))}</p>"


def _models(results: Mapping[str, Any], best: Sequence[TrialRecord]) -> str:
    """Drawings of the retrained models, or of the best searched ones."""
    drawn = []
    for place, model in enumerate((results.get("models") or [])[:MOST_DRAWINGS], start=1):
        genotype = Genotype.from_dict(model["genotype"])
        caption = f"model {place}: test log loss {_number(model['test_log_loss'])}"
        drawn.append((genotype, caption))
    if not drawn:
        drawn = [
            (trial.genotype, f"trial {trial.number}: {_number(trial.values[0])}")
            for trial in best
            if trial.genotype is not None
        ]
    if not drawn:
        return ""
    figures = "".join(
        f"<figure>{drawing_svg(genotype)}<figcaption>{html.escape(caption)}</figcaption></figure>"
        for genotype, caption in drawn
    )
    return (
        "<h2>Best models</h2><p>Dense branch in blue, sparse branch in red; striped parts do not "
        f"reach the logit.</p><div class=models>{figures}</div>"
    )


def _searched(record: StudyRecord) -> str:
    """The front as a table."""
    trials = record.front_trials[:MOST_ROWS]
    rows = []
    for trial in trials:
        figures = trial.figures
        cells = [f"trial {trial.number}"]
        cells += [_number(figures.get(key)) for key in LABELS]
        cells.append("" if trial.genotype is None else summary_of(trial.genotype))
        rows.append(_row(cells, "" if trial.is_feasible else "base", last_is_text=True))
    heads = ["", *LABELS.values(), "blocks"]
    more = len(record.front) - len(trials)
    text = f"As the search scored them, best {LABELS.get(record.metric_names[0], 'value')} first"
    text += f"; {more} more are not shown." if more > 0 else "."
    return f"<h2>Models on the front</h2><p>{text}</p>" + _table(heads, rows) + _meanings()


def _importances(study: optuna.Study) -> str:
    figure = importance_figure(study)
    if figure is None:
        return (
            "<h2>Hyperparameter importances</h2><p class=mute>Too few trials, or no parameter that "
            "all of them share.</p>"
        )
    text = "Which choices separate good trials from the rest (PED-ANOVA)."
    return _figure("Hyperparameter importances", text, figure, "importances")


def _facts(record: StudyRecord, data: Mapping[str, Any], stages: Mapping[str, float]) -> str:
    facts = [("trials", ", ".join(f"{count} {state}" for state, count in record.states.items()))]
    if record.failures:
        facts.append(("failed", record.failures))
    if data.get("rows"):
        facts.append(("rows", ", ".join(f"{n:,} {name}" for name, n in data["rows"].items())))
    for key in ("source", "num_dense", "num_sparse", "fingerprint"):
        if key in data:
            facts.append((key.replace("num_", "").replace("_", " "), str(data[key])))
    facts += [(f"stage {name}", f"{seconds:.1f} s") for name, seconds in stages.items()]
    facts.append(
        (
            "versions",
            f"nasrec-opt {__version__}, Optuna {optuna.__version__}, Python "
            f"{platform.python_version()}",
        )
    )
    rows = [
        f"<tr><td>{html.escape(name)}</td><td class=text>{html.escape(value)}</td></tr>"
        for name, value in facts
    ]
    return f"<h2>Run</h2><div class=wide><table>{''.join(rows)}</table></div>"


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join(rows)
    return (
        f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(cells: Sequence[str], kind: str = "", *, last_is_text: bool = False) -> str:
    shown = []
    for i, cell in enumerate(cells):
        is_text = last_is_text and i == len(cells) - 1
        shown.append(f"<td{' class=text' if is_text else ''}>{html.escape(cell)}</td>")
    return f"<tr class='{kind}'>{''.join(shown)}</tr>"


def _number(value: Any) -> str:
    """Four digits behind the point below 10, thousands with commas."""
    if value is None:
        return "-"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"
