"""A training in parts: for some epochs now, and for more later if it is worth it.

Many models can be compared after little training, and only the good ones continue (successive
halving; Jamieson and Talwalkar 2016). The result does not depend on how a training is divided.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from nasrec_opt._files import atomic_write
from nasrec_opt.data import Dataset, evenly_spaced
from nasrec_opt.errors import StudyError
from nasrec_opt.options import RetrainConfig
from nasrec_opt.retrain._job import STATE, Job
from nasrec_opt.retrain._metrics import log_losses
from nasrec_opt.retrain._state import forget
from nasrec_opt.retrain._training import Progress, Training
from nasrec_opt.retrain._wanted import is_same_training
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Supernet

HEAD, LOGITS = "part", "logits"


@dataclass(frozen=True, slots=True)
class PartialModel:
    """The result of a training so far.

    Args:
        steps: Number of steps done.
        log_loss: Validation log loss of the best weights so far, nats, on `evaluation_rows` rows.
        row_losses: Log loss of each of these rows, `[rows]`: models are compared row by row.
        seconds: Wall time of the training so far, including the choice of the learning rate, s.
        is_over: Whether more epochs would change nothing.
    """

    steps: int
    log_loss: float
    row_losses: npt.NDArray[np.float64]
    seconds: float
    is_over: bool


def train_epochs(
    genotype: Genotype,
    dataset: Dataset,
    out_dir: Path | str,
    config: RetrainConfig | None = None,
    *,
    epochs: float,
    supernet: Supernet | None = None,
    progress: Progress | None = None,
) -> PartialModel:
    """Train a genotype's model up to a number of epochs, from scratch or from its last state.

    The folder keeps weights and the optimizers' state, from which more epochs, or `retrain`,
    continue. A part that is already in the folder is read, not trained.

    Args:
        genotype: The architecture.
        dataset: The log, opened as the model is to read it (`min_count`, `binned_dense`).
        out_dir: The model's folder, the same as that of `retrain`.
        config: How the model is trained, as for `retrain`.
        epochs: Passes over the training rows, all parts together; a fraction is a part of the
            first. Training continues to the next step at which it is scored, but not beyond its
            end.
        supernet: See `retrain`.
        progress: Called with (steps done now, maximum number of steps).

    Returns:
        Steps done, and validation log losses (nats) after them.

    Raises:
        StudyError: `epochs` is not above 0, or training reached no finite log loss.
    """
    require_epochs(epochs)
    job = Job.of(genotype, dataset, out_dir, config, supernet)
    validation = dataset.split("validation")
    rows = evenly_spaced(validation.num_rows, job.config.evaluation_rows)
    labels = validation.rows(rows).labels
    file = part_file(job.out_dir, epochs)
    known = _read(file, job.wanted, labels)
    if known:
        return known
    training = job.training(progress)
    steps = math.ceil(epochs * training.epoch_steps)
    state = job.state(training)
    # Its part was removed, or other epochs were asked for.
    is_beyond = state.answers is not None or (state.learner.steps > steps and state.scored >= steps)
    if is_beyond:
        training = job.training(progress, keeps=False)
        state = training.begin(job.subnet)
    training.advance(state, steps)
    state.require_finite()
    state.count_time()
    if not is_beyond:
        state.save(job.state_file, job.wanted)
    head = {
        "wanted": job.wanted,
        "steps": state.learner.steps,
        "log_loss": state.best.log_loss,
        "seconds": state.seconds,
        "is_over": training.is_over(state),
    }
    content = save({LOGITS: torch.from_numpy(state.best.logits)}, {HEAD: json.dumps(head)})
    with atomic_write(file, "wb") as stream:
        stream.write(content)
    return _model(head, state.best.logits, labels)


def epoch_steps(dataset: Dataset, config: RetrainConfig | None = None) -> int:
    """Count the steps of an epoch.

    Args:
        dataset: The log.
        config: How models are trained, or None for the defaults.

    Returns:
        Number of steps, each of a full batch; 1 at least.
    """
    return Training(dataset, config or RetrainConfig()).epoch_steps


def require_epochs(epochs: float) -> None:
    """Refuse a number of epochs that no training can have.

    Raises:
        StudyError: It is not finite, or not above 0.
    """
    if not 0 < epochs < math.inf:
        raise StudyError(f"epochs: expected a finite number above 0, got {epochs}")


def part_file(out_dir: Path, epochs: float) -> Path:
    """The file in a model's folder with the results after a number of epochs."""
    return out_dir / f"epochs-{epochs:g}.safetensors"


def forget_training(out_dir: Path | str) -> None:
    """Remove the state that a training would continue from; its results stay.

    Args:
        out_dir: The model's folder.
    """
    forget(Path(out_dir) / STATE)


def head_of(file: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """Figures of a part of a training; None if it is missing or belongs to another training."""
    try:
        with safe_open(file, framework="pt") as stored:
            head: dict[str, Any] = json.loads(stored.metadata()[HEAD])
            return head if is_same_training(head["wanted"], wanted) else None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def _read(file: Path, wanted: dict[str, Any], labels: npt.ArrayLike) -> PartialModel | None:
    head = head_of(file, wanted)
    try:
        if head is None:
            return None
        with safe_open(file, framework="pt") as stored:
            return _model(head, stored.get_tensor(LOGITS).numpy(), labels)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None  # damaged: the new training replaces it


def _model(
    head: dict[str, Any], logits: npt.NDArray[np.float32], labels: npt.ArrayLike
) -> PartialModel:
    return PartialModel(
        steps=int(head["steps"]),
        log_loss=float(head["log_loss"]),
        row_losses=log_losses(logits, labels),
        seconds=float(head["seconds"]),
        is_over=bool(head["is_over"]),
    )
