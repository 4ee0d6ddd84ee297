"""One given architecture trained from scratch on a log, without a search."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev

from nasrec_opt.errors import StudyError
from nasrec_opt.lowering import lower
from nasrec_opt.options._search import PUBLISHED
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._console import Reporter
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._identity import model_settings
from nasrec_opt.pipeline._run_study import run_study
from nasrec_opt.pipeline._stage import Stage
from nasrec_opt.pipeline._target import read_target
from nasrec_opt.pipeline._trainers import train_ahead
from nasrec_opt.pipeline._trainings import Trainings
from nasrec_opt.pipeline.stages.prepare import PREPARE
from nasrec_opt.retrain import RetrainedModel, constant_log_loss
from nasrec_opt.space import FLOAT_BITS, Genotype, published_model
from nasrec_opt.supernet import Subnet


def genotype_named(name: str, config: StudyConfig, *, model: int | None = None) -> Genotype:
    """Read the architecture that a user names.

    Args:
        name: A genotype in JSON, a run folder, a run's `results.json`, or `published:` and the name
            of a model of the paper, which is in floating point unless `[space]` says otherwise.
        config: The study, whose only choice of bits a published model takes.
        model: Rank of the retrained model of a run, or None for the best.

    Returns:
        The genotype.

    Raises:
        NasrecError: There is no such model.
        StudyError: `model` is given for something else than a run.
    """
    if not name.startswith(PUBLISHED):
        return read_target(Path(name), model=model).genotype
    if model is not None:
        raise StudyError(f"--model: expected only with a run, got {name}")
    bits = config.space.bits
    genotype = published_model(name.removeprefix(PUBLISHED)).genotype
    if bits is None or len(bits) != 1:
        return genotype.with_bits(FLOAT_BITS)
    return genotype.with_bits(config.space.build().bits[0])


class OneModel:
    """A given architecture, trained once for each seed of a study.

    Args:
        genotype: The architecture; it need not be in the study's space.
        config: The study: how the log is read, how models are trained, and the seeds.
        out: The run folder; created if it is missing.

    Attributes:
        genotype: The architecture.
        models: The trained models, one for each seed; empty until `train`.
    """

    def __init__(self, genotype: Genotype, config: StudyConfig, out: Path) -> None:
        self.genotype = genotype
        self._config = config
        self._out = out
        self._constant = 0.0
        self.models: list[RetrainedModel] = []

    def train(self, data: Path | None = None, reporter: Reporter | None = None) -> None:
        """Prepare the log and train the models; whatever the folder already has is read.

        Args:
            data: The click log, instead of the one that the study names.
            reporter: Receives the progress, or None for no output.

        Raises:
            DataError: The log is bad.
            StudyError: The folder holds something else, or a training failed.
        """
        stage = Stage(
            name="model",
            inputs=lambda context: model_settings(context.config, context.folder, self.genotype),
            output=lambda folder, _: folder.dataset_record,
            run=self._run,
            is_repeated=True,  # models that are there are read
        )
        run_study(self._config, self._out, data=data, reporter=reporter, stages=(PREPARE, stage))

    def _run(self, context: Context) -> str:
        config, dataset = context.config, context.dataset()
        balance = config.retrain.model.balance
        trainings = Trainings(
            config, context.folder, dataset, balance=True if balance is None else balance
        )
        jobs = [trainings.job(self.genotype, seed) for seed in trainings.seeds]
        advance = context.reporter.advance
        train_ahead(jobs, dataset, config.retrain.workers, advance)
        self.models = [job.model(dataset, advance) for job in jobs]
        self._constant = constant_log_loss(dataset)
        best = self.best
        return (
            f"validation log loss {best.validation_log_loss:.4f}, test {best.test_log_loss:.4f}; "
            f"constant click rate: test {self._constant:.4f}"
        )

    @property
    def best(self) -> RetrainedModel:
        """The model that is best on validation rows."""
        return min(self.models, key=lambda model: model.validation_log_loss)

    def in_words(self) -> str:
        """State the figures of the trained models.

        Returns:
            A line for each kind of figure, and one with the model's folder.
        """
        best = self.best
        subnet = Subnet.load(best.weights()[0])
        workload = lower(self.genotype, subnet.features, balance=subnet.balance)
        lines = [
            f"log loss: validation {best.validation_log_loss:.5f}, test {best.test_log_loss:.5f} "
            f"(constant click rate: test {self._constant:.5f})",
            f"AUC: validation {_auc(best.validation_auc)}, test {_auc(best.test_auc)}",
            f"training: learning rate {best.learning_rate:g}, weights of step "
            f"{best.best_step:,}, {best.seconds:.1f} s",
            f"cost: {workload.mflops:.4g} MFLOPs, {workload.mflops_paper:.4g} MFLOPs (paper), "
            f"{workload.parameters:,} parameters and {best.embedding_parameters:,} of embeddings",
            f"model: {best.path}",
        ]
        if len(self.models) > 1:
            lines.insert(1, self._over_seeds())
        return "\n".join(lines)

    def _over_seeds(self) -> str:
        validation, test = (
            f"{fmean(values):.5f} ± {stdev(values):.5f}"
            for values in (
                [model.validation_log_loss for model in self.models],
                [model.test_log_loss for model in self.models],
            )
        )
        return (
            f"log loss, mean ± deviation over {len(self.models)} seeds: validation {validation}, "
            f"test {test}; the other lines are of the seed that is best on validation rows"
        )


def _auc(value: float | None) -> str:
    return "undefined (rows of one class)" if value is None else f"{value:.5f}"
