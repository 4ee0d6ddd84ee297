"""A search that may be killed at any moment: ask, evaluate, tell, and continue where it stopped."""

from __future__ import annotations

import logging
import math
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import TypeAlias

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from nasrec_opt._foreign.optuna import REPEATED_REPORT, give_back
from nasrec_opt.distributed import Executor, executor_of
from nasrec_opt.errors import StudyError, described
from nasrec_opt.objective._ahead import Ahead, answer, lag_of
from nasrec_opt.objective._objective import Objective, Values

Progress: TypeAlias = Callable[[int, int | None], None]
Callback: TypeAlias = Callable[[optuna.Study, FrozenTrial], None]
Function: TypeAlias = Callable[[Trial], Values]
Evaluate: TypeAlias = Callable[[Sequence[Callback]], FrozenTrial | None]

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)  # a study can learn from these

logger = logging.getLogger(__name__)


def search(
    study: optuna.Study,
    objective: Function,
    *,
    n_trials: int,
    callbacks: Iterable[Callback] = (),
    progress: Progress | None = None,
    shared: bool = False,
    workers: int | Executor = 1,
    lag: int | None = None,
) -> None:
    """Bring a study to `n_trials` finished trials, complete or pruned, however often it is killed.

    Call it again after a kill, with the same arguments: finished trials are not repeated. A failed
    trial does not count: another one takes its place, until the objective ends the study.

    With one worker, the default, an interrupted trial continues under its own number. So a study
    with a sampler of this library ends like an uninterrupted one, trial for trial.

    `workers=N` lets N processes evaluate the trials of an `Objective`, while this process alone
    proposes and tells them. The study then depends on `lag` as well, but not on which process ends
    first (docs/howto/several_workers.md). If the objective cannot be sent to another process, this
    one evaluates the same trials, and a warning is logged.

    Several programs, each with `shared=True`, bring the study to `n_trials` together, and to a few
    more if they end at the same moment. The trial of a killed worker stays running; if the storage
    has a heartbeat, the others fail it and try it again (docs/howto/several_workers.md). A slow
    worker that was taken for dead loses its trial and continues.

    Args:
        study: The study; unless `shared`, no other process may work on it.
        objective: The objective to minimise: an `Objective`, or any function of an Optuna trial.
        n_trials: Complete and pruned trials at the end.
        callbacks: Called after each trial of this process with the study and the trial.
        progress: Called with (finished trials, `n_trials`), or None to report nothing.
        shared: Whether other programs may work on the study.
        workers: Number of processes that evaluate trials, each with one thread; or who does it
            instead, by the function `answer` of `objective`. 1 means this process.
        lag: Trial k is proposed from the results of the trials up to k - `lag`. None means 1 for
            one worker, and twice the number of several ones; state it for an executor, whose number
            is not known and which None gives one trial at a time.

    Raises:
        StudyError: Trial after trial failed; see `Objective`. Or several workers are to evaluate
            what is no `Objective`, or a shared study.

    Example:
        >>> import optuna
        >>> from nasrec_opt import Objective, SearchSpace
        >>> objective = Objective(SearchSpace.nasrec_small(2), lambda genotype: 0.5)
        >>> study = objective.create_study(study_name="mine", storage="sqlite:///mine.db")
        >>> search(study, objective, n_trials=8)  # this line again continues after a kill
        >>> len(study.trials)
        8
    """
    if lag is None:
        lag = lag_of(workers) if isinstance(workers, int) else 1
    _check(objective, workers, lag, shared)
    if not shared:
        requeue_interrupted(study)
    callbacks = tuple(callbacks)
    done = len(finished_trials(study))
    if progress:
        progress(done, n_trials)
    with (
        _interrupts_between_trials() as raise_if_interrupted,
        _evaluation(study, objective, workers, lag, n_trials - done, shared) as evaluate,
        warnings.catch_warnings(),
    ):
        # A trial that continues reports the steps before its interruption again.
        warnings.filterwarnings("ignore", message=REPEATED_REPORT)
        while done < n_trials:
            raise_if_interrupted()
            frozen = evaluate(callbacks)
            if shared:
                done = len(finished_trials(study))
            else:
                done += frozen is not None and frozen.state in FINISHED
            if progress:
                progress(done, n_trials)


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """List the trials that count as done: complete or pruned.

    Args:
        study: Any study.

    Returns:
        The trials, oldest first; do not change them.
    """
    return study.get_trials(deepcopy=False, states=FINISHED)


def requeue_interrupted(study: optuna.Study) -> int:
    """Put trials that a killed process left running back into the queue, under their own numbers.

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


def _check(objective: Function, workers: int | Executor, lag: int, shared: bool) -> None:
    if isinstance(workers, int) and workers < 1:
        raise StudyError(f"workers: expected 1 or more, got {workers}")
    if lag < 1:
        raise StudyError(f"lag: expected 1 or more, got {lag}")
    if lag == 1 and workers == 1:
        return
    if shared:
        raise StudyError("workers: expected 1, with a lag of 1, for a shared study, got others")
    if not isinstance(objective, Objective):
        raise StudyError(
            f"workers: expected 1 for what is no Objective, got {workers} for "
            f"{described(objective)}"
        )


@contextmanager
def _evaluation(
    study: optuna.Study,
    objective: Function,
    workers: int | Executor,
    lag: int,
    left: int,
    shared: bool,
) -> Iterator[Evaluate]:
    """What brings one trial to its end; without workers, from its proposal on."""
    if shared:
        yield partial(_evaluate_shared, study, objective)
        return
    if (lag == 1 and workers == 1) or not isinstance(objective, Objective) or left < 1:
        yield partial(_evaluate, study, lambda: _told(study, *_asked(study, objective)))
        return
    with ExitStack() as stack:
        if isinstance(workers, int):
            what = "trials are evaluated"
            workers = stack.enter_context(
                executor_of(partial(answer, objective), min(workers, left), what)
            )
        ahead = Ahead(workers, lag, left)
        stack.callback(requeue_interrupted, study)  # the trials that are open at an early end
        yield partial(_evaluate, study, lambda: ahead.evaluate(study, objective, _told))


def _evaluate(
    study: optuna.Study, end: Callable[[], FrozenTrial], callbacks: Sequence[Callback]
) -> FrozenTrial:
    """One trial to its end."""
    frozen = end()
    for callback in callbacks:
        callback(study, frozen)
    return frozen


def _asked(study: optuna.Study, objective: Function) -> tuple[Trial, Callable[[], Values]]:
    trial = study.ask()
    return trial, lambda: objective(trial)


def _told(study: optuna.Study, trial: Trial, score: Callable[[], Values]) -> FrozenTrial:
    try:
        values = score()
    except optuna.TrialPruned:
        return study.tell(trial, state=TrialState.PRUNED)
    except Exception:
        study.tell(trial, state=TrialState.FAIL)  # otherwise each later search would continue it
        raise
    told = values if isinstance(values, tuple) else (values,)
    if any(math.isnan(value) for value in told):
        return study.tell(trial, state=TrialState.FAIL)
    return study.tell(trial, told)


def _evaluate_shared(
    study: optuna.Study, objective: Function, callbacks: Sequence[Callback]
) -> FrozenTrial | None:
    """Run one trial in Optuna's own loop, which sends the heartbeat of a trial.

    Returns:
        The trial, or None if another worker took this one for dead and ended its trial.
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
    """Let the first Ctrl-C wait for the running trial, since it must not interrupt a transaction.

    The second one interrupts at once. Only a main thread receives signals.
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
