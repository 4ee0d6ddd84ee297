"""All trained models of a finished run beside each other, as the paper's Tables 4 and 5 show them.

The best of them is named by validation rows; every other one is then compared with it row by row on
the test rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from nasrec_opt._files import atomic_write
from nasrec_opt._results import read_results
from nasrec_opt.pipeline._candidates import Candidates
from nasrec_opt.pipeline._console import Reporter, SilentReporter
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._logged_baselines import log_handmade
from nasrec_opt.pipeline._report import keep_comparison, refresh_report
from nasrec_opt.pipeline._tuned_baselines import Budget, chosen_baselines
from nasrec_opt.report import ModelRow, to_csv, to_markdown
from nasrec_opt.retrain import Comparison, compare
from nasrec_opt.serving import find_results

NOTICEABLE = 1e-3  # nats; a difference in log loss that matters in practice (paper, section 5.2)
Z_95 = 1.96  # standard errors to each side of a 95 % interval


def compare_models(run: Path) -> list[ModelRow]:
    """Compare all trained models of a finished run: searched, averaged, given, and baselines.

    Models of `train_competitors`, of `retrain --genotype` and probes that were trained in the same
    folder are rows as well.

    Args:
        run: A run folder, or a `results.json` in one.

    Returns:
        The best on validation rows first; the others are compared with it on the test rows.

    Raises:
        StudyError: The run is not finished, or a model of it is missing or damaged.
    """
    candidates = _candidates(run)
    rows = [
        *candidates.searched(),
        *candidates.random(),
        *candidates.others(),
        *candidates.baselines(),
    ]
    rows.sort(key=lambda entry: entry[0].validation_log_loss)
    best, logits = rows[0]
    test = candidates.labels, candidates.weights
    return [best] + [_against(row, compare(others, logits, *test)) for row, others in rows[1:]]


def train_baselines(
    run: Path, names: str, budget: Budget, reporter: Reporter | None = None
) -> None:
    """Tune and train hand-made models on the log of a run; `compare_models` then has them as rows.

    What the folder already has is read; a killed process continues. Where the run was logged to
    MLflow, each of them is a run there, beside those of the studies.

    Args:
        run: A run folder, or a `results.json` in one.
        names: Keys of `nasrec_opt.baselines.BASELINES`, separated by commas; `all` for those whose
            library is installed.
        budget: What the tuning of each may cost, and the number of seeds.
        reporter: Receives the progress, or None for no output.

    Raises:
        MissingExtraError: The library of a model is not installed; nothing has been trained then.
        StudyError: The run is not finished, a name is unknown, or another process works in the
            folder.
    """
    candidates = _candidates(run)
    specs = chosen_baselines(names)
    results, path = find_results(run)
    folder, reporter = RunFolder(path), reporter or SilentReporter()
    with folder.locked():
        candidates.handmade.train(specs, budget, reporter)
        log_handmade(folder, folder.search_of(results), candidates.handmade.kept(), reporter)


def _candidates(run: Path) -> Candidates:
    results, folder = find_results(run)
    return Candidates(read_results(results), results, RunFolder(folder))


def write_table(rows: Sequence[ModelRow], run: Path) -> list[Path]:
    """Write the table beside the results of a run, and into the run's report.

    Args:
        rows: The result of `compare_models`.
        run: The same run.

    Returns:
        The files: Markdown, CSV, and the report if the run has one of this version.

    Raises:
        StudyError: It is no run.
    """
    results, path = find_results(run)
    folder = RunFolder(path)
    search = folder.search_of(results)
    table = folder.model_table_of(search)
    files = [table.with_suffix(".md"), table.with_suffix(".csv")]
    for file, text in zip(files, (to_markdown(rows), to_csv(rows)), strict=True):
        with atomic_write(file) as stream:
            stream.write(text)
    keep_comparison(folder, search, [asdict(row) for row in rows])
    page = refresh_report(folder, search)
    return files if page is None else [*files, page]


def _against(row: ModelRow, found: Comparison) -> ModelRow:
    error = found.standard_error
    verdict = "open"
    if error is not None and found.difference - Z_95 * error > NOTICEABLE:
        verdict = "yes"
    elif error is not None and found.difference + Z_95 * error < NOTICEABLE:
        verdict = "no"
    return replace(row, difference=found.difference, standard_error=error, is_worse_by_0001=verdict)
