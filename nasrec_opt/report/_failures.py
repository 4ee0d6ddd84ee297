"""Which trials of a study failed, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt.objective import FAILED

MOST_REASONS = 5


def failed_trials(study: optuna.Study) -> list[FrozenTrial]:
    """List the trials that failed, oldest first.

    Args:
        study: The study.

    Returns:
        Its failed trials.
    """
    return study.get_trials(deepcopy=False, states=(TrialState.FAIL,))


def reasons_in_words(failed: Sequence[FrozenTrial]) -> str:
    """State why trials failed, the most frequent reason first, each with the numbers of its trials.

    Args:
        failed: Failed trials; those of other objectives than `Objective` have no reason.

    Returns:
        One line of text; empty where there are no failed trials.
    """
    numbers: dict[str, list[int]] = {}
    for trial in failed:
        reason = str(trial.user_attrs.get(FAILED, "no reason was recorded"))
        numbers.setdefault(reason, []).append(trial.number)
    ordered = sorted(numbers.items(), key=lambda item: (-len(item[1]), item[1]))
    told = [f"{_trials(of_reason)}: {reason}" for reason, of_reason in ordered[:MOST_REASONS]]
    if len(ordered) > MOST_REASONS:
        told.append(f"{len(ordered) - MOST_REASONS} more reasons")
    return "; ".join(told)


def _trials(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:MOST_REASONS]))
    more = f" and {len(numbers) - MOST_REASONS} more" if len(numbers) > MOST_REASONS else ""
    return f"{'trial' if len(numbers) == 1 else 'trials'} {shown}{more}"
