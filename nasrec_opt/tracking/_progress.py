"""Progress of a study: best values, front, hypervolume and counts, by number of trials.

Trials are folded in one after the other, in the order in which they ended; the step of a value is
the number of trials that had ended by then. Only trials that meet their constraints and have finite
values count for best values and hypervolume.

The hypervolumes of two studies can be compared if both have the same reference point. This is the
given one, or else that of the experiment, which its first study sets: the worst value of each
objective among the first `REFERENCE_TRIALS` trials that count, plus a tenth of their range.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt._metrics import AUC
from nasrec_opt.samplers import hypervolume, is_feasible
from nasrec_opt.tracking._record import milliseconds
from nasrec_opt.tracking._values import as_number

REFERENCE_TRIALS = 32
MARGIN = 0.1
BEST_AUC = f"best_{AUC.name}"
MAX_OBJECTIVES = 3  # of a hypervolume: with more, an exact one takes minutes for a large front


@dataclass(frozen=True, slots=True)
class Point:
    """One value of the history of a study.

    Args:
        name: Of the metric.
        value: As the study counts it: larger is better where it maximises.
        step: Number of trials that had ended.
        moment_ms: When the last of them ended, in milliseconds since the epoch.
    """

    name: str
    value: float
    step: int
    moment_ms: int


@dataclass
class Progress:
    """Folds the finished trials of a study into points.

    Args:
        names: Of the objectives, in order.
        directions: Of the objectives.
        logged: Number of trials whose points are already logged.
        measured: The same for the hypervolume, which waits for a reference point.
        reference: The reference point of the hypervolume, once there is one.
    """

    names: Sequence[str]
    directions: Sequence[StudyDirection]
    logged: int = 0
    measured: int = 0
    reference: tuple[float, ...] | None = None
    _seen: set[int] = field(default_factory=set)
    _counts: dict[str, float] = field(default_factory=dict)
    _waiting: list[tuple[int, int, npt.NDArray[np.float64]]] = field(default_factory=list)
    _points: list[Point] = field(default_factory=list)
    _moment_ms: int = 0

    def __post_init__(self) -> None:
        signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in self.directions]
        self._signs = np.array(signs)
        self._best = np.full(len(signs), math.inf)
        self._front = np.empty((0, len(signs)))  # of the trials that the hypervolume has
        self._whole_front = self._front  # of all trials so far
        self._counts = dict.fromkeys(("trials", "failed_trials", "pruned_trials"), 0.0)
        self._counts["trial_seconds"] = 0.0
        self._best_auc = -math.inf
        self._hypervolume: float | None = None

    @property
    def has_hypervolume(self) -> bool:
        """Whether the study has as many objectives as a hypervolume needs."""
        return 2 <= len(self._signs) <= MAX_OBJECTIVES

    def add(self, trials: Iterable[FrozenTrial]) -> None:
        """Fold in trials that have finished since the last call."""
        new = [t for t in trials if t.state.is_finished() and t.number not in self._seen]
        for trial in sorted(new, key=lambda t: (milliseconds(t.datetime_complete), t.number)):
            self._seen.add(trial.number)
            self._add(trial)

    def first_reference(self, *, is_last: bool) -> tuple[float, ...] | None:
        """The reference point from the first trials, once there are enough of them.

        Args:
            is_last: Whether no more trials are expected, so that fewer are enough.
        """
        losses = np.array([loss for _, _, loss in self._waiting[:REFERENCE_TRIALS]])
        if len(losses) < (1 if is_last else REFERENCE_TRIALS):
            return None
        worst, best = losses.max(axis=0), losses.min(axis=0)
        spread = np.where(worst > best, worst - best, np.maximum(np.abs(worst), 1e-9))
        return tuple((self._signs * (worst + MARGIN * spread)).tolist())

    def points(self) -> list[Point]:
        """The new points since the last call: each improvement, and the current state."""
        if self.reference is not None and self.has_hypervolume:
            for step, moment_ms, loss in self._waiting:
                self._grow(step, moment_ms, loss)
            self._waiting.clear()
            if self._hypervolume is None and len(self._front):
                self._hypervolume = self._measured()
        found, self._points = self._points, []
        step = int(self._counts["trials"])
        stand: dict[str, float] = {}
        if step > self.logged:
            self.logged = step
            stand |= self._counts | {"front_size": float(len(self._whole_front))}
            for name, sign, best in zip(self.names, self._signs, self._best, strict=True):
                if math.isfinite(best):
                    stand[f"best_{name}"] = float(sign * best)
            if math.isfinite(self._best_auc):
                stand[BEST_AUC] = self._best_auc
        if step > self.measured and self._hypervolume is not None:
            self.measured = step
            stand["hypervolume"] = self._hypervolume
        known = {(point.name, point.step) for point in found}
        found += [
            Point(name, value, step, self._moment_ms)
            for name, value in stand.items()
            if (name, step) not in known
        ]
        return found

    def _add(self, trial: FrozenTrial) -> None:
        counts, step = self._counts, int(self._counts["trials"]) + 1
        counts["trials"] = step
        counts["failed_trials"] += trial.state == TrialState.FAIL
        counts["pruned_trials"] += trial.state == TrialState.PRUNED
        counts["trial_seconds"] += trial.duration.total_seconds() if trial.duration else 0.0
        self._moment_ms = max(self._moment_ms, milliseconds(trial.datetime_complete))
        values = trial.values if trial.state == TrialState.COMPLETE else None
        if values is None or not np.isfinite(values).all() or not is_feasible(trial):
            return
        loss = self._signs * np.array(values)
        for name, sign, new, before in zip(self.names, self._signs, loss, self._best, strict=True):
            if new < before and step > self.logged:
                self._points.append(Point(f"best_{name}", float(sign * new), step, self._moment_ms))
        self._best = np.minimum(self._best, loss)
        self._add_auc(as_number(trial.user_attrs.get(AUC.name)), step)
        self._whole_front = _joined(self._whole_front, loss)
        if self.has_hypervolume:
            self._waiting.append((step, self._moment_ms, loss))

    def _add_auc(self, auc: float | None, step: int) -> None:
        """Take the AUC that an objective notes beside its values, where there is one."""
        if AUC.name in self.names or auc is None or not self._best_auc < auc < math.inf:
            return
        self._best_auc = auc
        if step > self.logged:
            self._points.append(Point(BEST_AUC, auc, step, self._moment_ms))

    def _grow(self, step: int, moment_ms: int, loss: npt.NDArray[np.float64]) -> None:
        """Add a point to the front, unless another one there is as good."""
        grown = _joined(self._front, loss)
        if grown is self._front:
            return
        self._front = grown
        self._hypervolume = None
        if step > self.measured:
            self._hypervolume = self._measured()
            self._points.append(Point("hypervolume", self._hypervolume, step, moment_ms))

    def _measured(self) -> float:
        return hypervolume(self._front, self._signs * np.array(self.reference))


def _joined(
    front: npt.NDArray[np.float64], loss: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The front with one more point; the same array if a point there is as good."""
    if (front <= loss).all(axis=1).any():
        return front
    return np.vstack([front[~(loss <= front).all(axis=1)], loss])
