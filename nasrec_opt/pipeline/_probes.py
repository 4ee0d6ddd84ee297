"""The probe stage: a few models trained to the end before the supernet.

They are ready in the first minute, while a supernet and a search take many minutes. Their results
at each rung are kept for the ladder, so that nothing is trained twice.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import optuna

from nasrec_opt._files import write_json
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.ladder import LadderConfig, early_epochs, first_epochs, probe_genotypes
from nasrec_opt.pipeline._conditions import conditions_of_study
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._ensembling import Judge, ensemble_of
from nasrec_opt.pipeline._folder import RunFolder, model_folder
from nasrec_opt.pipeline._initial import known_genotypes
from nasrec_opt.pipeline._search import Found, Progress, complete_trials, winners
from nasrec_opt.pipeline._trainers import Job, train_ahead
from nasrec_opt.pipeline._workers import default_trainers
from nasrec_opt.retrain import RetrainedModel, epoch_steps, forget_early
from nasrec_opt.space import Genotype

logger = logging.getLogger(__name__)


def probes_of(config: StudyConfig, dataset: Dataset) -> list[Genotype]:
    """The genotypes that a study trains before its supernet; none without a ladder.

    Args:
        config: The study.
        dataset: What the models are trained on.
    """
    ladder = config.search.ladder
    if ladder is None:
        return []
    space = config.space.build()
    drawn = probe_genotypes(space, dataset.features, ladder.probes, config.seed)
    known = known_genotypes(ladder, space)
    return list(dict.fromkeys([*drawn[:1], *known, *drawn[1:]]))


def train_probes(
    config: StudyConfig,
    folder: RunFolder,
    dataset: Dataset,
    progress: Progress,
    *,
    on_model: Callable[[Sequence[RetrainedModel]], None],
) -> None:
    """Train the probes from scratch, each in its folder; what is there already is read.

    If an epoch is long, the first ones, as many as are trained at once, are already used as models
    after one epoch.

    If a training fails, only that model fails; the ladder reports it.

    Args:
        config: The study, with a ladder.
        folder: The run folder.
        dataset: What the models are trained on.
        progress: Called with (steps done now, maximum number of steps).
        on_model: Called after each training with the models so far, the best on validation rows
            first.
    """
    ladder = config.search.ladder or LadderConfig()
    recipe = dataclasses.replace(config.retrain.model, seed=config.seed)
    steps = epoch_steps(dataset, recipe)
    jobs = [
        Job(
            genotype,
            model_folder(folder, genotype.to_dict()),
            recipe,
            first=epochs_of(ladder, steps),
        )
        for genotype in probes_of(config, dataset)
    ]
    models: dict[Path, RetrainedModel] = {}

    def train(jobs: Sequence[Job], report: Callable[[StudyError], None]) -> None:
        train_ahead(jobs, dataset, config.retrain.workers, progress, ray=config.ray.address)
        for job in jobs:
            try:
                job.run(dataset, progress)
                models[job.folder] = job.model(dataset)
            except StudyError as error:
                models.pop(job.folder, None)  # the early model of a training that then diverged
                report(error)
            on_model(_best_first(models.values()))

    early = early_epochs(steps)
    if early:
        # Of those that are trained first. Of all, they would be late: on a million rows and one
        # core the first finished probe is better than four early ones, and there as soon.
        first = jobs[: config.retrain.workers or default_trainers(dataset)]
        train([dataclasses.replace(job, early=early) for job in first], lambda _: None)
    train(jobs, lambda error: logger.warning("a probe failed: %s", error))
    for job in jobs:
        forget_early(job.folder)


def _best_first(models: Iterable[RetrainedModel]) -> list[RetrainedModel]:
    return sorted(models, key=lambda model: model.validation_log_loss)


class Probed:
    """The results of the probes, alone and averaged, before any other model is trained.

    Args:
        config: The study.
        folder: The run folder, with its baselines.
        dataset: What the models are trained on.
        place: Of the search in the folder.
    """

    def __init__(
        self, config: StudyConfig, folder: RunFolder, dataset: Dataset, place: str
    ) -> None:
        self._config = config
        self._file, self._where = folder.probes_of(place), folder.ensemble_of(place)
        self._judge = Judge.of_run(folder, dataset)
        # There is no supernet yet: models are balanced unless the study says otherwise.
        self._conditions = conditions_of_study(config, dataset, balance=True)
        self.models: list[RetrainedModel] = []
        self.ensemble: dict[str, Any] | None = None

    def take(self, models: Sequence[RetrainedModel]) -> None:
        """Write `probes.json` and the ensemble's folder; see `ensemble_of`.

        Args:
            models: The trained probes, the best first.
        """
        self.models = list(models)
        self.ensemble = ensemble_of(
            [(self._config.seed, model) for model in models],
            self._judge,
            self._conditions,
            most=self._config.retrain.ensemble,
            constraints=self._config.search.constraints,
            where=self._where,
        )
        told: dict[str, Any] = {"models": [model.to_dict() for model in models]}
        write_json(self._file, told | ({"ensemble": self.ensemble} if self.ensemble else {}))


def trained_probes(config: StudyConfig, study: optuna.Study, dataset: Dataset) -> list[Found]:
    """The probes of a finished search that meet its constraints, with their trials.

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
        ladder: States the number, or leaves it open.
        steps: Steps of an epoch.
    """
    return ladder.epochs or first_epochs(steps)
