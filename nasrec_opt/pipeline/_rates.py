"""The comparison of learning rates of a retrained model, as an Optuna study of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._schema import digest
from nasrec_opt.pipeline._storage import as_study_error, home_of, writable_storage
from nasrec_opt.space import Genotype

RATE = "learning_rate"


def write_rate_studies(folder: RunFolder, models: Sequence[Mapping[str, Any]]) -> None:
    """Put the learning rates that were compared for models into the run's storage.

    Each model has a study, with a trial for each rate: its value is the validation log loss in the
    first steps. A model with a single rate has none, and studies that are there stay.

    Args:
        folder: The run folder; its storage is created where it is missing.
        models: Entries of `results.json`.
    """
    compared = [model for model in models if len(model["rate_trials"]) > 1]
    if not compared:
        return
    with as_study_error(home_of(folder)):
        storage = writable_storage(folder)
        known = {study.study_name for study in storage.get_all_studies()}
        for model in compared:
            trials = _trials(model["rate_trials"])
            name = _name(model, trials)
            if name not in known:
                _write(storage, name, model, trials)


def _write(
    storage: optuna.storages.BaseStorage,
    name: str,
    model: Mapping[str, Any],
    trials: Sequence[FrozenTrial],
) -> None:
    study = optuna.create_study(study_name=name, storage=storage, direction="minimize")
    study.set_metric_names(["log_loss"])
    study.set_user_attr("genotype", Genotype.from_dict(model["genotype"]).to_json())
    study.set_user_attr("seed", model["seed"])
    study.set_user_attr("folder", model["folder"])
    study.add_trials(trials)


def _name(model: Mapping[str, Any], trials: Sequence[FrozenTrial]) -> str:
    """Tells models apart, and comparisons of other rates of one of them."""
    whose = f"trial {model['trial']}" if "trial" in model else model["name"]
    what = [model["folder"], [[trial.params[RATE], trial.values] for trial in trials]]
    return f"learning rate of {whose}, {digest(what)[:6]}"


def _trials(compared: Sequence[Sequence[float]]) -> list[FrozenTrial]:
    rates = [rate for rate, _ in compared]
    axis = FloatDistribution(min(rates), max(rates), log=True)
    return [
        create_trial(
            params={RATE: rate},
            distributions={RATE: axis},
            value=value if isfinite(value) else None,
            state=TrialState.COMPLETE if isfinite(value) else TrialState.FAIL,
        )
        for rate, value in compared
    ]
