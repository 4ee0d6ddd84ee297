"""The trainings of a run's models: which folder and which configuration each has."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nasrec_opt.data import Dataset
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._folder import RunFolder, model_folder
from nasrec_opt.pipeline._trainers import Job
from nasrec_opt.retrain import RetrainedModel
from nasrec_opt.space import Genotype


@dataclass(frozen=True)
class Trainings:
    """The trainings of a run's models, each in its folder.

    Args:
        config: The study.
        folder: The run folder.
        dataset: What the models are trained on.
        balance: Whether dot products project their vectors, where the study does not say.
    """

    config: StudyConfig
    folder: RunFolder
    dataset: Dataset
    balance: bool

    @property
    def seeds(self) -> range:
        """The seed of each model of an architecture; the first is the study's own."""
        return range(self.config.seed, self.config.seed + self.config.retrain.seeds)

    def job(self, genotype: Genotype, seed: int) -> Job:
        """The training of one model."""
        own = None if seed == self.config.seed else seed
        recipe = replace(self.config.retrain.model, seed=seed)
        if recipe.balance is None:
            recipe = replace(recipe, balance=self.balance)
        return Job(genotype, model_folder(self.folder, genotype.to_dict(), own), recipe)

    def model(self, genotype: Genotype, seed: int) -> RetrainedModel:
        """The model, read if its folder has it."""
        return self.job(genotype, seed).model(self.dataset)
