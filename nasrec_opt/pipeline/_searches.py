"""The searches of a run folder: each is an Optuna study with results and a report of its own.

A study has the name that its file gives it. Where that name is taken by a search with another
sampler, or other options of it, the second search is `<name>-<sampler>`, then `<name>-<sampler>-2`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from nasrec_opt._foreign.optuna import oldest_first
from nasrec_opt._results import read_results
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._schema import USUAL
from nasrec_opt.pipeline._search import complete_trials
from nasrec_opt.pipeline._storage import is_of, storage_to_read, stored_study
from nasrec_opt.report import Search, read_study, write_comparison

Studies = Mapping[str, Any]  # by name, oldest first: the settings written down, or None


def studies_of(folder: RunFolder) -> Studies:
    """The studies of this library in a folder.

    Raises:
        StudyError: What should hold them is no Optuna storage, or its server does not answer.
    """
    path = folder.study_file
    if not path.exists() or not path.stat().st_size:
        return {}
    with storage_to_read(folder) as storage:
        found = oldest_first(storage.get_all_studies())
    return {
        s.study_name: folder.upgraded_search(s.user_attrs.get("settings"))
        for s in found
        if is_of(folder, s)
    }


def name_of_search(name: str, settings: Mapping[str, Any], studies: Studies) -> str:
    """Find the name of the Optuna study that a study file stands for.

    Args:
        name: That of the file.
        settings: Everything that its trials depend on.
        studies: The studies of the folder.

    Returns:
        The name of the study of the same proposer, or else the first free one.
    """
    free = None
    for candidate in _candidates(name, proposer_of(settings)["name"]):
        if candidate not in studies:
            # An older version gave all but evolution the second name though the first was free.
            if free is not None or candidate != name:
                return free or candidate
            free = candidate
        else:
            recorded = studies[candidate]
            if recorded is None or proposer_of(recorded) == proposer_of(settings):
                return candidate
    raise AssertionError("names are endless")


def proposer_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Who proposes the trials of a search: a name, options that this one reads, first trials."""
    search = USUAL["search"] | settings.get("search", {})
    first = {name: search[name] for name in ("initial", "probes", "known")}
    if search["engine"] == "ax":
        strategy = search["ax"].get("strategy", USUAL["search"]["ax"]["strategy"])
        return {"name": f"ax-{strategy}"} | first
    sampler = search["sampler"]
    options = settings.get("search", {}).get(sampler, {})
    return {"name": sampler, "options": options} | first


def place_of(name: str, studies: Studies) -> str:
    """The name of a search's folder in a `RunFolder`: empty for the first search."""
    return "" if not studies or next(iter(studies)) == name else name


def compare(folder: RunFolder) -> bool:
    """Write the page that compares the searches of a folder, where it has several.

    Args:
        folder: The run folder.

    Returns:
        Whether there is more than one search with complete trials.
    """
    studies = studies_of(folder)
    if len(studies) < 2:
        return False
    searches = []
    for name, settings in studies.items():
        with stored_study(folder, name) as study:
            if not complete_trials(study):
                continue
            record = read_study(study)
        place = place_of(name, studies)
        report, results = folder.report_of(place), folder.results_of(place)
        searches.append(
            Search(
                record=record,
                proposer=proposer_of(settings)["name"] if settings else "-",
                results=read_results(results) if results.exists() else {},
                link=str(report.relative_to(folder.path)) if report.exists() else "",
            )
        )
    if len(searches) > 1:
        write_comparison(folder.comparison, searches, folder.path.resolve().name)
    return len(searches) > 1


def _candidates(name: str, sampler: str) -> Iterator[str]:
    yield name
    yield f"{name}-{sampler}"
    for number in count(2):
        yield f"{name}-{sampler}-{number}"
