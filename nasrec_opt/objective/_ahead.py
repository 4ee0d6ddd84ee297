"""Trials evaluated by several processes, in an order that no timing changes.

One process alone asks the sampler and tells results, in the order of the trials' numbers. It asks
for trial k when the trials up to k - lag have their results, and no later one has: until `lag`
trials are open, it asks; then it waits for the oldest. So proposals follow from the lag, not from
the worker that ends first. The open trials of a stopped study wait under their own numbers, and are
all asked for again before another result is told. Trials that take the place of failed ones at the
end of a study are proposed from all trials before them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from nasrec_opt.distributed import Executor, Note
from nasrec_opt.objective._metrics import Answer
from nasrec_opt.objective._objective import Objective, Values
from nasrec_opt.space import Genotype

Tell = Callable[[optuna.Study, Trial, Callable[[], Values]], FrozenTrial]


def lag_of(workers: int) -> int:
    """Number of trials that are open at once, so that no worker waits for a slower one.

    Args:
        workers: Number of processes that evaluate trials.

    Returns:
        Their number: 1 for one worker.
    """
    return 1 if workers == 1 else 2 * workers


def answer(objective: Objective, task: tuple[Genotype, float], note: Note) -> Answer:
    """Answer a genotype: what a worker does.

    Args:
        objective: Answers it.
        task: The arguments of `Objective.answer`, the first of them a genotype of its space.
        note: Ignored.

    Returns:
        What `Objective.answer` returns.

    Raises:
        DescriptionError: The accelerator refuses the genotype.
        TrialError: The oracle or the accelerator fails, or does not return a finite number.

    Example:
        >>> from functools import partial
        >>> from nasrec_opt import Objective, SearchSpace, search
        >>> from nasrec_opt.distributed import WorkerPool
        >>> objective = Objective(SearchSpace.nasrec_small(2), lambda genotype: 0.5)
        >>> with WorkerPool(partial(answer, objective), workers=2) as pool:
        ...     study = objective.create_study()
        ...     search(study, objective, n_trials=4, workers=pool, lag=4)
    """
    return objective.answer(*task)


class Ahead:
    """Asks for trials ahead of the results, and tells the oldest.

    Args:
        executor: Answers genotypes.
        lag: Trials that are open at once.
        left: Trials that the study lacks.
    """

    def __init__(self, executor: Executor, lag: int, left: int) -> None:
        self._executor = executor
        self._lag = lag
        self._left = left
        self._open: deque[tuple[Trial, Callable[[], Values]]] = deque()

    def evaluate(self, study: optuna.Study, objective: Objective, tell: Tell) -> FrozenTrial:
        """Bring the oldest open trial to its end.

        Args:
            study: The study.
            objective: Its objective.
            tell: Scores a trial and tells its result.
        """
        while len(self._open) < min(self._lag, self._left):
            trial = study.ask()
            try:
                self._open.append((trial, objective.submit(trial, self._executor, self._lag)))
            except Exception:
                study.tell(trial, state=TrialState.FAIL)
                raise
        frozen = tell(study, *self._open.popleft())
        self._left -= frozen.state != TrialState.FAIL
        return frozen
