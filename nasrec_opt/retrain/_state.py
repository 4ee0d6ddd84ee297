"""An unfinished training: everything that its next step depends on, in memory and as one file.

A training that continues from a file ends with the same result as one without an interruption, bit
for bit on a CPU with the same number of threads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from nasrec_opt._files import atomic_write
from nasrec_opt.errors import StudyError
from nasrec_opt.options import RetrainConfig
from nasrec_opt.retrain._learner import Learner
from nasrec_opt.retrain._wanted import is_same_training
from nasrec_opt.supernet import Subnet

HEAD = "training"  # key of the file's metadata; they are text
BEST, OTHER, LOGITS = "best.", "other.", "logits"
RULE = "rule."  # within either of the first two


class BestWeights:
    """The weights with the lowest log loss so far, and the step at which they were reached."""

    def __init__(self) -> None:
        self.log_loss = math.inf
        self.step = 0
        self.weights: dict[str, Tensor] = {}
        self.rule: dict[str, Tensor] = {}  # the optimizers' state, if these weights learn on
        # of the rows that are scored
        self.logits: npt.NDArray[np.float32] = np.empty(0, np.float32)

    def offer(
        self,
        value: float,
        step: int,
        subnet: nn.Module,
        logits: npt.NDArray[np.float32] | None = None,
        rule: Callable[[], dict[str, Tensor]] = dict,
    ) -> None:
        """Keep a copy of weights, logits and optimizers' state, if they are the best so far."""
        if value < self.log_loss:
            self.log_loss, self.step = value, step
            self.logits = np.empty(0, np.float32) if logits is None else logits
            self.weights = {name: w.clone() for name, w in subnet.state_dict().items()}
            self.rule = rule()

    def to_tensors(self, prefix: str) -> dict[str, Tensor]:
        """All but the logits, for a file that holds others as well."""
        tensors = {prefix + name: weight for name, weight in self.weights.items()}
        return tensors | {f"{prefix}{RULE}{name}": tensor for name, tensor in self.rule.items()}

    @classmethod
    def from_tensors(
        cls, prefix: str, tensors: Mapping[str, Tensor], step: int, log_loss: float
    ) -> BestWeights:
        """Inverse of `to_tensors`, without logits."""
        found = cls()
        found.step, found.log_loss = step, log_loss
        for name, tensor in tensors.items():
            if name.startswith(prefix + RULE):
                found.rule[name.removeprefix(prefix + RULE)] = tensor
            elif name.startswith(prefix):
                found.weights[name.removeprefix(prefix)] = tensor
        return found


@dataclass(slots=True)
class TrainingState:
    """A training under way.

    Args:
        learner: Weights, their average and the optimizers' state.
        rate_trials: Validation log loss of every candidate learning rate; empty with a single one.
        best: The weights that would be kept if training ended now.
        other: The best weights of another epoch. Each epoch begins with a fresh table, so the mean
            of both epochs' logits has less noise than those of one epoch.
        validation: `(steps, validation log loss)` so far.
        seconds: Wall time so far.
        is_continued: Whether kept weights learn on from where they were, so that the optimizers'
            state is kept with them.
    """

    learner: Learner
    rate_trials: dict[float, float]
    best: BestWeights = field(default_factory=BestWeights)
    other: BestWeights = field(default_factory=BestWeights)
    validation: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    is_continued: bool = False

    def offer(
        self,
        value: float,
        step: int,
        epoch_steps: int,
        subnet: nn.Module,
        logits: npt.NDArray[np.float32],
    ) -> None:
        """Keep the weights if they are the best so far, or the best of another epoch.

        Args:
            value: Their log loss.
            step: Steps done.
            epoch_steps: Steps of an epoch.
            subnet: The weights.
            logits: Their logits.
        """

        def epoch_of(number: int) -> int:
            return (number - 1) // epoch_steps

        rule = self.learner.rule_state if self.is_continued else dict
        is_elsewhere = bool(self.best.weights) and epoch_of(step) != epoch_of(self.best.step)
        if value < self.best.log_loss:
            if is_elsewhere:
                self.other, self.best = self.best, BestWeights()
            self.best.offer(value, step, subnet, logits, rule)
        elif is_elsewhere:
            self.other.offer(value, step, subnet, rule=rule)

    def require_finite(self) -> None:
        """Refuse a training without a finite log loss.

        Raises:
            StudyError: No validation log loss so far is finite.
        """
        if not self.best.weights:
            raise StudyError("training: expected a finite validation log loss, got none")

    def save(self, file: Path, wanted: Mapping[str, Any]) -> None:
        """Write the state, whole or not at all.

        Args:
            file: A safetensors file.
            wanted: Everything that the training depends on, as JSON values.
        """
        best, other = self.best, self.other
        tensors = self.learner.state_dict() | {LOGITS: torch.from_numpy(best.logits)}
        tensors |= best.to_tensors(BEST) | other.to_tensors(OTHER)
        head = {
            "wanted": wanted,
            "learning_rate": self.learner.learning_rate,
            "rate_trials": list(self.rate_trials.items()),
            "steps": self.learner.steps,
            "best": [best.step, best.log_loss],
            "other": [other.step, other.log_loss],
            "validation": self.validation,
            "seconds": self.seconds,
        }
        content = save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            {HEAD: json.dumps(head)},
        )
        with atomic_write(file, "wb") as stream:
            stream.write(content)

    @classmethod
    def load(
        cls,
        file: Path,
        wanted: Mapping[str, Any],
        subnet: Subnet,
        config: RetrainConfig,
        steps: int,
    ) -> TrainingState | None:
        """The state in a file.

        Args:
            file: The file.
            wanted: All that the training depends on.
            subnet: Of the training's shape; it gets the weights, and is trained in place.
            config: That of the training.
            steps: Steps of the whole training.

        Returns:
            The state, or None if the file is missing, damaged, or of another training.
        """
        try:
            with safe_open(file, framework="pt") as stored:
                head = json.loads(stored.metadata()[HEAD])
                if not is_same_training(head["wanted"], wanted):
                    return None
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            learner = Learner(subnet, config, float(head["learning_rate"]), steps)
            learner.load_state_dict(tensors, int(head["steps"]))
            best = BestWeights.from_tensors(BEST, tensors, *_place(head["best"]))
            best.logits = tensors[LOGITS].numpy()
            none = [0, math.inf]  # in a file from before a second epoch's weights were kept
            other = BestWeights.from_tensors(OTHER, tensors, *_place(head.get("other", none)))
            return cls(
                learner,
                {float(rate): float(value) for rate, value in head["rate_trials"]},
                best,
                other,
                [(int(step), float(value)) for step, value in head["validation"]],
                float(head["seconds"]),
                config.learns_validation,
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError):
            return None  # missing or of another training: a new training replaces it


def _place(values: list[Any]) -> tuple[int, float]:
    """Step and log loss of kept weights; JSON has infinity as Python writes it."""
    step, log_loss = values
    return int(step), float(log_loss)
