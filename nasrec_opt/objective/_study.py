"""The study of an objective: made with its directions and names, or found to be another's."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning

from nasrec_opt.errors import StudyError
from nasrec_opt.space import SearchSpace

SPACE = "space"  # user attribute of a study: what is searched
MODELS = "models"  # user attribute of a study: see `Objective.models`


def describe_study(
    study: optuna.Study, space: SearchSpace, metric_names: Sequence[str], where: str = ""
) -> None:
    """Write down what a new study searches and minimises; compare with it in one that is known.

    Args:
        study: The study.
        space: What is searched.
        metric_names: The objectives, all minimised.
        where: What an error begins with, such as the file and a colon.

    Raises:
        StudyError: The study belongs to another search space, has other objectives, or has trials
            that are not of this library.
    """
    name = f"{where}study {study.study_name!r}"
    recorded = study.user_attrs.get(SPACE)
    if recorded is None:
        if study.get_trials(deepcopy=False):
            raise StudyError(
                f"{name} was not made by nasrec-opt: expected the attribute {SPACE!r}, got none"
            )
        with warnings.catch_warnings():
            # Experimental since Optuna 3.2, and what the dashboard reads.
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(metric_names))
        study.set_user_attr(SPACE, space.to_dict())  # last: a study that has it is complete
        return
    expected = _as_stored(space.to_dict())
    if recorded != expected:
        differing = sorted(key for key, value in expected.items() if recorded.get(key) != value)
        key = differing[0] if differing else "name"
        raise StudyError(
            f"{name} belongs to another search space: expected {key} = "
            f"{expected.get(key)}, got {recorded.get(key)}"
        )
    if study.metric_names != list(metric_names):
        raise StudyError(
            f"{name} has other objectives: expected {', '.join(metric_names)}, got "
            f"{', '.join(study.metric_names or [])}"
        )


def note_models(study: optuna.Study, models: Mapping[str, Any]) -> None:
    """Write down what the models of a study are built with; compare where it is known.

    Args:
        study: The study.
        models: `Objective.models`; what is None is not known.

    Raises:
        StudyError: The study's models are built with something else.
    """
    recorded = study.user_attrs.get(MODELS, {})
    given = _as_stored(dict(models))
    for name, value in given.items():
        known = recorded.get(name)
        if known is not None and value is not None and known != value:
            raise StudyError(
                f"study {study.study_name!r}: its models were built with {name} = {known}, got "
                f"{value}; give the study another name"
            )
    merged = given | {name: value for name, value in recorded.items() if value is not None}
    if merged != recorded:
        study.set_user_attr(MODELS, merged)


def _as_stored(values: dict[str, Any]) -> Any:
    """Tuples as lists, the way a storage gives them back."""
    return json.loads(json.dumps(values))
