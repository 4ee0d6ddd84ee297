"""What the search of a run has taken: seconds and trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nasrec_opt.objective import finished_trials
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._searches import place_of, studies_of
from nasrec_opt.pipeline._stage import Stage
from nasrec_opt.pipeline._storage import stored_study

CHOOSING = ("probe", "train", "search", "ladder")  # stages that come before the winners


@dataclass(frozen=True, slots=True)
class SearchCost:
    """What a search has taken.

    Args:
        seconds: Wall time of the stages that choose models, s, or None where the run does not say.
        trials: Number of finished trials, or None without a search.
    """

    seconds: float | None
    trials: int | None


def search_cost(folder: RunFolder, search: str, stages: Sequence[Stage]) -> SearchCost:
    """Add up what a search has taken.

    The time of a process that was killed in the middle of a stage is not known.

    Args:
        folder: The run folder.
        search: Name of the search's study; empty for the first search of the folder.
        stages: The stages of the run.
    """
    record: Mapping[str, Any] = folder.record()
    keys = [stage.key(search) for stage in stages if stage.name in CHOOSING]
    spent = [_seconds(record, key) for key in keys if key in record]
    studies = studies_of(folder)
    name = next((name for name in studies if place_of(name, studies) == search), None)
    if name is None:
        return SearchCost(sum(spent) if spent else None, None)
    with stored_study(folder, name) as study:
        return SearchCost(sum(spent) if spent else None, len(finished_trials(study)))


def _seconds(record: Mapping[str, Any], key: str) -> float:
    """Wall time of a stage, s: a later search reads what an earlier one made of the same inputs."""
    stage, settings = key.split()[0], record[key]["settings"]
    return max(
        float(entry["seconds"])
        for other, entry in record.items()
        if other.split()[0] == stage and entry["settings"] == settings
    )
