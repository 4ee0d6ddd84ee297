"""A study as the report needs it: complete trials as plain records, front, hypervolume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt._metrics import LABELS
from nasrec_opt.errors import StudyError
from nasrec_opt.report._failures import failed_trials, reasons_in_words
from nasrec_opt.samplers import is_feasible
from nasrec_opt.space import Genotype


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One complete trial.

    Args:
        number: Its number.
        values: Objectives, in the study's order.
        figures: Its known metrics.
        genotype: Its architecture, if the trial has one.
        breakdown: Latency and energy by operator.
        is_feasible: Whether no constraint is violated.
        log_loss_se: Standard error of its log loss, nats, where trials race; otherwise None.
        num_rows: Validation rows that it has seen, where trials race; otherwise None.
    """

    number: int
    values: tuple[float, ...]
    figures: dict[str, float]
    genotype: Genotype | None
    breakdown: dict[str, dict[str, float]]
    is_feasible: bool
    log_loss_se: float | None = None
    num_rows: int | None = None


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as the report shows it.

    Args:
        name: Its name.
        metric_names: The objectives.
        trials: Complete trials, oldest first.
        front: Numbers of the trials on the Pareto front.
        states: Number of trials by state.
        failures: Why trials failed, in words; empty if none did.
        num_infeasible: Number of trials, complete or not, that violate a constraint.
    """

    name: str
    metric_names: tuple[str, ...]
    trials: tuple[TrialRecord, ...]
    front: frozenset[int]
    states: dict[str, int]
    failures: str
    num_infeasible: int

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """Objectives, `[trials, objectives]`."""
        return np.array([trial.values for trial in self.trials])

    @property
    def is_feasible(self) -> npt.NDArray[np.bool_]:
        """Whether no constraint is violated, `[trials]`."""
        return np.array([trial.is_feasible for trial in self.trials])

    @property
    def front_trials(self) -> list[TrialRecord]:
        """The trials on the Pareto front, by their first objective."""
        chosen = [trial for trial in self.trials if trial.number in self.front]
        return sorted(chosen, key=lambda trial: trial.values)


def read_study(study: optuna.Study) -> StudyRecord:
    """Read a study for a report.

    Args:
        study: A study with at least one complete trial.

    Returns:
        The record: complete trials, Pareto front, and counts by state.

    Raises:
        StudyError: No trial is complete.
    """
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise StudyError(f"study {study.study_name!r}: expected complete trials, got none")
    names = metric_names_of(study)
    states: dict[str, int] = {}
    for trial in trials:
        states[trial.state.name.lower()] = states.get(trial.state.name.lower(), 0) + 1
    # Only feasible trials; the front is empty if every trial violates a constraint.
    front = {trial.number for trial in study.best_trials if is_feasible(trial)}
    return StudyRecord(
        name=study.study_name,
        metric_names=tuple(names),
        trials=tuple(_record(trial, names) for trial in complete),
        front=frozenset(front),
        states=states,
        failures=reasons_in_words(failed_trials(study)),
        num_infeasible=sum(not is_feasible(trial) for trial in trials),
    )


def metric_names_of(study: optuna.Study) -> list[str]:
    """Names of a study's objectives, or default names."""
    return study.metric_names or [f"value {i}" for i in range(len(study.directions))]


def hypervolume_history(
    values: npt.NDArray[np.float64],
    is_feasible: npt.NDArray[np.bool_],
    box: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None,
) -> npt.NDArray[np.float64]:
    """Share of the box between ideal and worst point that the trials so far dominate.

    Each objective is scaled to the range it has over all trials, and the worst corner is the
    reference point. Estimated on 2,048 fixed quasi-random points, so that it costs the same for
    any number of objectives and never falls.

    Args:
        values: Minimised objectives, `[trials, objectives]`.
        is_feasible: Which trials count, `[trials]`.
        box: The ideal and the worst point, `[objectives]` each; None means those of these trials.

    Returns:
        `[trials]`, 0 to 1.
    """
    from scipy.stats import qmc

    low, high = box or (values.min(axis=0), values.max(axis=0))
    scaled = (values - low) / np.where(high > low, high - low, 1.0)
    points = qmc.Sobol(values.shape[1], scramble=False).random_base2(11)
    covered = np.zeros(len(points), dtype=bool)
    history = np.empty(len(values))
    for i, value in enumerate(scaled):
        if is_feasible[i]:
            covered |= (points >= value).all(axis=1)
        history[i] = covered.mean()
    return history


def _record(trial: FrozenTrial, names: list[str]) -> TrialRecord:
    attributes: dict[str, Any] = trial.user_attrs
    figures = dict(zip(names, trial.values, strict=True))
    for name in LABELS:
        if isinstance(attributes.get(name), (int, float)):
            figures.setdefault(name, float(attributes[name]))
    text = attributes.get("genotype")
    breakdown = attributes.get("breakdown") or {}
    for name in ("latency_us", "energy_uj"):
        if breakdown.get(name):
            figures.setdefault(name, float(sum(breakdown[name].values())))
    return TrialRecord(
        number=trial.number,
        values=tuple(trial.values),
        figures=figures,
        genotype=None if text is None else Genotype.from_json(text, f"trial {trial.number}"),
        breakdown=breakdown,
        is_feasible=is_feasible(trial),
        log_loss_se=attributes.get("log_loss_se"),
        num_rows=attributes.get("num_rows"),
    )
