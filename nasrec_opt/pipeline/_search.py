"""The results of a search: its trials, its settings, and the models to retrain."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

import optuna
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt.errors import StudyError
from nasrec_opt.oracle import architecture
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._schema import first_difference
from nasrec_opt.samplers import is_feasible
from nasrec_opt.space import Genotype

Progress = Callable[[int, int | None], None]
Found: TypeAlias = tuple[Genotype, FrozenTrial]  # an architecture, and the trial that found it


def complete_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials with values, oldest first."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def require_settings(study: optuna.Study, folder: RunFolder, settings: Any) -> None:
    """Write down, or compare, under which settings the trials of a study were evaluated.

    Raises:
        StudyError: The study's trials were evaluated under other settings.
    """
    written = study.user_attrs.get("settings")
    recorded = settings if written is None else folder.upgraded_search(written)
    if recorded != settings:
        key, then, now = first_difference(recorded, settings)
        raise StudyError(
            f"study {study.study_name!r}: its trials were evaluated with other settings: {key} was "
            f"{then!r} then, is {now!r} now; give the study another name, or another --out"
        )
    if written != settings:
        study.set_user_attr("settings", settings)


def winners(study: optuna.Study, count: int) -> list[Found]:
    """Choose the genotypes to retrain: one for each architecture, whatever its accelerator.

    Feasible trials by log loss: members of the Pareto front first, and others only if the front has
    too few.

    Args:
        study: A study of this library.
        count: Maximum number.

    Raises:
        StudyError: No trial meets the constraints.
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
        genotype = Genotype.from_trial(trial)
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
