"""A search that may be killed at any moment: ask, evaluate, tell, and begin where it stopped."""

from __future__ import annotations

import logging
import math
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from nasrec_opt._foreign.optuna import REPEATED_REPORT, give_back

Progress: TypeAlias = Callable[[int, int | None], None]
Callback: TypeAlias = Callable[[optuna.Study, FrozenTrial], None]
Function: TypeAlias = Callable[[Trial], float | tuple[float, ...]]

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)  # came to what a study can learn from

logger = logging.getLogger(__name__)


def search(
    study: optuna.Study,
    objective: Function,
    *,
    n_trials: int,
    callbacks: Iterable[Callback] = (),
    progress: Progress | None = None,
    shared: bool = False,
) -> None:
    """Bring a study to `n_trials` finished trials, complete or pruned, however often it is killed.

    Call it again after a kill, with the same numbers: what is done is not done again. A trial that
    fails is no trial done: another one takes its place, until the objective says that none works.

    Alone, which is the default, an interrupted trial is taken up again under its own number, so
    that a study with a sampler of this library ends as one left alone, trial for trial.

    Several workers, each with `shared=True`, bring the study to `n_trials` together, and to a few
    more where they end at the same moment. The trial that a killed worker leaves running stays so;
    where the storage has a heartbeat, the others fail it and try it again
    (docs/howto/several_workers.md). A worker that was slow and taken for dead loses that trial and
    goes on.

    Args:
        study: The study; unless `shared`, no other process may work on it.
        objective: What is minimised: an `Objective`, or any function of an Optuna trial.
        n_trials: Complete and pruned trials at the end.
        callbacks: Called after each trial of this process with the study and the trial.
        progress: Called with (finished trials, `n_trials`), or None to report nothing.
        shared: Whether other processes may work on the study.

    Raises:
        StudyError: Trial after trial failed; see `Objective`.

    Example:
        >>> import optuna
        >>> from nasrec_opt import Objective, SearchSpace
        >>> objective = Objective(SearchSpace.nasrec_small(2), lambda genotype: 0.5)
        >>> study = objective.create_study(study_name="mine", storage="sqlite:///mine.db")
        >>> search(study, objective, n_trials=8)  # this line again continues after a kill
        >>> len(study.trials)
        8
    """
    if not shared:
        requeue_interrupted(study)
    callbacks = tuple(callbacks)
    evaluate = _evaluate_shared if shared else _evaluate
    done = len(finished_trials(study))
    if progress:
        progress(done, n_trials)
    with _interrupts_between_trials() as raise_if_interrupted, warnings.catch_warnings():
        # A trial taken up again reports the steps before its interruption once more.
        warnings.filterwarnings("ignore", message=REPEATED_REPORT)
        while done < n_trials:
            raise_if_interrupted()
            frozen = evaluate(study, objective, callbacks)
            if shared:
                done = len(finished_trials(study))
            else:
                done += frozen is not None and frozen.state in FINISHED
            if progress:
                progress(done, n_trials)


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """List the trials that count as done: with values, or pruned on the way to them.

    Args:
        study: Any study.

    Returns:
        The trials, oldest first; do not change them.
    """
    return study.get_trials(deepcopy=False, states=FINISHED)


def requeue_interrupted(study: optuna.Study) -> int:
    """Give trials that a killed process left running back to the queue, under their own numbers.

    Only for a study that no other process works on. A sampler that draws from (seed, trial number)
    then proposes what it proposed before, so the study ends as if nothing had happened.

    Args:
        study: The study.

    Returns:
        Number of trials given back.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in running:
        give_back(study, trial)
    return len(running)


def _evaluate(
    study: optuna.Study, objective: Function, callbacks: Sequence[Callback]
) -> FrozenTrial:
    """One trial from its proposal to its end."""
    frozen = _asked_and_told(study, objective)
    for callback in callbacks:
        callback(study, frozen)
    return frozen


def _asked_and_told(study: optuna.Study, objective: Function) -> FrozenTrial:
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


def _evaluate_shared(
    study: optuna.Study, objective: Function, callbacks: Sequence[Callback]
) -> FrozenTrial | None:
    """One trial, by Optuna's own loop, which keeps the heart of a trial beating.

    Returns:
        The trial, or None where another worker took this one for dead and ended its trial.
    """
    asked: list[int] = []
    told: list[FrozenTrial] = []
    own: list[Exception] = []

    def evaluate(trial: Trial) -> float | tuple[float, ...]:
        asked.append(trial.number)
        try:
            return objective(trial)
        except (optuna.TrialPruned, UpdateFinishedTrialError):
            raise
        except Exception as error:
            own.append(error)
            raise

    def note(_study: optuna.Study, trial: FrozenTrial) -> None:
        told.append(trial)

    try:
        study.optimize(evaluate, n_trials=1, callbacks=[note, *callbacks])
    except Exception:  # Optuna has several for a trial that has ended
        if own:
            raise own[0] from None
        if told or not asked or not _has_ended(study, asked[0]):
            raise
        logger.warning("trial %d was ended by another worker; its values are lost", asked[0])
        return None
    return told[0]


def _has_ended(study: optuna.Study, number: int) -> bool:
    return study.get_trials(deepcopy=False)[number].state.is_finished()


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
