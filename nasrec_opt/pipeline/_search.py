"""The search stage: ask, evaluate, tell, log; and which of what was found is retrained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt.errors import StudyError
from nasrec_opt.objective import Objective
from nasrec_opt.pipeline._storage import requeue_interrupted
from nasrec_opt.space import Genotype

Progress = Callable[[int, int | None], None]
Callback = Callable[[optuna.Study, FrozenTrial], None]


def search(
    study: optuna.Study,
    objective: Objective,
    *,
    n_trials: int,
    callbacks: Iterable[Callback] = (),
    progress: Progress | None = None,
) -> None:
    """Bring a study to `n_trials` complete trials.

    Unlike `study.optimize`, an interrupted trial stays as it is: the next call takes it up again
    under its own number, so that a study killed at any moment ends as one left alone.

    Args:
        study: The study; no other process may work on it.
        objective: What is minimised.
        n_trials: Complete trials at the end.
        callbacks: Called after each trial.
        progress: Called with (complete trials, `n_trials`).
    """
    requeue_interrupted(study)
    callbacks = tuple(callbacks)
    done = len(complete_trials(study))
    if progress:
        progress(done, n_trials)
    while done < n_trials:
        trial = study.ask()
        frozen = study.tell(trial, objective(trial))
        for callback in callbacks:
            callback(study, frozen)
        done += 1
        if progress:
            progress(done, n_trials)


def complete_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials with values, oldest first."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def require_settings(study: optuna.Study, settings: Any) -> None:
    """Write down, or compare, under which settings the trials of a study were evaluated.

    Raises:
        StudyError: The study's trials were evaluated under other settings.
    """
    recorded = study.user_attrs.get("settings")
    if recorded is None:
        study.set_user_attr("settings", settings)
    elif recorded != settings:
        key = next(k for k in sorted({*recorded, *settings}) if recorded.get(k) != settings.get(k))
        raise StudyError(
            f"study {study.study_name!r}: its trials were evaluated with other settings: {key} was "
            f"{recorded.get(key)!r} then, is {settings.get(key)!r} now; give another --out"
        )


def winners(study: optuna.Study, count: int) -> list[tuple[Genotype, FrozenTrial]]:
    """The genotypes worth retraining, distinct models only.

    Feasible trials in the order of their first objective: members of the Pareto front first, and
    others only where the front has too few.

    Args:
        study: A study of this library.
        count: How many at most.
    """
    feasible = [t for t in complete_trials(study) if is_feasible(t)]
    front = {t.number for t in study.best_trials}
    ordered = sorted(feasible, key=lambda t: (t.number not in front, t.values[0], t.number))
    chosen: dict[Genotype, tuple[Genotype, FrozenTrial]] = {}
    for trial in ordered:
        genotype = Genotype.from_json(trial.user_attrs["genotype"], f"trial {trial.number}")
        chosen.setdefault(genotype.canonical(), (genotype, trial))
        if len(chosen) == count:
            break
    return list(chosen.values())


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether no constraint of the trial is violated."""
    return all(value <= 0 for value in trial.constraints.values())
