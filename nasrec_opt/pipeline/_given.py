"""Given architectures trained from scratch on a log, without a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from nasrec_opt.lowering import lower
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._console import Reporter
from nasrec_opt.pipeline._log_source import Source
from nasrec_opt.pipeline._run_study import run_study
from nasrec_opt.pipeline.stages.baselines import BASELINES
from nasrec_opt.pipeline.stages.models import models_stage, trainings_of
from nasrec_opt.pipeline.stages.prepare import PREPARE
from nasrec_opt.retrain import RetrainedModel
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet


class GivenModels:
    """Given architectures, each trained once for each seed of a study.

    Args:
        genotypes: The architectures by name; they need not be in the study's space.
        config: The study: how the log is read, how models are trained, and the seeds.
        out: The run folder; created if it is missing. Where it has no search, its `results.json`
            lists the models, so that all commands that take a run take it.

    Attributes:
        genotypes: The architectures.
        models: The trained models by name, one for each seed; empty until `train`.
    """

    def __init__(self, genotypes: Mapping[str, Genotype], config: StudyConfig, out: Path) -> None:
        self.genotypes = dict(genotypes)
        self._config = config
        self._out = out
        self.models: dict[str, list[RetrainedModel]] = {}

    def train(self, data: Source | None = None, reporter: Reporter | None = None) -> None:
        """Prepare the log and train the models; whatever the folder already has is read.

        Args:
            data: The click log or a dataset, instead of the one that the study names.
            reporter: Receives the progress, or None for no output.

        Raises:
            DataError: The log is bad.
            StudyError: The folder holds something else, or a training failed.
        """
        stages = (PREPARE, BASELINES, models_stage(self.genotypes))
        run = run_study(self._config, self._out, data=data, reporter=reporter, stages=stages)
        trainings, dataset = trainings_of(run), run.dataset()
        self.models = {
            name: [trainings.job(genotype, seed).model(dataset) for seed in trainings.seeds]
            for name, genotype in self.genotypes.items()
        }

    def in_words(self) -> str:
        """State the figures of the trained models.

        Returns:
            A line for each kind of figure, and one with the model's folder, for each model.
        """
        several = len(self.models) > 1
        return "\n".join(
            "\n".join([*([f"{name}"] if several else []), *_in_words(models)])
            for name, models in self.models.items()
        )


def _in_words(models: Sequence[RetrainedModel]) -> list[str]:
    best = min(models, key=lambda model: model.validation_log_loss)
    subnet = Subnet.load(best.weights()[0])
    shape = {"balance": subnet.balance, "layer_norm": subnet.layer_norm}
    workload = lower(best.genotype, subnet.features, **shape)
    lines = [
        f"log loss: validation {best.validation_log_loss:.5f}, test {best.test_log_loss:.5f}",
        f"AUC: validation {_auc(best.validation_auc)}, test {_auc(best.test_auc)}",
        f"training: learning rate {best.learning_rate:g}, weights of step "
        f"{best.best_step:,}, {best.seconds:.1f} s",
        f"cost: {workload.mflops:.4g} MFLOPs, {workload.mflops_paper:.4g} MFLOPs (paper), "
        f"{workload.parameters:,} parameters and {best.embedding_parameters:,} of embeddings",
        f"model: {best.path}",
    ]
    if len(models) > 1:
        lines.insert(1, _over_seeds(models))
    return lines


def _over_seeds(models: Sequence[RetrainedModel]) -> str:
    validation, test = (
        f"{fmean(values):.5f} ± {stdev(values):.5f}"
        for values in (
            [model.validation_log_loss for model in models],
            [model.test_log_loss for model in models],
        )
    )
    return (
        f"log loss, mean ± deviation over {len(models)} seeds: validation {validation}, "
        f"test {test}; the other lines are of the seed that is best on validation rows"
    )


def _auc(value: float | None) -> str:
    return "undefined (rows of one class)" if value is None else f"{value:.5f}"
