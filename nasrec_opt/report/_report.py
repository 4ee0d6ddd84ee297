"""One self-contained HTML page about a run: no network, one file to send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna

from nasrec_opt._files import atomic_write
from nasrec_opt._metrics import LABELS
from nasrec_opt.report._averaged import averaged_in_words
from nasrec_opt.report._differences import figures_of
from nasrec_opt.report._drawing import drawing_svg
from nasrec_opt.report._facts import facts_of_page
from nasrec_opt.report._figures import (
    breakdown_figure,
    history_figure,
    importance_figure,
    pareto_figure,
    summary_of,
)
from nasrec_opt.report._html import Row, Table, number, render
from nasrec_opt.report._ladder import expectation_in_words, ladder_in_words, ladder_table
from nasrec_opt.report._model_table import NOTE, ModelRow, model_table
from nasrec_opt.report._motifs import motif_table, space_of
from nasrec_opt.report._pruned import PRUNING_NOTE, pruned
from nasrec_opt.report._records import StudyRecord, TrialRecord, read_study
from nasrec_opt.report._retrained import RETRAINED, meanings, retrained, searched_as
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
    comparison: Sequence[ModelRow] = (),
    prunings: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the report of a study.

    Args:
        path: The HTML file; it appears whole or not at all.
        study: Trials with the attributes that `Objective` sets.
        results: Contents of `retrained/results.json`.
        dataset_summary: `source`, `fingerprint`, `rows`, `num_dense`, `num_sparse`, and where known
            `bayes_log_loss`.
        facts: Other facts of the run, such as sampler, seed and fidelity, as text by name.
        stages: Wall time of each stage, s, in their order.
        title: Title of the page; None means the study's name.
        proposer: What proposed the trials, such as `evolution`.
        comparison: All trained models, the best first; empty leaves the table out.
        prunings: Contents of `results.json` of each pruning of a model.

    Raises:
        StudyError: The study has no complete trial.
    """
    record = read_study(study)
    results, data = results or {}, dataset_summary or {}
    searched = searched_as(facts or {})
    best = record.front_trials[:MOST_DRAWINGS]
    ladder = results.get("ladder")
    page = render(
        "report.html",
        title=title or record.name,
        lead=_lead(record, data, proposer),
        verdict=" ".join(
            [*winner_in_words(results), *comparisons(results), *expectation_in_words(results)]
        ),
        is_behind=is_behind(results),
        cards=_cards(record, results, searched),
        num_objectives=len(record.metric_names),
        pareto=pareto_figure(record),
        retrained=retrained(results),
        comparison=model_table(comparison) if comparison else None,
        comparison_note=NOTE,
        pruned=pruned(prunings, results.get("models") or []),
        pruning_note=PRUNING_NOTE,
        ladder=ladder and {"text": ladder_in_words(ladder), "table": ladder_table(ladder)},
        drawings=_drawings(results, best),
        motifs=motif_table(record, space_of(study)),
        searched=searched,
        front=_front(record),
        meanings=meanings(),
        latency=breakdown_figure(best, "latency_us"),
        energy=breakdown_figure(best, "energy_uj"),
        history=history_figure(record),
        importances=importance_figure(study),
        facts=facts_of_page(record, data, facts or {}, stages or {}),
    )
    with atomic_write(path) as stream:
        stream.write(page)


def _lead(record: StudyRecord, data: Mapping[str, Any], proposer: str | None) -> str:
    source = Path(str(data.get("source", "a click log"))).name
    metrics = ", ".join(LABELS.get(name, name) for name in record.metric_names)
    origin = f" proposed by {proposer}," if proposer else ""
    return f"{len(record.trials):,} architectures{origin} scored on {metrics}; data: {source}."


def _cards(record: StudyRecord, results: Mapping[str, Any], searched: str) -> list[tuple[str, str]]:
    """The figures at the top of the page, with their labels."""
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
            averaged = f"log loss of the mean of {averaged_in_words(together)} {of}"
            cards.append((number(together["test_log_loss"]), averaged))
        baseline = (results.get("baselines") or {}).get("logistic_regression")
        if baseline is not None:
            loss = figures_of(baseline)["test_log_loss"]
            cards.append((number(loss), "log loss of logistic regression (test rows)"))
    return cards


def _drawings(results: Mapping[str, Any], best: Sequence[TrialRecord]) -> list[tuple[str, str]]:
    """The retrained models, or the best searched ones, as SVG with captions."""
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
    return [(drawing_svg(genotype), caption) for genotype, caption in drawn]


def _front(record: StudyRecord) -> dict[str, Any]:
    """The front as a table, the name of the objective that orders it, and how many are left out."""
    trials = record.front_trials[:MOST_ROWS]
    rows = []
    for trial in trials:
        figures = trial.figures
        cells = [f"trial {trial.number}"]
        cells += [number(figures.get(key)) for key in LABELS]
        cells.append("" if trial.genotype is None else summary_of(trial.genotype))
        rows.append(Row(cells, "" if trial.is_feasible else "base"))
    heads = ["", *LABELS.values(), "blocks"]
    return {
        "table": Table(heads, rows, last_is_text=True),
        "first": LABELS.get(record.metric_names[0], "value"),
        "num_more": len(record.front) - len(trials),
    }
