"""Optuna's studies and trials, where the public interface is not enough.

A study's storage has no public name. It is needed to put trials back into the queue, to store the
proposal of a running trial, and to distinguish two studies of one name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

ENQUEUED = "fixed_params"  # system attribute: the parameters that a trial was enqueued with
FAIL_REASON = "fail_reason"  # system attribute: why Optuna itself failed a trial
REPEATED_REPORT = "The reported value is ignored"  # how a warning begins: a step reported twice


def identity(study: Study) -> tuple[object, int]:
    """A key that distinguishes a study from all others, even from those of its name, for caches."""
    try:
        return study._storage, study._study_id
    except AttributeError:
        return study, 0  # the same study opened twice then counts as two: each reads it


def enqueued_params(trial: FrozenTrial) -> dict[str, Any]:
    """The parameters that a trial was enqueued with; empty for one that was not."""
    return dict(trial.system_attrs.get(ENQUEUED, {}))


def add_note(study: Study, trial: FrozenTrial, name: str, value: Any) -> None:
    """Store a note on a running trial, which the samplers of all workers can read.

    Args:
        study: Has the trial.
        trial: A running trial.
        name: Of the note.
        value: A JSON value.
    """
    try:
        study._storage.set_trial_system_attr(trial._trial_id, name, value)
    except AttributeError:
        study.set_user_attr(f"{name}:{trial.number}", value)


def note_of(study: Study, trial: FrozenTrial, name: str) -> Any:
    """The note from `add_note`, or None."""
    if name in trial.system_attrs:
        return trial.system_attrs[name]
    if hasattr(study, "_storage"):
        return None  # the way below copies all attributes of the study
    return study.user_attrs.get(f"{name}:{trial.number}")


def set_attribute(study: Study, trial: FrozenTrial, name: str, value: Any) -> None:
    """Set a user attribute of a running trial that this process may not have asked for."""
    try:
        study._storage.set_trial_user_attr(trial._trial_id, name, value)
    except AttributeError:
        study.set_user_attr(f"trial {trial.number}: {name}", value)


def give_back(study: Study, trial: FrozenTrial) -> None:
    """Put a running trial into the queue, under its own number.

    Without Optuna's storage it fails, and its parameters are enqueued under a new number: the study
    then does not continue trial for trial as an uninterrupted one.
    """
    from optuna.trial import TrialState

    try:
        study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
    except AttributeError:
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial({**enqueued_params(trial), **trial.params})


def has_queue(study: Study) -> bool:
    """Whether `give_back` keeps a trial's number."""
    return hasattr(study, "_storage")


def add_as_it_is(study: Study, trial: FrozenTrial) -> None:
    """Add a finished trial, also one with values outside its ranges, as `enqueue_trial` lets in."""
    try:
        study._storage.create_new_trial(study._study_id, template_trial=trial)
    except AttributeError:
        study.add_trial(trial)


def storage_of(study: Study) -> Any:
    """The storage of a study, or None if it is not known."""
    return getattr(study, "_storage", None)


def oldest_first(studies: list[Any]) -> list[Any]:
    """Studies of one storage in the order in which they were created."""
    try:
        return sorted(studies, key=lambda study: study._study_id)
    except AttributeError:
        return studies  # as storages list them
