"""What a finished search is compared with, trained in the same run folder as its models."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._console import Reporter, SilentReporter
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._given import GivenModels
from nasrec_opt.pipeline._kept_study import kept_study
from nasrec_opt.pipeline._model_table import train_baselines
from nasrec_opt.pipeline._named import given_genotypes
from nasrec_opt.pipeline._random_search import as_random, is_random
from nasrec_opt.pipeline._run_study import run_study
from nasrec_opt.pipeline._searches import studies_of
from nasrec_opt.pipeline._tuned_baselines import Budget, chosen_baselines
from nasrec_opt.serving import find_results


@dataclass(frozen=True, slots=True, kw_only=True)
class Competitors:
    """What a finished search is compared with.

    Args:
        random: Whether a random search with the budget of the search is run: the same oracle,
            number of trials, ladder, recipe, number of models and seeds.
        genotypes: Architectures to train by the recipe of the search: `published` for the models
            of the paper, `like` for hand-made ones, and what else `given_genotypes` takes.
        baselines: Hand-made models of other libraries to tune and train: keys of
            `nasrec_opt.baselines.BASELINES`, separated by commas; `all` for those whose library is
            installed.
        budget: What the tuning of each baseline may cost; and the number of seeds of baselines and
            architectures.
    """

    random: bool = False
    genotypes: tuple[str, ...] = ()
    baselines: str | None = None
    budget: Budget = field(default_factory=Budget)


def train_competitors(
    run: Path, competitors: Competitors, reporter: Reporter | None = None
) -> None:
    """Train what a finished search is compared with; `compare_models` then has it as rows.

    What the folder already has is read; a killed process continues.

    Args:
        run: A run folder, or a `results.json` in one.
        competitors: What to train. All of it is checked before anything is trained.
        reporter: Receives the progress, or None for no output.

    Raises:
        GenotypeError: There is no such architecture.
        MissingExtraError: The library of a baseline is not installed.
        StudyError: The run is not finished, or has no search where one is needed, or its search is
            random already; a baseline is unknown; or another process works in the folder.
    """
    reporter = reporter or SilentReporter()
    results, path = find_results(run)
    folder = RunFolder(path)
    if competitors.baselines is not None:
        chosen_baselines(competitors.baselines)
    if competitors.random or competitors.genotypes:
        config = _study_of(folder, results)
        genotypes = given_genotypes(competitors.genotypes, config)
        if competitors.random:
            if is_random(config):
                raise StudyError(
                    f"{path}: expected a search with another sampler to compare with random "
                    "search, got a random search"
                )
            run_study(as_random(config), path, reporter=reporter)
        if genotypes:
            retrain = replace(config.retrain, seeds=competitors.budget.seeds)
            given = GivenModels(genotypes, replace(config, retrain=retrain), path)
            given.train(reporter=reporter)
    if competitors.baselines is not None:
        train_baselines(run, competitors.baselines, competitors.budget, reporter)


def _study_of(folder: RunFolder, results: Path) -> StudyConfig:
    """The study of a finished search."""
    if not studies_of(folder):
        raise StudyError(
            f"{folder.path}: expected a run with a search, got one without; a study that searches "
            'nothing names its models under [retrain]: genotypes = ["published", "like"]'
        )
    return kept_study(folder, folder.search_of(results))
