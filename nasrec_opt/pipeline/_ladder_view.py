"""The ladder as a second Optuna study: a trial for each model that was trained.

Optuna refuses new attributes on finished trials, so the log loss of a trained model cannot be
stored beside its score. docs/decisions/ladder.md explains why this is one study, and not one for
each rung.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState, create_trial

from nasrec_opt._foreign.optuna import set_attribute, storage_of
from nasrec_opt.ladder import Climb, Rung
from nasrec_opt.pipeline._folder import RunFolder

SEARCHED = "searched_trial"


class LadderView:
    """Keeps the study `<name>-ladder` up to date.

    A trial is running while its model is on the ladder, pruned when the model is dropped, and
    complete when it was retrained. So its Pareto front compares models with equal training.

    Args:
        search: The finished search; the ladder's study is in its storage.
        folder: The run folder.
        key: Changes with anything that the climb depends on; a study of another climb is replaced.
    """

    def __init__(self, search: optuna.Study, folder: RunFolder, key: str) -> None:
        self._searched = {trial.number: trial for trial in search.get_trials(deepcopy=False)}
        self._names = list(search.metric_names or [])
        self._objectives = ["log_loss", *(name for name in self._names if name != "log_loss")]
        name, storage = f"{search.study_name}-ladder", storage_of(search)
        self._study = self._open(name, storage)
        if folder.upgraded_digest(self._study.user_attrs.get("climb", key)) != key:
            optuna.delete_study(study_name=name, storage=storage)
            self._study = self._open(name, storage)
        self._study.set_user_attr("climb", key)
        self._study.set_user_attr("ladder_of", search.study_name)
        self._trials = {
            trial.user_attrs[SEARCHED]: trial for trial in self._study.get_trials(deepcopy=False)
        }

    def update(self, state: Climb) -> None:
        """Store the progress of the climb.

        Args:
            state: The climb.
        """
        for number in state.rungs[0].trained:
            source = self._searched[state.candidates[number].trial]
            trial = self._trials.get(source.number) or self._add(source)
            if trial.state.is_finished():
                continue
            for name, value in _log_losses(state.rungs, number).items():
                if trial.user_attrs.get(name) != value:
                    set_attribute(self._study, trial, name, value)
                    trial.user_attrs[name] = value
            if any(
                r.promoted and number in r.trained and number not in r.promoted for r in state.rungs
            ):
                self._end(trial, TrialState.PRUNED)

    def finish(self, models: Sequence[Mapping[str, Any]]) -> None:
        """Complete the trials of the finalists.

        Args:
            models: Entries of `results.json`.
        """
        for model in models:
            source = self._searched[model["trial"]]
            trial = self._trials.get(source.number) or self._add(source)
            if trial.state.is_finished():
                continue
            costs = dict(zip(self._names, source.values, strict=True))
            values = costs | {"log_loss": model["mean_validation_log_loss"]}
            set_attribute(self._study, trial, "test_log_loss", model["test_log_loss"])
            self._end(trial, TrialState.COMPLETE, [values[name] for name in self._objectives])

    def _open(self, name: str, storage: Any) -> optuna.Study:
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            directions=["minimize"] * len(self._objectives),
            load_if_exists=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # the dashboard reads the names
            study.set_metric_names(self._objectives)
        return study

    def _add(self, source: FrozenTrial) -> FrozenTrial:
        """A running trial with the parameters of a searched one."""
        values = dict(zip(self._names, source.values, strict=True))
        attributes = {
            SEARCHED: source.number,
            "genotype": source.user_attrs["genotype"],
            "searched_log_loss": values.pop("log_loss", source.user_attrs.get("log_loss")),
            **values,
        }
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=source.params,
                distributions=source.distributions,
                user_attrs=attributes,
            )
        )
        trial = self._study.get_trials(deepcopy=False)[-1]
        self._trials[source.number] = trial
        return trial

    def _end(
        self, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None = None
    ) -> None:
        self._study.tell(trial.number, values, state=state)
        trial.state = state


def _log_losses(rungs: Sequence[Rung], number: int) -> dict[str, Any]:
    """Attributes of one model: its log loss at the end of each of its rungs."""
    found: dict[str, Any] = {}
    for place, rung in enumerate(rungs, start=1):
        if number in rung.trained:
            result = rung.trained[number]
            epochs = f"{rung.epochs:g} epoch{'' if rung.epochs == 1 else 's'}"
            found["rung"] = place
            found[f"log_loss after {epochs}"] = "failed" if result is None else result.log_loss
    return found
