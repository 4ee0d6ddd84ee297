"""The training of one model: its learning rate and its end are chosen on validation rows."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from nasrec_opt.data import Batch, Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.retrain._config import RetrainConfig
from nasrec_opt.retrain._learner import Learner
from nasrec_opt.retrain._metrics import log_loss, predict
from nasrec_opt.supernet import Subnet

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class History:
    """What a training went through.

    Args:
        learning_rate: The one chosen.
        rate_trials: Validation log loss of every candidate, by learning rate; empty where there was
            but one.
        validation: Validation log losses of the chosen run, `(steps done, log loss)`, in order.
        best_step: Steps behind the weights that were kept.
    """

    learning_rate: float
    rate_trials: dict[float, float]
    validation: tuple[tuple[int, float], ...]
    best_step: int


class BestWeights:
    """The weights with the lowest log loss so far, and when an epoch brought nothing."""

    def __init__(self) -> None:
        self.log_loss = math.inf
        self.step = 0
        self.weights: dict[str, Tensor] = {}
        self._before_epoch = math.inf

    def offer(self, value: float, step: int, subnet: Subnet) -> None:
        """Keep a copy of the weights if they are the best so far."""
        if value < self.log_loss:
            self.log_loss, self.step = value, step
            self.weights = {name: w.clone() for name, w in subnet.state_dict().items()}

    def is_epoch_wasted(self) -> bool:
        """Ask at the end of each epoch: whether nothing in it beat the epochs before."""
        wasted = self.log_loss >= self._before_epoch
        self._before_epoch = self.log_loss
        return wasted


class Training:
    """Trains a subnet on one dataset.

    Args:
        dataset: Its train split is learnt, its validation split decides; test is never read.
        config: How.
        progress: Called with (steps done, maximum number of steps).
    """

    def __init__(
        self, dataset: Dataset, config: RetrainConfig, progress: Progress | None = None
    ) -> None:
        self._train, self._validation = dataset.split("train"), dataset.split("validation")
        self._config = config
        self._progress = progress
        # Rows short of a last batch are left out; each epoch leaves out others.
        self.epoch_steps = max(1, self._train.num_rows // config.batch_size)
        self.trial_steps = max(1, round(self.epoch_steps * config.trial_fraction))
        losers = len(config.learning_rates) - 1
        self._most_steps = self.epoch_steps * config.epochs + self.trial_steps * losers
        self._done = 0

    def run(self, subnet: Subnet) -> History:
        """Train `subnet` in place; it ends with the best weights on validation.

        Raises:
            StudyError: No candidate learning rate gave a finite log loss.
        """
        learner, trials = self._choose_rate(subnet)
        best = BestWeights()
        validation: list[tuple[int, float]] = []
        if trials and self.trial_steps == self.epoch_steps:  # the trial was a whole epoch
            with learner.averaged() as averaged:
                best.offer(trials[learner.learning_rate], learner.steps, averaged)
            validation.append((learner.steps, best.log_loss))
        scored = self._scored_steps()
        for epoch in range(self._config.epochs):
            if epoch:
                learner.begin_epoch(epoch)
            done = learner.steps - epoch * self.epoch_steps  # the learning rate's trial
            for step, batch in self._batches(epoch, done):
                self._step(learner, batch)
                if step + 1 in scored:
                    with learner.averaged() as averaged:
                        value = self._score(averaged)
                        best.offer(value, learner.steps, averaged)
                    validation.append((learner.steps, value))
            if best.is_epoch_wasted():
                break
        if not best.weights:
            raise StudyError("training: expected a finite validation log loss, got none")
        learner.subnet.load_state_dict(best.weights)
        subnet.load_state_dict(best.weights)
        return History(learner.learning_rate, trials, tuple(validation), best.step)

    def _choose_rate(self, subnet: Subnet) -> tuple[Learner, dict[float, float]]:
        """The learner, already begun, whose rate was best, and every rate's log loss."""
        rates = self._config.learning_rates
        trials: dict[float, float] = {}
        chosen: Learner | None = None
        if len(rates) == 1:
            chosen = Learner(subnet, self._config, rates[0])
            chosen.begin_epoch(0)
            return chosen, {}
        for rate in rates:
            learner = Learner(copy.deepcopy(subnet), self._config, rate)
            learner.begin_epoch(0)
            for step, batch in self._batches(0, 0):
                if step == self.trial_steps:
                    break
                self._step(learner, batch)
            with learner.averaged() as averaged:
                trials[rate] = self._score(averaged)
            if chosen is None or trials[rate] < min(v for r, v in trials.items() if r != rate):
                chosen = learner
        assert chosen is not None  # there is at least one rate
        return chosen, trials

    def _scored_steps(self) -> set[int]:
        """Steps of an epoch after which it is scored; the last is one of them."""
        count = min(self._config.evaluations_per_epoch, self.epoch_steps)
        return {round(self.epoch_steps * (i + 1) / count) for i in range(count)}

    def _step(self, learner: Learner, batch: Batch) -> None:
        learner.step(batch)
        self._done += 1
        if self._progress:
            self._progress(self._done, self._most_steps)

    def _score(self, subnet: Subnet) -> float:
        """Validation log loss; infinite where it is not a number, so that it is never chosen."""
        value = log_loss(*predict(subnet, self._validation, self._config.evaluation_rows))
        return value if math.isfinite(value) else math.inf

    def _batches(self, epoch: int, start: int) -> Iterator[tuple[int, Batch]]:
        """Steps `start` to the end of an epoch; every epoch has an order of its own."""
        seed = int(np.random.SeedSequence([self._config.seed, epoch]).generate_state(1)[0])
        batches = self._train.batches(
            self._config.batch_size,
            seed=seed,
            start_step=start,
            drop_last=self._train.num_rows >= self._config.batch_size,
        )
        return enumerate(batches, start=start)
