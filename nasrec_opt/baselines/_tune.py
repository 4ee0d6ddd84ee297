"""The tuning of a hand-made model: an Optuna study whose trials are trainings.

A trial is scored on validation rows. The winner is then trained again and scored once on test rows.
The draws of a trial follow from the seed and from the trials before it, so a study that was killed
goes on as if it had not been.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler, TPESampler
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from nasrec_opt.baselines._fit import fit
from nasrec_opt.baselines._options import BaselineOptions
from nasrec_opt.baselines._registry import Build, baseline_spec
from nasrec_opt.baselines._train import TrainedBaseline, train_baseline
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError

SECONDS = "seconds"  # attribute of a trial: its wall time, s
STARTUP = 4  # random trials before the tree of Parzen estimators
TRIALS = 10  # where neither trials nor seconds are given

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedBaseline:
    """A hand-made model with the hyperparameters that were best on validation rows.

    Args:
        options: The hyperparameters; the defaults for logistic regression, which has its own.
        trials: Number of trainings that were compared.
        seconds: Wall time of the trainings that were compared, s.
        model: The model trained with these hyperparameters, scored on test rows.
    """

    options: BaselineOptions
    trials: int
    seconds: float
    model: TrainedBaseline


class _TimeOverError(Exception):
    """The seconds are spent."""


def tune_baseline(
    name: str,
    dataset: Dataset,
    *,
    trials: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    options: BaselineOptions | None = None,
    storage: BaseStorage | str | None = None,
    study_name: str | None = None,
    progress: Progress | None = None,
) -> TunedBaseline:
    """Choose the hyperparameters of a hand-made model on validation rows, and train it with them.

    Learning rate, embedding penalty and dropout are tuned by TPE; the first trial has the values of
    `options`. With a storage, trials that it has count, and a killed tuning continues.

    Args:
        name: A key of `BASELINES`. Logistic regression chooses its penalty from a list of its own,
            and takes no budget.
        dataset: The log, opened as the model is to read it.
        trials: Number of trainings to compare; 10 if neither this nor `seconds` is given.
        seconds: Wall time for the trainings to compare, s. At least one of them is finished; one
            that is not finished in time does not count.
        seed: Seed of the draws, and of every training.
        options: Hyperparameters that are not tuned, and the first values of those that are; None
            for the defaults.
        storage: Optuna storage of the study, or None to keep it in memory.
        study_name: Its name there, or None for that of the model.
        progress: Called with (trials finished, number of trials or None) while training.

    Returns:
        The hyperparameters, and the figures of the model trained with them.

    Raises:
        MissingExtraError: The library of the model is not installed.
        StudyError: There is no such model, the budget is not positive, or no training came to a
            finite log loss.

    Example:
        >>> tuned = tune_baseline("deepfm", dataset, seconds=60, seed=0)  # doctest: +SKIP
        >>> tuned.model.test_log_loss, tuned.options.learning_rate  # doctest: +SKIP
        (0.5031, 0.0012)
    """
    spec = baseline_spec(name)
    spec.load()
    if spec.build is None:
        model = train_baseline(name, dataset, seed=seed)
        return TunedBaseline(
            options=options or BaselineOptions(), trials=1, seconds=model.seconds, model=model
        )
    study = optuna.create_study(
        storage=storage, study_name=study_name or name, load_if_exists=True, direction="minimize"
    )
    tuning = Tuning(spec.build, spec.space, dataset, seed, options or BaselineOptions())
    chosen, count, spent = tuning.choose(study, trials, seconds, progress)
    model = train_baseline(name, dataset, chosen, seed=seed)
    return TunedBaseline(options=chosen, trials=count, seconds=spent, model=model)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the trials of a tuning have in common.

    Args:
        build: Makes a network, as `BaselineSpec.build`.
        space: What is tuned, as `BaselineSpec.space`.
        dataset: The log.
        seed: Seed of the draws, and of every training.
        options: Hyperparameters of the first trial.
    """

    build: Build
    space: Mapping[str, BaseDistribution]
    dataset: Dataset
    seed: int
    options: BaselineOptions

    def choose(
        self,
        study: optuna.Study,
        trials: int | None,
        seconds: float | None,
        progress: Progress | None = None,
    ) -> tuple[BaselineOptions, int, float]:
        """Bring a study to its budget, and read what it has found.

        Args:
            study: The study; it may have trials.
            trials: As for `tune_baseline`.
            seconds: As for `tune_baseline`.
            progress: As for `tune_baseline`.

        Returns:
            The best options, the number of trials behind them, and their wall time, s.

        Raises:
            StudyError: The budget is not positive, or no training came to a finite log loss.
        """
        for what, given in (("trials", trials), ("seconds", seconds)):
            if given is not None and not given > 0:
                raise StudyError(f"{what}: expected more than 0, got {given!r}")
        if trials is None and seconds is None:
            trials = TRIALS
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)  # of a process that was killed
        while True:
            done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            spent = sum(trial.user_attrs[SECONDS] for trial in done)
            if progress:
                progress(len(done), trials)
            is_enough = trials is not None and len(done) >= trials
            if done and (is_enough or (seconds is not None and spent >= seconds)):
                break
            left = None if seconds is None or not done else seconds - spent
            if not self._try(study, len(done), left):
                break
        finite = [trial for trial in done if trial.value is not None and isfinite(trial.value)]
        if not finite:
            raise StudyError(f"{study.study_name}: expected a finite validation log loss, got none")
        best = min(finite, key=lambda trial: (trial.value, trial.number))
        return replace(self.options, **best.params), len(done), spent

    def _try(self, study: optuna.Study, number: int, left: float | None) -> bool:
        """Run one trial; whether it was finished before the time was over."""
        study.sampler = self._sampler(number)
        trial = study.ask(dict(self.space))
        started = time.monotonic()

        def check() -> None:
            if left is not None and time.monotonic() - started > left:
                raise _TimeOverError

        options = replace(self.options, **trial.params)
        try:
            fitted = fit(self.build, options, self.dataset, self.seed, progress=check)
            value = fitted.log_loss("validation")
        except _TimeOverError:
            study.tell(trial, state=TrialState.FAIL)
            return False
        except StudyError:
            value = inf
        trial.set_user_attr(SECONDS, time.monotonic() - started)
        study.tell(trial, value)
        return True

    def _sampler(self, number: int) -> BaseSampler:
        """The sampler of a trial; its stream depends on the number of finished trials alone."""
        stream = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = TPESampler(seed=stream, n_startup_trials=STARTUP, multivariate=True)
            if number:
                return sampler
            first = {name: getattr(self.options, name) for name in self.space}
            return PartialFixedSampler(first, sampler)
