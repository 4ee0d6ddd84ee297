"""One self-contained HTML page about a run: no network, one file to send."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna

from nasrec_opt._files import atomic_write
from nasrec_opt._metrics import LABELS
from nasrec_opt.report._differences import figures_of
from nasrec_opt.report._drawing import drawing_svg
from nasrec_opt.report._facts import facts_section
from nasrec_opt.report._figures import (
    breakdown_figure,
    history_figure,
    importance_figure,
    pareto_figure,
    summary_of,
)
from nasrec_opt.report._html import figure_section, number, page, row, table
from nasrec_opt.report._ladder import expectation_in_words, ladder_section
from nasrec_opt.report._records import StudyRecord, TrialRecord, read_study
from nasrec_opt.report._retrained import RETRAINED, meanings, retrained_section, searched_as
from nasrec_opt.report._winner import winner_in_words
from nasrec_opt.report._words import comparisons, is_behind
from nasrec_opt.space import Genotype

MOST_ROWS = 25  # of the table of searched models
MOST_DRAWINGS = 4


def write_report(
    path: Path | str,
    *,
    study: optuna.Study,
    results: Mapping[str, Any] | None = None,
    dataset_summary: Mapping[str, Any] | None = None,
    facts: Mapping[str, str] | None = None,
    stages: Mapping[str, float] | None = None,
    title: str | None = None,
    proposer: str | None = None,
) -> None:
    """Write the report of a study.

    Args:
        path: The HTML file; it appears whole or not at all.
        study: Trials with the attributes that `Objective` sets.
        results: What `retrained/results.json` holds.
        dataset_summary: `source`, `fingerprint`, `rows`, `num_dense`, `num_sparse`, and where known
            `bayes_log_loss`.
        facts: What else the run was: sampler, seed, fidelity and so on, as text by name.
        stages: Wall time of each stage, s, in their order.
        title: Of the page; None means the study's name.
        proposer: Who proposed the trials, such as `evolution`.

    Raises:
        StudyError: The study has no complete trial.
    """
    record = read_study(study)
    results, data = results or {}, dataset_summary or {}
    searched = searched_as(facts or {})
    best = record.front_trials[:MOST_DRAWINGS]
    sections = [
        _headline(title or record.name, record, results, data, searched, proposer),
        figure_section("Pareto front", _pareto_text(record), pareto_figure(record), "pareto"),
        retrained_section(results),
        ladder_section(results),
        _models(results, best),
        _searched(record, searched),
        figure_section(
            "Where time and energy go",
            "Latency on the critical path of one sample, by operator, for the best of the front.",
            breakdown_figure(best, "latency_us"),
            "latency",
        ),
        figure_section("", "", breakdown_figure(best, "energy_uj"), "energy"),
        figure_section("History", "", history_figure(record), "history"),
        _importances(study),
        facts_section(record, data, facts or {}, stages or {}),
    ]
    with atomic_write(path) as stream:
        stream.write(page(title or record.name, "\n".join(sections)))


def _headline(
    title: str,
    record: StudyRecord,
    results: Mapping[str, Any],
    data: Mapping[str, Any],
    searched: str,
    proposer: str | None,
) -> str:
    source = Path(str(data.get("source", "a click log"))).name
    metrics = ", ".join(LABELS.get(name, name) for name in record.metric_names)
    origin = f" proposed by {proposer}," if proposer else ""
    lead = f"{len(record.trials):,} architectures{origin} scored on {metrics}; data: {source}."
    cards = [
        (f"{len(record.trials):,}", "scored architectures"),
        (f"{len(record.front):,}", "on the Pareto front"),
    ]
    feasible = record.values[record.is_feasible, 0]
    if len(feasible):
        name = LABELS.get(record.metric_names[0], record.metric_names[0])
        of = f" ({searched})" if record.metric_names[0] == "log_loss" else ""
        cards.append((number(float(feasible.min())), f"best searched {name}{of}"))
    models = results.get("models") or []
    if models:
        of = f"({RETRAINED})"
        cards.append((number(models[0]["test_log_loss"]), f"log loss of the best model {of}"))
        together = results.get("ensemble")
        if together:
            averaged = f"log loss of {len(together['members'])} models averaged {of}"
            cards.append((number(together["test_log_loss"]), averaged))
        baseline = (results.get("baselines") or {}).get("logistic_regression")
        if baseline is not None:
            loss = figures_of(baseline)["test_log_loss"]
            cards.append((number(loss), "log loss of logistic regression (test rows)"))
    shown = "".join(
        f"<div class=card><b>{html.escape(b)}</b><span>{html.escape(s)}</span></div>"
        for b, s in cards
    )
    kind = "verdict behind" if is_behind(results) else "verdict"
    verdict = " ".join(
        [*winner_in_words(results), *comparisons(results), *expectation_in_words(results)]
    )
    return (
        f"<h1>{html.escape(title)}</h1><p class=lead>{html.escape(lead)}</p>"
        + (f"<p class='{kind}'>{html.escape(verdict)}</p>" if verdict else "")
        + f"<div class=cards>{shown}</div>"
    )


def _pareto_text(record: StudyRecord) -> str:
    if len(record.metric_names) == 1:
        return "One objective: the history of the search."
    return "Every point is an architecture; coloured ones are on the front. Hover for details."


def _models(results: Mapping[str, Any], best: Sequence[TrialRecord]) -> str:
    """Drawings of the retrained models, or of the best searched ones."""
    drawn = []
    for place, model in enumerate((results.get("models") or [])[:MOST_DRAWINGS], start=1):
        genotype = Genotype.from_dict(model["genotype"])
        caption = f"model {place}: test log loss {number(model['test_log_loss'])}"
        drawn.append((genotype, caption))
    if not drawn:
        drawn = [
            (trial.genotype, f"trial {trial.number}: {number(trial.values[0])}")
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


def _searched(record: StudyRecord, searched: str) -> str:
    """The front as a table."""
    trials = record.front_trials[:MOST_ROWS]
    rows = []
    for trial in trials:
        figures = trial.figures
        cells = [f"trial {trial.number}"]
        cells += [number(figures.get(key)) for key in LABELS]
        cells.append("" if trial.genotype is None else summary_of(trial.genotype))
        rows.append(row(cells, "" if trial.is_feasible else "base", last_is_text=True))
    heads = ["", *LABELS.values(), "blocks"]
    more = len(record.front) - len(trials)
    text = f"As the search scored them, best {LABELS.get(record.metric_names[0], 'value')} first"
    text += f"; {more} more are not shown. " if more > 0 else ". "
    text += (
        f"Log loss and AUC are measured on {searched}, and are not to be compared with those of "
        "the retrained models."
    )
    return f"<h2>Models on the front</h2><p>{text}</p>" + table(heads, rows) + meanings()


def _importances(study: optuna.Study) -> str:
    figure = importance_figure(study)
    if figure is None:
        return (
            "<h2>Hyperparameter importances</h2><p class=mute>Too few trials, or no parameter that "
            "all of them share.</p>"
        )
    text = "Which choices separate good trials from the rest (PED-ANOVA)."
    return figure_section("Hyperparameter importances", text, figure, "importances")
