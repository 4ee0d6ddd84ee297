"""What a finished search is compared with, trained in the same run folder as its models.

Random search is the same study with another sampler: a further search of the folder, which shares
the dataset, the supernet and all trained models. Published and hand-made architectures are trained
by the recipe of the run.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nasrec_opt.errors import StudyError
from nasrec_opt.options import MLflowConfig
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._console import Reporter, SilentReporter
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._kept_study import kept_study
from nasrec_opt.pipeline._run_study import run_study
from nasrec_opt.pipeline._searches import place_of, studies_of
from nasrec_opt.serving import find_results


def train_random(run: Path, reporter: Reporter | None = None) -> None:
    """Run a random search with the budget of a finished search, and train its models.

    Oracle, number of trials, ladder, recipe, number of models and seeds are those of the search.
    What the folder already has is read; a killed process continues. `compare_models` then has its
    models as rows.

    Args:
        run: A run folder, or a `results.json` in one.
        reporter: Receives the progress, or None for no output.

    Raises:
        StudyError: The run is not finished, has no search, is a random search itself, or another
            process works in the folder.
    """
    folder, config = _finished(run, "--random")
    if _is_random(config):
        raise StudyError(
            f"--random: expected a search with another sampler, got a random search in {run}"
        )
    run_study(_as_random(config), folder.path, reporter=reporter or SilentReporter())


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
            is_it = _budget(other) == _budget(_as_random(own))
            if is_it and folder.results_of(place).exists():
                return folder.results_of(place)
    return None


def _known(folder: RunFolder, search: str) -> StudyConfig | None:
    """The study of a search; None in a folder of before it was kept, or where it is damaged."""
    try:
        return kept_study(folder, search)
    except StudyError:
        return None


def _finished(run: Path, option: str) -> tuple[RunFolder, StudyConfig]:
    """The folder of a finished search, and its study."""
    results, path = find_results(run)
    folder = RunFolder(path)
    if not studies_of(folder):
        raise StudyError(f"{option}: expected a run with a search, got one without in {run}")
    return folder, kept_study(folder, folder.search_of(results))


def _is_random(config: StudyConfig) -> bool:
    return config.search.engine == "optuna" and config.search.sampler == "random"


def _as_random(config: StudyConfig) -> StudyConfig:
    """The same study with random trials; its winner is no champion in MLflow's registry."""
    return replace(
        config,
        search=replace(config.search, engine="optuna", sampler="random"),
        mlflow=replace(config.mlflow, register=False),
    )


def _budget(config: StudyConfig) -> StudyConfig:
    """A study without what changes no figure."""
    retrain = replace(config.retrain, workers=None)
    return replace(config, mlflow=MLflowConfig(), retrain=retrain)
