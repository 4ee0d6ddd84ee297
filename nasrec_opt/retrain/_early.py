"""The model after the first epochs of a training, which continues later."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

from nasrec_opt.data import Dataset
from nasrec_opt.options import RetrainConfig
from nasrec_opt.retrain._job import Job
from nasrec_opt.retrain._partial import require_epochs
from nasrec_opt.retrain._retrain import RetrainedModel, finished_model, train_and_save
from nasrec_opt.retrain._training import Progress
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Supernet

EARLY = "early"


def retrain_early(
    genotype: Genotype,
    dataset: Dataset,
    out_dir: Path | str,
    config: RetrainConfig | None = None,
    *,
    epochs: float,
    supernet: Supernet | None = None,
    progress: Progress | None = None,
) -> RetrainedModel:
    """Train a genotype's model for some epochs, and keep the result as a model of its own.

    On a long log the first epoch gives most of the final accuracy. Use this model until `retrain`,
    which continues from here with the same result, is done. If training is already beyond these
    epochs, the model has the best weights so far.

    Args:
        genotype: The architecture.
        dataset: The log, opened as the model is to read it (`min_count`, `binned_dense`).
        out_dir: The model's folder, the same as that of `retrain`; this model is in its `early/`.
        config: How the model is trained, as for `retrain`.
        epochs: Passes over the training rows; a fraction is a part of the first.
        supernet: See `retrain`.
        progress: Called with (steps done, maximum number of steps).

    Returns:
        Figures of the best weights so far, or those of the finished model if it is there.

    Raises:
        StudyError: `epochs` is not above 0, or training reached no finite log loss.
    """
    require_epochs(epochs)
    job = Job.of(genotype, dataset, out_dir, config, supernet)
    known = finished_early(job, epochs)
    if known:
        return known
    training = job.training(progress)
    steps = math.ceil(epochs * training.epoch_steps)
    return train_and_save(job, training, job.out_dir / EARLY, _wanted(job, epochs), steps)


def forget_early(out_dir: Path | str) -> None:
    """Remove what `retrain_early` kept; the training and its finished model stay.

    Args:
        out_dir: The model's folder.
    """
    shutil.rmtree(Path(out_dir) / EARLY, ignore_errors=True)


def has_early(
    genotype: Genotype, dataset: Dataset, out_dir: Path | str, config: RetrainConfig, epochs: float
) -> bool:
    """Check whether `retrain_early` would read its model, or the finished one, and not train.

    Args:
        genotype: The architecture.
        dataset: The log.
        out_dir: The model's folder.
        config: How the model is trained.
        epochs: As for `retrain_early`.

    Returns:
        True if the training need not run.
    """
    return finished_early(Job.of(genotype, dataset, out_dir, config, None), epochs) is not None


def finished_early(job: Job, epochs: float) -> RetrainedModel | None:
    """The model after so many epochs, or the finished one, if the job's folder has either."""
    known = finished_model(job.out_dir, job.wanted)
    return known or finished_model(job.out_dir / EARLY, _wanted(job, epochs))


def _wanted(job: Job, epochs: float) -> dict[str, Any]:
    return {**job.wanted, "epochs": epochs}
