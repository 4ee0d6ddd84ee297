"""One genotype from scratch: trained, scored once on test rows, and saved."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasrec_opt._files import read_json, write_json
from nasrec_opt.data import Dataset
from nasrec_opt.options import RetrainConfig
from nasrec_opt.retrain._answers import save_weights
from nasrec_opt.retrain._job import Job
from nasrec_opt.retrain._metrics import auc, log_loss, predict
from nasrec_opt.retrain._partial import forget_training, head_of, part_file
from nasrec_opt.retrain._training import Progress, Training
from nasrec_opt.retrain._wanted import is_same_training
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet, Supernet

RESULT = "result.json"
MODEL, OTHER_EPOCH = "model", "other_epoch"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainedModel:
    """A trained model's figures; its weights are `Subnet.load(path / "model")`.

    `path / "other_epoch"` has the best weights of a different epoch, if training had several. The
    mean logit of both is often better than either.

    Args:
        genotype: The architecture.
        path: Folder of the model.
        test_log_loss: Log loss on all test rows, nats; no choice depends on them.
        test_auc: AUC on all test rows, or None if they are of one class.
        validation_log_loss: Log loss of the kept weights on all validation rows, nats, before they
            learnt these rows; with `refit`, that of the first training.
        validation_auc: The AUC there, or None if all rows are of one class.
        learning_rate: The learning rate that was chosen on validation rows.
        rate_trials: Validation log loss of each candidate learning rate in the first steps.
        best_step: Number of steps after which the weights were reached that are best on validation.
        validation_history: `(steps, validation log loss)` while training.
        embedding_parameters: Number of weights of the embedding table and of first-order weights of
            values.
        seconds: Wall time of choosing, training and scoring, s.
    """

    genotype: Genotype
    path: Path
    test_log_loss: float
    test_auc: float | None
    validation_log_loss: float
    validation_auc: float | None
    learning_rate: float
    rate_trials: dict[float, float]
    best_step: int
    validation_history: tuple[tuple[int, float], ...]
    embedding_parameters: int
    seconds: float

    def weights(self) -> list[Path]:
        """List the folders of its weights, for `Subnet.load`.

        Returns:
            The weights that were kept, then those of the other epoch; a model of an older version
            has only the first.
        """
        return [f for f in (self.path / MODEL, self.path / OTHER_EPOCH) if f.is_dir()]

    def to_dict(self) -> dict[str, Any]:
        """Convert the figures to JSON values, without the folder, which may move.

        Returns:
            The fields by name.
        """
        values = {n: getattr(self, n) for n in self.__dataclass_fields__ if n != "path"}
        values["genotype"] = self.genotype.to_dict()
        values["rate_trials"] = [[rate, value] for rate, value in self.rate_trials.items()]
        values["validation_history"] = [list(pair) for pair in self.validation_history]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any], path: Path) -> RetrainedModel:
        """Inverse of `to_dict`.

        Args:
            values: The result of `to_dict`.
            path: Folder of the model.

        Returns:
            The result.

        Raises:
            GenotypeError: The genotype is not valid.
            KeyError: A field is missing.
        """
        known = {n: values[n] for n in cls.__dataclass_fields__ if n != "path"}
        known["genotype"] = Genotype.from_dict(values["genotype"], str(path / RESULT))
        known["rate_trials"] = dict(values["rate_trials"])
        known["validation_history"] = tuple((s, v) for s, v in values["validation_history"])
        return cls(path=path, **known)


def retrain(
    genotype: Genotype,
    dataset: Dataset,
    out_dir: Path | str,
    config: RetrainConfig | None = None,
    *,
    supernet: Supernet | None = None,
    initial: Subnet | None = None,
    progress: Progress | None = None,
) -> RetrainedModel:
    """Train a genotype's model from scratch.

    All figures, including those behind a choice, and the saved model are at the genotype's bits.
    The learning rate and the end of training are chosen on validation rows, which the kept weights
    then learn as well (`RetrainConfig.validation_pass`), or a model that is trained anew
    (`RetrainConfig.refit`). The test rows are scored once, at the end.
    If the folder holds the finished model of the same genotype, data and configuration, it is read
    instead; any other result in it is replaced. A training begun by `train_epochs` is continued,
    with the same result.

    Args:
        genotype: The architecture.
        dataset: The log, opened as the model is to read it (`min_count`, `binned_dense`).
        out_dir: The model's folder: `model/` (safetensors and JSON), `other_epoch/` (the best
            weights of another epoch) and `result.json`.
        config: How the model is trained, or None for the defaults; what is left open follows the
            number of training rows, and `result.json` states the values.
        supernet: Its `balance` decides whether dot products project their vectors, if `config` does
            not. None of its weights is used.
        initial: The model before its first step, in place of one with random weights; it stays as
            it is. A pruned model begins with the weights that its units had in the larger one.
        progress: Called with (steps done, maximum number of steps).

    Returns:
        Log losses (nats) and AUC on validation and test rows, and how training went.

    Raises:
        GenotypeError: `initial` is another model than `genotype`.
        StudyError: Training reached no finite log loss.
    """
    job = Job.of(genotype, dataset, out_dir, config, supernet, initial)
    out_dir, wanted = job.out_dir, job.wanted
    known = finished_model(out_dir, wanted)
    if known:
        return known
    training = job.training(progress)
    model = train_and_save(job, training, out_dir, wanted)
    forget_training(out_dir)
    return model


def train_and_save(
    job: Job,
    training: Training,
    folder: Path,
    wanted: dict[str, Any],
    steps: int | None = None,
) -> RetrainedModel:
    """Train from where the job's folder stands; score the best weights, and save them.

    Args:
        job: The training.
        training: Its course.
        folder: Gets the model.
        wanted: All that the model depends on.
        steps: As for `Training.advance`; None trains to the end. The state is kept if training may
            continue, and there is no refit.

    Raises:
        StudyError: Training reached no finite log loss.
    """
    state = job.state(training)
    training.advance(state, steps)
    state.count_time()
    if steps is not None:
        state.require_finite()
        state.save(job.state_file, job.wanted)
    held_out, unseen = (job.dataset.split(name) for name in ("validation", "test"))
    if steps is None and job.config.refit:
        answers = training.refit(state, job.subnet)
    else:
        training.finish(state, state.learner.subnet)
        answers, _ = predict(state.learner.subnet, held_out)
        training.learn_validation(state, state.best)
    history, subnet = training.history(state), state.learner.subnet
    validation = answers, held_out.labels, held_out.weights
    test = *predict(subnet, unseen), unseen.weights
    state.count_time()
    model = RetrainedModel(
        genotype=job.genotype,
        path=folder,
        test_log_loss=log_loss(*test),
        test_auc=auc(*test),
        validation_log_loss=log_loss(*validation),
        validation_auc=auc(*validation),
        learning_rate=history.learning_rate,
        rate_trials=history.rate_trials,
        best_step=history.best_step,
        validation_history=history.validation,
        embedding_parameters=sum(weight.numel() for weight in subnet.embedding.parameters()),
        seconds=state.seconds,
    )
    (folder / RESULT).unlink(missing_ok=True)  # weights and figures never disagree
    save_weights(subnet, folder / MODEL, answers)
    shutil.rmtree(folder / OTHER_EPOCH, ignore_errors=True)
    if state.other.weights:
        subnet.load_state_dict(state.other.weights)
        logits, _ = predict(subnet, held_out)
        training.learn_validation(state, state.other)
        save_weights(subnet, folder / OTHER_EPOCH, logits)
    write_json(folder / RESULT, {"wanted": wanted, "figures": model.to_dict()})
    return model


def has_result(
    genotype: Genotype,
    dataset: Dataset,
    out_dir: Path | str,
    config: RetrainConfig,
    *,
    epochs: float | None = None,
) -> bool:
    """Check whether a folder holds the result of this training, so that it would be read.

    Args:
        genotype: The architecture.
        dataset: The log.
        out_dir: The model's folder.
        config: How the model is trained.
        epochs: As for `train_epochs`; None for the finished model.

    Returns:
        True if the training need not run.
    """
    job = Job.of(genotype, dataset, out_dir, config, None)
    if epochs is None:
        return finished_model(job.out_dir, job.wanted) is not None
    return head_of(part_file(job.out_dir, epochs), job.wanted) is not None


def finished_model(out_dir: Path, wanted: dict[str, Any]) -> RetrainedModel | None:
    """The model in a folder, if it is the one wanted; its result was written last."""
    try:
        result = read_json(out_dir / RESULT)
        if not is_same_training(result["wanted"], wanted) or not (out_dir / MODEL).is_dir():
            return None
        return RetrainedModel.from_dict(result["figures"], out_dir)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # missing or of another training: a new training replaces it
