"""The search stage: ask, evaluate, tell, log; and which of what was found is retrained."""

from __future__ import annotations

import math
import signal
import threading
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeAlias

import optuna
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt.errors import StudyError
from nasrec_opt.objective import Objective
from nasrec_opt.oracle import architecture
from nasrec_opt.pipeline._identity import without_unread
from nasrec_opt.pipeline._storage import requeue_interrupted
from nasrec_opt.samplers import is_feasible
from nasrec_opt.space import Genotype

Progress = Callable[[int, int | None], None]
Found: TypeAlias = tuple[Genotype, FrozenTrial]  # an architecture, and the trial that found it
Callback = Callable[[optuna.Study, FrozenTrial], None]

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)  # came to what a study can learn from


def search(
    study: optuna.Study,
    objective: Objective,
    *,
    n_trials: int,
    callbacks: Iterable[Callback] = (),
    progress: Progress | None = None,
) -> None:
    """Bring a study to `n_trials` finished trials, complete or pruned.

    Unlike `study.optimize`, an interrupted trial stays as it is: the next call takes it up again
    under its own number, so that a study killed at any moment ends as one left alone. A trial that
    fails is no trial done: another one takes its place, until the objective says that none works.

    Args:
        study: The study; no other process may work on it.
        objective: What is minimised.
        n_trials: Complete and pruned trials at the end.
        callbacks: Called after each trial.
        progress: Called with (finished trials, `n_trials`).

    Raises:
        StudyError: Trial after trial failed; see `Objective`.
    """
    requeue_interrupted(study)
    callbacks = tuple(callbacks)
    done = len(finished_trials(study))
    if progress:
        progress(done, n_trials)
    with _interrupts_between_trials() as raise_if_interrupted, warnings.catch_warnings():
        # A trial taken up again reports the steps before its interruption once more.
        warnings.filterwarnings("ignore", message="The reported value is ignored")
        while done < n_trials:
            raise_if_interrupted()
            frozen = _evaluate(study, objective)
            for callback in callbacks:
                callback(study, frozen)
            done += frozen.state in FINISHED
            if progress:
                progress(done, n_trials)


def _evaluate(study: optuna.Study, objective: Objective) -> FrozenTrial:
    """One trial from its proposal to its end."""
    trial = study.ask()
    try:
        values = objective(trial)
    except optuna.TrialPruned:
        return study.tell(trial, state=TrialState.PRUNED)
    except Exception:
        study.tell(trial, state=TrialState.FAIL)  # else each later search would take it up again
        raise
    told = values if isinstance(values, tuple) else (values,)
    if any(math.isnan(value) for value in told):
        return study.tell(trial, state=TrialState.FAIL)
    return study.tell(trial, told)


def complete_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials with values, oldest first."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count as done, oldest first: with values, or pruned on the way to them."""
    return study.get_trials(deepcopy=False, states=FINISHED)


def require_settings(study: optuna.Study, settings: Any) -> None:
    """Write down, or compare, under which settings the trials of a study were evaluated.

    Raises:
        StudyError: The study's trials were evaluated under other settings.
    """
    recorded = study.user_attrs.get("settings")
    if recorded is None:
        study.set_user_attr("settings", settings)
        return
    recorded = without_unread(recorded)
    if recorded != settings:
        key = next(k for k in sorted({*recorded, *settings}) if recorded.get(k) != settings.get(k))
        raise StudyError(
            f"study {study.study_name!r}: its trials were evaluated with other settings: {key} was "
            f"{recorded.get(key)!r} then, is {settings.get(key)!r} now; give the "
            "study another name, or another --out"
        )


@contextmanager
def _interrupts_between_trials() -> Iterator[Callable[[], None]]:
    """Let the first Ctrl-C wait for the trial that runs: in a transaction it would be an error.

    The second one interrupts at once. Only a main thread is told of signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = signal.getsignal(signal.SIGINT)
    came: list[int] = []

    def wait(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        signal.signal(signal.SIGINT, before)

    def raise_if_interrupted() -> None:
        if came:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, wait)
    try:
        yield raise_if_interrupted
        raise_if_interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def winners(study: optuna.Study, count: int) -> list[Found]:
    """The genotypes worth retraining: one for each architecture, whatever its accelerator.

    Feasible trials in the order of their log loss: members of the Pareto front first, and others
    only where the front has too few.

    Args:
        study: A study of this library.
        count: How many at most.

    Raises:
        StudyError: No trial keeps the constraints.
    """
    feasible = [t for t in complete_trials(study) if is_feasible(t)]
    if not feasible:
        raise StudyError(
            f"study {study.study_name!r}: expected a trial that meets the constraints, got none; "
            "relax them, or continue the search with a higher n_trials"
        )
    front = {t.number for t in study.best_trials}
    ordered = sorted(
        feasible, key=lambda t: (t.number not in front, log_loss_of(study, t), t.number)
    )
    chosen: dict[Hashable, tuple[Genotype, FrozenTrial]] = {}
    for trial in ordered:
        genotype = Genotype.from_json(trial.user_attrs["genotype"], f"trial {trial.number}")
        chosen.setdefault(architecture(genotype), (genotype, trial))
        if len(chosen) == count:
            break
    return list(chosen.values())


def log_loss_of(study: optuna.Study, trial: FrozenTrial) -> float:
    """Log loss of a complete trial, an objective or not."""
    names = study.metric_names or []
    if "log_loss" in names:
        return float(trial.values[names.index("log_loss")])
    return float(trial.user_attrs["log_loss"])
