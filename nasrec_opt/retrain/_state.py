"""An unfinished training: everything that its next step depends on, in memory and as one file.

A training that continues from a file ends with the same result as one without an interruption, bit
for bit on a CPU with the same number of threads.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nasrec_opt._files import atomic_path
from nasrec_opt.errors import StudyError
from nasrec_opt.options import RetrainConfig
from nasrec_opt.retrain._learner import Learner
from nasrec_opt.retrain._wanted import is_same_training
from nasrec_opt.supernet import Subnet

HEAD = "training"  # key of the file's metadata; they are text
BEST, OTHER, AHEAD, LOGITS, ANSWERS = "best.", "other.", "ahead.", "logits", "answers"
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
        weights = _under(prefix, tensors)
        found.rule = _under(RULE, weights)
        found.weights = {n: w for n, w in weights.items() if not n.startswith(RULE)}
        return found


@dataclass(slots=True)
class TrainingState:
    """A training under way.

    Args:
        learner: Weights, their average and the optimizers' state.
        rate_trials: Validation log loss of every candidate learning rate so far; empty with a
            single one.
        trial_steps: Steps of each candidate while learning rates are compared, otherwise 0.
        ahead: While learning rates are compared, the best of those that are done, if it is not
            `learner`. So there are two models in memory at most, however many rates there are.
        best: The weights that would be kept if training ended now.
        other: The best weights of another epoch. Each epoch begins with a fresh table, so the mean
            of both epochs' logits has less noise than those of one epoch.
        validation: `(steps, validation log loss)` so far.
        seconds: Wall time so far.
        answers: Logits of the best weights on all validation rows, `[rows]`, if `learner` is the
            second training of a refit; None before. These weights are not needed any more then.
    """

    learner: Learner
    rate_trials: dict[float, float]
    trial_steps: int = 0
    ahead: Learner | None = None
    best: BestWeights = field(default_factory=BestWeights)
    other: BestWeights = field(default_factory=BestWeights)
    validation: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    answers: npt.NDArray[np.float32] | None = None
    _since: float = field(default_factory=time.perf_counter)

    @property
    def scored(self) -> int:
        """The last step that was scored; 0 before the first."""
        return self.validation[-1][0] if self.validation else 0

    def count_time(self) -> None:
        """Add the wall time since the state was made, read, or counted last."""
        now = time.perf_counter()
        self.seconds += now - self._since
        self._since = now

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

        rule = self.learner.rule_to_keep
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
        if not math.isfinite(self.best.log_loss):
            raise StudyError("training: expected a finite validation log loss, got none")

    def save(self, file: Path, wanted: Mapping[str, Any]) -> None:
        """Write the state, whole or not at all.

        Args:
            file: A safetensors file.
            wanted: Everything that the training depends on, as JSON values.
        """
        self.count_time()
        best, other, ahead = self.best, self.other, self.ahead
        tensors = self.learner.state_dict() | {LOGITS: torch.from_numpy(best.logits)}
        tensors |= best.to_tensors(BEST) | other.to_tensors(OTHER)
        if ahead is not None:
            tensors |= {AHEAD + name: tensor for name, tensor in ahead.state_dict().items()}
        if self.answers is not None:
            tensors[ANSWERS] = torch.from_numpy(self.answers)
        head = {
            "wanted": wanted,
            "learning_rate": self.learner.learning_rate,
            "schedule": self.learner.schedule,
            "rate_trials": list(self.rate_trials.items()),
            "trial_steps": self.trial_steps,
            "ahead": None if ahead is None else [ahead.learning_rate, ahead.steps],
            "steps": self.learner.steps,
            "best": [best.step, best.log_loss],
            "other": [other.step, other.log_loss],
            "validation": self.validation,
            "seconds": self.seconds,
        }
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        forget(file, only_torn=True)
        with atomic_path(file) as temporary:  # straight from memory: tables may be large
            save_file(tensors, temporary, {HEAD: json.dumps(head)})

    @classmethod
    def load(
        cls,
        file: Path,
        wanted: Mapping[str, Any],
        fresh: Callable[[], Subnet],
        config: RetrainConfig,
        steps: int,
    ) -> TrainingState | None:
        """The state in a file.

        Args:
            file: The file.
            wanted: All that the training depends on.
            fresh: Makes a model of the training's shape, which gets the weights.
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
            schedule = int(head.get("schedule", steps))  # a file from before has none
            learner = Learner(fresh(), config, float(head["learning_rate"]), schedule)
            learner.load_state_dict(tensors, int(head["steps"]))
            ahead = None
            if head.get("ahead"):  # a file from before has none
                rate, done = head["ahead"]
                ahead = Learner(fresh(), config, float(rate), steps)
                ahead.load_state_dict(_under(AHEAD, tensors), int(done))
            best = BestWeights.from_tensors(BEST, tensors, *_place(head["best"]))
            best.logits = tensors[LOGITS].numpy()
            none = [0, math.inf]  # in a file from before a second epoch's weights were kept
            other = BestWeights.from_tensors(OTHER, tensors, *_place(head.get("other", none)))
            return cls(
                learner,
                {float(rate): float(value) for rate, value in head["rate_trials"]},
                int(head.get("trial_steps", 0)),
                ahead,
                best,
                other,
                [(int(step), float(value)) for step, value in head["validation"]],
                float(head["seconds"]),
                tensors[ANSWERS].numpy() if ANSWERS in tensors else None,
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError):
            return None  # missing or of another training: a new training replaces it


def forget(file: Path, *, only_torn: bool = False) -> None:
    """Remove the file of a state, and what a killed process left of one that it was writing.

    Args:
        file: The file.
        only_torn: Whether a whole state stays.
    """
    for torn in file.parent.glob(f".{file.name}.*"):
        torn.unlink(missing_ok=True)
    if not only_torn:
        file.unlink(missing_ok=True)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _place(values: list[Any]) -> tuple[int, float]:
    """Step and log loss of kept weights; JSON has infinity as Python writes it."""
    step, log_loss = values
    return int(step), float(log_loss)
