"""The HTML report of a search, written from what the run folder holds.

`report.json` keeps what only the study file knows, so that a command that adds something to a run,
such as a comparison, writes the page again without that file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna

from nasrec_opt._files import read_json, sha256, write_json
from nasrec_opt._results import read_results
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._storage import stored_study
from nasrec_opt.report import ModelRow, write_report

FACTS = ("study", "proposer", "facts", "data", "stages")


def begin_report(folder: RunFolder, search: str, facts: Mapping[str, Any]) -> None:
    """Write down what a report says besides what other files hold.

    Args:
        folder: The run folder.
        search: Name of the search's study; empty for the first search of the folder.
        facts: `study`, its name; `proposer`; `facts` of the run, `data` and seconds of `stages`, as
            `nasrec_opt.report.write_report` takes them.
    """
    write_json(folder.report_record_of(search), {name: facts[name] for name in FACTS})


def write_page(folder: RunFolder, search: str, study: optuna.Study) -> Path:
    """Write the report of a search that `begin_report` was called for.

    Args:
        folder: The run folder.
        search: Name of the search's study; empty for the first search of the folder.
        study: Its trials.

    Returns:
        The page.
    """
    path, record = folder.report_of(search), read_json(folder.report_record_of(search))
    write_report(
        path,
        study=study,
        results=read_results(folder.results_of(search)),
        dataset_summary=record["data"],
        facts=record["facts"],
        stages=record["stages"],
        title=record["study"],
        proposer=record["proposer"],
        comparison=_comparison(folder, search),
        prunings=_prunings(folder.pruned_of(search)),
    )
    return path


def refresh_report(folder: RunFolder, search: str) -> Path | None:
    """Write the report of a search again, after something was added to the run.

    Args:
        folder: The run folder.
        search: Name of the search's study; empty for the first search of the folder.

    Returns:
        The page, or None where the run has no report yet, or one of an older version.

    Raises:
        StudyError: `report.json` or the study of the run is damaged.
    """
    file = folder.report_record_of(search)
    if not file.exists():
        return None
    try:
        name = str(read_json(file)["study"])
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{file}: expected the facts of a report, got {error!r}") from error
    with stored_study(folder, name) as study:
        return write_page(folder, search, study)


def keep_comparison(folder: RunFolder, search: str, rows: list[dict[str, Any]]) -> None:
    """Keep the table of all models for the report.

    Args:
        folder: The run folder.
        search: Name of the search's study; empty for the first search of the folder.
        rows: Fields of the `ModelRow`s.
    """
    of = sha256(folder.results_of(search))
    write_json(folder.model_table_of(search), {"results": of, "rows": rows})


def _comparison(folder: RunFolder, search: str) -> list[ModelRow]:
    """The table of all models, unless models were trained again since it was made."""
    try:
        found = read_json(folder.model_table_of(search))
        if found["results"] == sha256(folder.results_of(search)):
            return [ModelRow.from_dict(row) for row in found["rows"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or not ours: `compare` writes it again
    return []


def _prunings(folder: Path) -> list[dict[str, Any]]:
    """What each finished pruning came to; another file of this name is none of them."""
    found = []
    for file in sorted(folder.glob("*/results.json")):
        try:
            values = read_json(file)
            if values["model"]["mflops"] and all("mflops" in r for r in values["rounds"]):
                found.append(dict(values))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found
