"""A study whose choices are replaced by their places, for code that needs hashable choices."""

from __future__ import annotations

import copy
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt._foreign.optuna import add_as_it_is


def with_hashable_choices(study: optuna.Study) -> optuna.Study:
    """The study, or a copy of its complete trials with lists and dicts replaced by their places.

    Optuna's importances put distributions into a dictionary, which lists among the choices refuse.

    Args:
        study: Any study.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if all(_is_hashable(d) for trial in trials for d in trial.distributions.values()):
        return study
    found = optuna.create_study(directions=study.directions)
    for trial in trials:
        # Not `add_trial`, which refuses values outside a range that `enqueue_trial` has let in.
        add_as_it_is(found, _with_places(trial))
    return found


def _with_places(trial: FrozenTrial) -> FrozenTrial:
    params: dict[str, Any] = dict(trial.params)
    distributions: dict[str, BaseDistribution] = dict(trial.distributions)
    for name, distribution in trial.distributions.items():
        if isinstance(distribution, CategoricalDistribution) and not _is_hashable(distribution):
            distributions[name] = CategoricalDistribution(range(len(distribution.choices)))
            params[name] = int(distribution.to_internal_repr(trial.params[name]))
    replaced = copy.copy(trial)
    replaced.distributions, replaced.params = distributions, params
    return replaced


def _is_hashable(distribution: BaseDistribution) -> bool:
    try:
        hash(distribution)
    except TypeError:
        return False
    return True
