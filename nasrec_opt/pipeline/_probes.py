"""The probe stage: a few models trained to the end before there is a supernet.

They are there in the first minute, where a supernet and a search take many. What they came to on
their way is what the ladder asks for, so that nothing is trained twice.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna

from hw import TechnologyFile
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.ladder import LadderConfig, first_epochs, probe_genotypes
from nasrec_opt.pipeline._baselines import fitted_baselines
from nasrec_opt.pipeline._conditions import Conditions
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._ensembling import Judge, ensemble_of
from nasrec_opt.pipeline._folder import RunFolder, model_folder
from nasrec_opt.pipeline._search import Found, Progress, complete_trials, winners
from nasrec_opt.pipeline._trainers import Job, train_ahead
from nasrec_opt.retrain import RetrainedModel, epoch_steps, retrain
from nasrec_opt.space import Genotype

logger = logging.getLogger(__name__)


def probes_of(config: StudyConfig, dataset: Dataset) -> list[Genotype]:
    """The genotypes that a study trains before its supernet; none without a ladder.

    Args:
        config: The study.
        dataset: What the models are trained on.
    """
    ladder = config.search.ladder
    if ladder is None or not ladder.probes:
        return []
    space = config.space.build()
    return probe_genotypes(space, dataset.features, ladder.probes, config.seed)


def train_probes(
    config: StudyConfig, folder: RunFolder, dataset: Dataset, progress: Progress
) -> list[RetrainedModel]:
    """Train the probes from scratch, each in its folder; what is there already is read.

    A training that comes to nothing fails that model alone; the ladder says so.

    Args:
        config: The study, with a ladder.
        folder: The run folder.
        dataset: What the models are trained on.
        progress: Called with (steps done now, maximum number of steps).

    Returns:
        The trained models, the best on validation rows first.
    """
    ladder = config.search.ladder or LadderConfig()
    recipe = dataclasses.replace(config.retrain.model, seed=config.seed)
    first = epochs_of(ladder, epoch_steps(dataset, recipe))
    jobs = [
        Job(genotype, model_folder(folder, genotype.to_dict()), recipe, first=first)
        for genotype in probes_of(config, dataset)
    ]
    train_ahead(jobs, dataset, config.retrain.workers, progress)
    models = []
    for job in jobs:
        try:
            job.run(dataset, progress)
            models.append(retrain(job.genotype, dataset, job.folder, recipe))
        except StudyError as error:
            logger.warning("a probe failed: %s", error)
    return sorted(models, key=lambda model: model.validation_log_loss)


def ensemble_of_probes(
    config: StudyConfig,
    folder: RunFolder,
    dataset: Dataset,
    models: Sequence[RetrainedModel],
    where: Path,
) -> dict[str, Any] | None:
    """What the probes are worth together, before there is anything else; see `ensemble_of`.

    Args:
        config: The study.
        folder: The run folder, with its baselines.
        dataset: What the models were trained on.
        models: The trained probes.
        where: The ensemble's folder.
    """
    return ensemble_of(
        [(config.seed, model) for model in models],
        Judge(dataset, fitted_baselines(folder, Dataset.open(folder.dataset))),
        Conditions(dataset.features, TechnologyFile.read(config.hardware.technology)),
        most=config.retrain.ensemble,
        constraints=config.search.constraints,
        where=where,
    )


def trained_probes(config: StudyConfig, study: optuna.Study, dataset: Dataset) -> list[Found]:
    """The probes of a finished search that keep its constraints, with their trials.

    Args:
        config: The study.
        study: The search.
        dataset: What the models are trained on.
    """
    probes = probes_of(config, dataset)
    found = winners(study, len(complete_trials(study))) if probes else []
    return [(genotype, trial) for genotype, trial in found if genotype in probes]


def epochs_of(ladder: LadderConfig, steps: int) -> float:
    """Epochs of a ladder's first rung.

    Args:
        ladder: Says how many, or leaves it open.
        steps: Steps of an epoch.
    """
    return ladder.epochs or first_epochs(steps)
