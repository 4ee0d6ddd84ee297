"""Random search at equal budget: the study of a run with another sampler, in the same folder.

It is a further search of the folder, which shares the dataset, the supernet and all trained models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._kept_study import kept_study
from nasrec_opt.pipeline._searches import place_of, studies_of


def is_random(config: StudyConfig) -> bool:
    """Whether a study is a random search itself."""
    return config.search.engine == "optuna" and config.search.sampler == "random"


def as_random(config: StudyConfig) -> StudyConfig:
    """The same study with random trials; its winner is no champion in MLflow's registry."""
    return replace(
        config,
        search=replace(config.search, engine="optuna", sampler="random"),
        mlflow=replace(config.mlflow, register=False),
    )


def random_results(folder: RunFolder, search: str) -> Path | None:
    """Find the results of the random search with the budget of a search.

    Args:
        folder: The run folder.
        search: Name of the search's study; empty for the first search of the folder.

    Returns:
        The file, or None where there is none with the search's present settings.
    """
    studies = studies_of(folder)
    places = {place_of(name, studies): settings for name, settings in studies.items()}
    own = _budget(folder, search, places.get(search))
    if own is None:
        return None
    for place, settings in places.items():
        other = _known(folder, place)
        if place != search and other is not None and is_random(other):
            is_it = _budget(folder, place, settings) == own
            if is_it and folder.results_of(place).exists():
                return folder.results_of(place)
    return None


def _known(folder: RunFolder, search: str) -> StudyConfig | None:
    """The study of a search; None in a folder of before it was kept, or where it is damaged."""
    try:
        return kept_study(folder, search)
    except StudyError:
        return None


def _budget(folder: RunFolder, place: str, settings: Mapping[str, Any] | None) -> Any:
    """All that the figures of a search depend on, but for who proposes its trials.

    Args:
        folder: The run folder.
        place: Name of the search's study; empty for the first search of the folder.
        settings: All that its trials depend on, as recorded: what files hold, not their paths.

    Returns:
        Values to compare; None where they are not on record.
    """
    config = _known(folder, place)
    if config is None or settings is None:
        return None
    of_proposer = {"engine", "sampler", *as_random(config).search.unread()}
    search = {k: v for k, v in settings.get("search", {}).items() if k not in of_proposer}
    retrain = replace(config.retrain, workers=None)
    return {**settings, "search": search}, config.search.n_trials, config.search.ladder, retrain
