"""The training of one model; validation rows choose its learning rate and its end.

Learning rates are compared one after the other, so that a second model is all that this needs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nasrec_opt._weights import relative_to
from nasrec_opt.data import Batch, Dataset, JoinedSplit, Split, evenly_spaced
from nasrec_opt.options import RetrainConfig
from nasrec_opt.retrain._learner import Learner
from nasrec_opt.retrain._metrics import log_loss, predict
from nasrec_opt.retrain._state import BestWeights, TrainingState
from nasrec_opt.supernet import Subnet, log_odds

Progress = Callable[[int, int | None], None]
Keep = Callable[[TrainingState], None]

TRIAL_STEPS = 100  # on which learning rates are compared, unless a quarter of an epoch is more
TRIAL_GROWTH = 4  # maximum extension of the comparison, until a rate beats the constant
VALIDATION_PASS = 2**31  # its number among the epochs, whose orders of rows all differ
BEATEN = 0.995  # share of the constant's log loss below which a model has learnt something


@dataclass(frozen=True, slots=True)
class History:
    """The course of a training.

    Args:
        learning_rate: The learning rate that was chosen.
        rate_trials: Validation log loss of every candidate, by learning rate; empty with a single
            candidate.
        validation: Validation log losses of the chosen run, `(steps done, log loss)`, in order.
        best_step: Steps behind the weights that were kept.
    """

    learning_rate: float
    rate_trials: dict[float, float]
    validation: tuple[tuple[int, float], ...]
    best_step: int


class Training:
    """Trains a subnet on one dataset.

    Args:
        dataset: The log. Its training rows are learned and its validation rows decide; test rows
            are never read.
        config: How models are trained; what is left open follows the number of training rows.
        progress: Called with (steps done, maximum number of steps).
        keep: Called with the state after each step, to save it now and then.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: RetrainConfig,
        progress: Progress | None = None,
        keep: Keep | None = None,
    ) -> None:
        self._train, self._validation = dataset.split("train"), dataset.split("validation")
        self._both = JoinedSplit(self._train, self._validation)
        rows = self._train.num_rows
        recipe = config.recipe(rows)
        self._config = config
        self._batch_size = recipe.batch_size
        # Rows short of a last batch are left out; each epoch leaves out others.
        self.epoch_steps = max(1, rows // recipe.batch_size)
        self.steps = self.epoch_steps * recipe.epochs
        self._refit_epoch_steps = max(1, self._both.num_rows // recipe.batch_size)
        self._refit_steps = self._refit_epoch_steps * recipe.epochs
        self._least_steps = recipe.least_steps
        self._patience = max(recipe.patience, self.epoch_steps)
        self.trial_steps, self._longest_trial = self._trial(config.trial_fraction)
        losers = len(config.learning_rates) - 1
        self._most_steps = self.steps + self.trial_steps * losers
        self._most_steps += self._refit_steps if config.refit else 0
        self._progress = progress
        self._keep = keep
        self._done = 0

    def run(self, subnet: Subnet) -> History:
        """Train a model in place; it ends with the weights that are best on validation rows.

        Args:
            subnet: The model.

        Returns:
            Learning rate, its alternatives, validation log losses (nats) and the best step.

        Raises:
            StudyError: No candidate learning rate gave a finite log loss.
        """
        several = len(self._config.learning_rates) > 1
        state = self.begin(lambda: copy.deepcopy(subnet) if several else subnet)
        self.advance(state)
        return self.finish(state, subnet)

    def begin(self, fresh: Callable[[], Subnet]) -> TrainingState:
        """Choose the learning rate on the first steps.

        Args:
            fresh: Makes the model before its first step, which is trained in place; called once for
                each candidate.

        Returns:
            The state of the training after these steps.
        """
        rates = self._config.learning_rates
        state = TrainingState(
            Learner(fresh(), self._config, rates[0], self.steps),
            {},
            self.trial_steps if len(rates) > 1 else 0,
        )
        self.choose(state, fresh)
        return state

    def choose(self, state: TrainingState, fresh: Callable[[], Subnet]) -> None:
        """Bring the comparison of learning rates to its end, if it is not over.

        Args:
            state: The state from `begin`, or from a file; changed in place.
            fresh: As for `begin`.
        """
        rates, trials = self._config.learning_rates, state.rate_trials
        while state.trial_steps:
            self._learn(state, state.trial_steps)
            self._compare(state)
            waiting = [rate for rate in rates if rate not in trials]
            if not waiting and self._can_tell(trials, state.trial_steps):
                state.trial_steps, state.ahead = 0, None
                self._evaluate(state)  # the log loss of the comparison is a score like any other
            elif waiting:
                state.ahead = state.learner
                state.learner = Learner(fresh(), self._config, waiting[0], self.steps)
            else:
                self._extend(state)
                state.learner = Learner(fresh(), self._config, rates[0], self.steps)

    def advance(self, state: TrainingState, steps: int | None = None) -> None:
        """Train until a number of steps is done and scored, or until training is over.

        Stopping on the way does not change the result.

        Args:
            state: The state from `begin` or from a file; changed in place.
            steps: Minimum number of steps, or None for all.
        """
        while not self.is_over(state) and (steps is None or state.scored < steps):
            self._learn(state, self._next_scored(state.learner.steps))
            self._evaluate(state)

    def learn(self, state: TrainingState, steps: int) -> None:
        """Train until a number of steps is done, or just before the next score.

        Nothing is scored, so reading the weights between two scores does not change the result.
        `advance` continues from there.

        Args:
            state: The state from `begin` or from a file; changed in place.
            steps: Number of steps.
        """
        if not self.is_over(state):
            self._learn(state, min(steps, self._next_scored(state.learner.steps) - 1))

    def is_over(self, state: TrainingState) -> bool:
        """Check whether training is over; it only ends with an epoch, where a fresh table is best.

        Args:
            state: The state of the training.

        Returns:
            True at the end of the last epoch, or if the patience is used up.
        """
        if state.answers is not None:
            return True
        steps = state.learner.steps
        if steps % self.epoch_steps or not steps:
            return False
        is_patient = steps < self._least_steps or steps - state.best.step < self._patience
        return steps >= self.steps or not is_patient

    def finish(self, state: TrainingState, subnet: Subnet) -> History:
        """Put the best weights into the model.

        Args:
            state: A training that is over, or that ends here.
            subnet: Gets the weights.

        Returns:
            Learning rate, its alternatives, validation log losses (nats) and the best step.

        Raises:
            StudyError: There is no finite validation log loss.
        """
        state.require_finite()
        subnet.load_state_dict(state.best.weights)
        return self.history(state)

    @staticmethod
    def history(state: TrainingState) -> History:
        """Tell the course of a training.

        Args:
            state: The state of the training.

        Returns:
            Learning rate, its alternatives, validation log losses (nats) and the best step.
        """
        return History(
            state.learner.learning_rate,
            state.rate_trials,
            tuple(state.validation),
            state.best.step,
        )

    def refit(self, state: TrainingState, fresh: Callable[[], Subnet]) -> npt.NDArray[np.float32]:
        """Train a second model, on training and validation rows together.

        It ends at the same share of its schedule as the best weights did. The subnet of the learner
        is this model then, with its averaged weights.

        Args:
            state: A training whose choices are all made, or a refit from a file; changed in place.
            fresh: As for `begin`.

        Returns:
            Logits of the first training's best weights on all validation rows, `[rows]`.

        Raises:
            StudyError: There is no finite validation log loss.
        """
        if state.answers is None:
            self.finish(state, state.learner.subnet)
            state.answers, _ = predict(state.learner.subnet, self._validation)
            state.best.weights, state.other = {}, BestWeights()
            rate = state.learner.learning_rate
            state.learner = Learner(fresh(), self._config, rate, self._refit_steps)
        self._learn(state, max(1, round(state.best.step * self._refit_steps / self.steps)))
        state.learner.keep_average()
        return state.answers

    def learn_validation(self, state: TrainingState, kept: BestWeights) -> None:
        """Let kept weights learn the validation rows as well, in one pass.

        The pass continues from where the weights were kept, with the table, rates and optimizers'
        state of that step: it is as if that epoch had more rows. The subnet of the learner ends
        with the averaged weights, or with the kept ones if their training has no such pass.

        Args:
            state: A training whose choices are all made.
            kept: Its best weights, or those of the other epoch.
        """
        learner = state.learner
        if not kept.rule:
            learner.subnet.load_state_dict(kept.weights)
            return
        learner.go_back(kept.weights, kept.rule, kept.step)
        for batch in self._batches_of(self._validation, VALIDATION_PASS):
            learner.step(batch)
        learner.keep_average()

    def _evaluate(self, state: TrainingState) -> None:
        """Score the averaged weights, and keep them if they are among the best so far."""
        with state.learner.averaged() as averaged:
            logits, value = self._score(averaged)
            state.offer(value, state.learner.steps, self.epoch_steps, averaged, logits)
        state.validation.append((state.learner.steps, value))

    def _compare(self, state: TrainingState) -> None:
        """Score a candidate; of it and the best so far, the better one becomes `learner`."""
        learner, ahead, trials = state.learner, state.ahead, state.rate_trials
        with learner.averaged() as averaged:
            trials[learner.learning_rate] = self._score(averaged)[1]
        if ahead is not None and trials[ahead.learning_rate] <= trials[learner.learning_rate]:
            state.learner = ahead
        state.ahead = None  # whichever is worse goes before the next one comes

    def _can_tell(self, trials: Mapping[float, float], steps: int) -> bool:
        """Whether one of the rates can be called the best: it is better than a constant."""
        is_better = min(trials.values()) < BEATEN * self._constant_log_loss()
        return is_better or steps >= self._longest_trial

    def _extend(self, state: TrainingState) -> None:
        """Compare the rates anew, on more steps."""
        steps, others = state.trial_steps, len(self._config.learning_rates) - 1
        state.trial_steps = min(2 * steps, self._longest_trial)
        # The steps so far are done again; those of all rates but the chosen one are extra.
        self._most_steps += steps * (others + 1) + (state.trial_steps - steps) * others
        state.rate_trials.clear()
        state.ahead = None

    def _trial(self, fraction: float | None) -> tuple[int, int]:
        """Steps on which learning rates are compared, and the maximum after extension."""
        if fraction is not None:
            steps = max(1, round(self.epoch_steps * fraction))
            return steps, steps
        steps = min(max(TRIAL_STEPS, self.epoch_steps // 4), self.steps)
        return steps, min(TRIAL_GROWTH * steps, self.steps)

    def _constant_log_loss(self) -> float:
        """Validation log loss of the training rows' click rate."""
        scored = self._config.evaluation_rows
        labels = self._validation.labels[evenly_spaced(self._validation.num_rows, scored)]
        constant = np.full(len(labels), log_odds(self._train.labels, self._train.weights))
        return log_loss(constant, labels, self._validation.weights_of(scored))

    def _learn(self, state: TrainingState, steps: int) -> None:
        """Train until `steps` steps are done; every epoch begins with a fresh table."""
        learner = state.learner
        rows: Split | JoinedSplit = self._train
        epoch_steps = self.epoch_steps
        if state.answers is not None:
            rows, epoch_steps = self._both, self._refit_epoch_steps
        while learner.steps < steps:
            epoch, done = divmod(learner.steps, epoch_steps)
            if not done:
                learner.begin_epoch(epoch)
            for batch in self._batches_of(rows, epoch, done):
                self._step(learner, batch)
                if learner.steps == steps:
                    return
                if self._keep is not None:  # never between the last step and its score
                    self._keep(state)

    def _next_scored(self, steps: int) -> int:
        """The first scored step after a number of steps; the last step of an epoch is scored."""
        count = min(self._config.evaluations_per_epoch, self.epoch_steps)
        scored = (round(self.epoch_steps * (i + 1) / count) for i in range(count))
        done = steps % self.epoch_steps
        return steps - done + next(step for step in scored if step > done)

    def _step(self, learner: Learner, batch: Batch) -> None:
        learner.step(batch)
        self._done += 1
        if self._progress:
            self._progress(self._done, self._most_steps)

    def _score(self, subnet: Subnet) -> tuple[npt.NDArray[np.float32], float]:
        """Logits and log loss on validation rows; NaN becomes infinity, which is never chosen."""
        scored = self._config.evaluation_rows
        logits, labels = predict(subnet, self._validation, scored)
        value = log_loss(logits, labels, self._validation.weights_of(scored))
        return logits, value if math.isfinite(value) else math.inf

    def _batches_of(
        self, split: Split | JoinedSplit, epoch: int, start: int = 0
    ) -> Iterable[Batch]:
        """Steps `start` to the end of an epoch; every epoch has an order of its own."""
        seed = int(np.random.SeedSequence([self._config.seed, epoch]).generate_state(1)[0])
        batches = split.batches(
            self._batch_size,
            seed=seed,
            start_step=start,
            drop_last=split.num_rows >= self._batch_size,
        )
        return relative_to(self._train.mean_weight, batches)
