"""The objectives and constraints of an Ax experiment, and the values of its trials, as arrays."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
from ax.core.data import Data
from ax.core.experiment import Experiment
from ax.core.types import ComparisonOp

from nasrec_opt.errors import StudyError

FloatArray = npt.NDArray[np.float64]


class Goals:
    """Objectives and constraints of an experiment, as values of its trials.

    Args:
        experiment: The experiment.
        data: What was measured.

    Raises:
        StudyError: It has no objectives, or a constraint is relative to a baseline.
    """

    def __init__(self, experiment: Experiment, data: Data | None) -> None:
        config = experiment.optimization_config
        if config is None:
            raise StudyError(
                "experiment: expected objectives, got none; call configure_optimization first"
            )
        weights = [(name, -weight) for name, weight in _weights(config.objective)]  # Ax maximises
        # A weighted sum is one objective.
        self._losses = [[w] for w in weights] if config.is_moo_problem else [weights]
        self._constraints = list(config.all_constraints)
        for constraint in self._constraints:
            if constraint.relative:
                raise StudyError(f"{constraint}: expected a bound, got one relative to a baseline")
        names = {*config.metric_names}
        self.values: dict[int, dict[str, float]] = {}
        if data is not None and len(data.df):
            # As Ax's files and databases keep them, with ten decimals: a choice must not depend on
            # whether
            # values were stored and read in between.
            means = json.loads(data.df["mean"].to_json(orient="values"))
            for trial, metric, mean in zip(
                data.df["trial_index"], data.df["metric_name"], means, strict=True
            ):
                self.values.setdefault(int(trial), {})[metric] = np.nan if mean is None else mean
        self.values = {
            number: found
            for number, found in self.values.items()
            if all(np.isfinite(found.get(name, np.nan)) for name in names)
            and experiment.trials[number].status.is_completed
        }
        self._running = {t.index for t in experiment.trials.values() if not t.status.is_terminal}
        self._num_trials = len(experiment.trials)

    def losses(self, trials: list[int]) -> FloatArray:
        """Objectives, smaller is better, `[trials, objectives]`."""
        return np.array([[self._sum(trial, ws) for ws in self._losses] for trial in trials])

    def excess(self, trials: list[int]) -> FloatArray:
        """How far over its bound each constraint is, `[trials, constraints]`."""
        found = np.empty((len(trials), len(self._constraints)))
        for column, constraint in enumerate(self._constraints):
            sign = 1.0 if constraint.op == ComparisonOp.LEQ else -1.0
            weights = _weights(constraint)
            for row, trial in enumerate(trials):
                found[row, column] = sign * (self._sum(trial, weights) - constraint.bound)
        return found

    def waiting(self, before: int) -> list[int]:
        """Trials before that number that are being evaluated or do not exist yet."""
        return [t for t in range(before) if t in self._running or t >= self._num_trials]

    def _sum(self, trial: int, weights: list[tuple[str, float]]) -> float:
        return sum(weight * self.values[trial][name] for name, weight in weights)


def _weights(goal: Any) -> list[tuple[str, float]]:
    """Names and weights of the metrics of an objective or a constraint."""
    weights = [weight for _, weight in goal.metric_weights]
    return list(zip(goal.metric_names, weights, strict=True))
