"""How many processes train models or evaluate trials, unless the study file says so."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from nasrec_opt._recipe import SMALL_LOG
from nasrec_opt.data import Dataset
from nasrec_opt.distributed import free_workers
from nasrec_opt.objective import lag_of
from nasrec_opt.options import SearchConfig
from nasrec_opt.oracle import MEMORY_BYTES

LIBRARIES = 700 << 20  # bytes of a process with a small model; measured
MOST_TRAINERS = 8  # each holds a model, its table and a part of the log
MOST_EVALUATORS = 4  # one process proposes for all of them
BEGUN = tuple(state for state in TrialState if state != TrialState.WAITING)
LAG = "lag"  # user attribute of a study: see `search`; none means 1


def default_trainers(dataset: Dataset) -> int:
    """Number of processes that train models, each with a table, the best one so far, a fresh one.

    Args:
        dataset: What is learnt.
    """
    features = dataset.features
    table = 4 * (features.embedding_dim + 1) * sum(features.cardinalities)
    return _default(dataset, MOST_TRAINERS, 3 * table)


def evaluators(
    search: SearchConfig, dataset: Dataset, study: optuna.Study, *, on_cluster: bool = False
) -> tuple[int, int]:
    """Number of processes that evaluate the trials of a study, and its lag.

    Unless the study file has a number of workers, the lag follows from the log and the study alone,
    so that all machines propose the same trials. A study keeps the lag that it began with.

    Args:
        search: The options of the search.
        dataset: What answers come from.
        study: The study; the lag is written down in it.
        on_cluster: Whether the processes are not of this machine, whose cores do not bound them.
    """
    known = study.user_attrs.get(LAG)
    if known is None and study.get_trials(deepcopy=False, states=BEGUN):
        known = 1
    if search.workers is not None:
        workers, lag = search.workers, lag_of(search.workers)
    else:
        is_alone = search.pruner != "none" or _is_short(dataset)
        usual = lag_of(1 if is_alone else MOST_EVALUATORS)
        lag = usual if known is None else known
        if lag == 1:
            workers = 1
        elif on_cluster:
            workers = MOST_EVALUATORS
        else:
            workers = _default(dataset, MOST_EVALUATORS, MEMORY_BYTES)
    if lag != (known or 1):
        study.set_user_attr(LAG, lag)
    return workers, lag


def _default(dataset: Dataset, most: int, num_bytes: int) -> int:
    """One for a log so short that its work takes no longer than the start of a process."""
    return 1 if _is_short(dataset) else free_workers(most, num_bytes + LIBRARIES)


def _is_short(dataset: Dataset) -> bool:
    return dataset.split("train").num_rows < SMALL_LOG
