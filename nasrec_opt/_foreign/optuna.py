"""Optuna's studies and trials, where the public interface is not enough.

A study's storage has no public name. It is needed to put trials back into the queue, to store the
proposal of a running trial, and to distinguish two studies of one name. If an Optuna has no storage
by this name, the public interface does the same with more reads, or under new trial numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import BaseTrial, FrozenTrial

ENQUEUED = "fixed_params"  # system attribute: the parameters that a trial was enqueued with
FAIL_REASON = "fail_reason"  # system attribute: why Optuna itself failed a trial
REPEATED_REPORT = "The reported value is ignored"  # how a warning begins: a step reported twice

_FIRST_WAITING = "_prev_waiting_trial_number"
_STORAGE, _STUDY_ID, _TRIAL_ID, _FIXED = "_storage", "_study_id", "_trial_id", "_fixed_params"


def identity(study: Study) -> tuple[object, int]:
    """A key that distinguishes a study from all others, even from those of its name, for caches."""
    storage = storage_of(study)
    if storage is None:
        return study, 0  # the same study opened twice then counts as two, and is read twice
    return storage, getattr(study, _STUDY_ID)


def storage_of(study: Study) -> Any:
    """The storage of a study, or None if it is not known."""
    return getattr(study, _STORAGE, None) if hasattr(study, _STUDY_ID) else None


def oldest_first(studies: list[Any]) -> list[Any]:
    """Studies of one storage in the order in which they were created."""
    if all(hasattr(study, _STUDY_ID) for study in studies):
        return sorted(studies, key=lambda study: int(getattr(study, _STUDY_ID)))
    return studies  # in the order in which the storage lists them


def enqueued_params(trial: FrozenTrial) -> dict[str, Any]:
    """The parameters that a trial was enqueued with; empty for one that was not."""
    return dict(trial.system_attrs.get(ENQUEUED, {}))


def fixed_params(trial: BaseTrial) -> Mapping[str, Any]:
    """The parameters that a trial being asked was enqueued with; empty for a `FixedTrial`."""
    fixed: Mapping[str, Any] | None = getattr(trial, _FIXED, None)
    if fixed is None:
        fixed = getattr(trial, "system_attrs", {}).get(ENQUEUED, {})  # a read of the storage
    return fixed or {}


def add_note(study: Study, trial: FrozenTrial, name: str, value: Any) -> None:
    """Store a note on a running trial, which the samplers of all workers can read.

    Args:
        study: Has the trial.
        trial: A running trial.
        name: Of the note.
        value: A JSON value.
    """
    storage = storage_of(study)
    if storage is None:
        study.set_user_attr(f"{name}:{trial.number}", value)
    else:
        storage.set_trial_system_attr(getattr(trial, _TRIAL_ID), name, value)


def note_of(study: Study, trial: FrozenTrial, name: str) -> Any:
    """The note from `add_note`, or None."""
    found = trial.system_attrs.get(name)
    if found is None and storage_of(study) is None:
        return study.user_attrs.get(f"{name}:{trial.number}")
    return found


def set_attribute(study: Study, trial: FrozenTrial, name: str, value: Any) -> None:
    """Set a user attribute of a running trial that this process may not have asked for."""
    storage = storage_of(study)
    if storage is None:
        study.set_user_attr(f"trial {trial.number}: {name}", value)
    else:
        storage.set_trial_user_attr(getattr(trial, _TRIAL_ID), name, value)


def has_queue(study: Study) -> bool:
    """Whether `give_back` keeps a trial's number."""
    return storage_of(study) is not None


def give_back(study: Study, trial: FrozenTrial) -> None:
    """Put a running trial into the queue, under its own number.

    Without a storage it fails, and its parameters are enqueued under a new number: the study then
    does not continue trial for trial as an uninterrupted one.
    """
    from optuna.trial import TrialState  # takes longer to import than all of ours

    storage = storage_of(study)
    if storage is None:
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial({**enqueued_params(trial), **trial.params})
    else:
        storage.set_trial_state_values(getattr(trial, _TRIAL_ID), TrialState.WAITING)
        # The storage in memory looks for waiting trials from there on only.
        first: dict[int, int] = getattr(storage, _FIRST_WAITING, {})
        number = getattr(study, _STUDY_ID)
        if number in first:
            first[number] = min(first[number], trial.number)


def add_as_it_is(study: Study, trial: FrozenTrial) -> None:
    """Add a finished trial, also one with a value outside its range, as `enqueue_trial` lets in.

    Without a storage such a trial is left out.
    """
    storage = storage_of(study)
    if storage is None:
        try:
            study.add_trial(trial)
        except ValueError:  # outside its range
            return
    else:
        storage.create_new_trial(getattr(study, _STUDY_ID), template_trial=trial)


def study_notes(study: Study) -> dict[str, Any]:
    """The system attributes of a study, which dashboards read; empty without a storage."""
    storage = storage_of(study)
    return {} if storage is None else storage.get_study_system_attrs(getattr(study, _STUDY_ID))


def add_study_note(study: Study, name: str, value: Any) -> None:
    """Set a system attribute of a study that has a storage."""
    storage_of(study).set_study_system_attr(getattr(study, _STUDY_ID), name, value)


def number_in_storage(trial: FrozenTrial) -> int:
    """The number by which dashboards know a trial."""
    return int(getattr(trial, _TRIAL_ID))
