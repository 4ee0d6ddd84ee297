"""Random search at equal budget: the study of a run with another sampler, in the same folder.

It is a further search of the folder, which shares the dataset, the supernet and all trained models.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nasrec_opt.errors import StudyError
from nasrec_opt.options import MLflowConfig
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
    studies, own = studies_of(folder), _known(folder, search)
    for place in (place_of(name, studies) for name in studies):
        other = _known(folder, place)
        if place != search and own is not None and other is not None:
            is_it = _budget(other) == _budget(as_random(own))
            if is_it and folder.results_of(place).exists():
                return folder.results_of(place)
    return None


def _known(folder: RunFolder, search: str) -> StudyConfig | None:
    """The study of a search; None in a folder of before it was kept, or where it is damaged."""
    try:
        return kept_study(folder, search)
    except StudyError:
        return None


def _budget(config: StudyConfig) -> StudyConfig:
    """A study without what changes no figure."""
    retrain = replace(config.retrain, workers=None)
    return replace(config, mlflow=MLflowConfig(), retrain=retrain)
