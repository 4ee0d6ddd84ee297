"""Importances of studies whose choices are lists, dicts or numbers that are none."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from nasrec_opt.report import importance_figure

optuna.logging.set_verbosity(optuna.logging.ERROR)
CHOICES = {
    "lists": [[400, 400], [256, 128], [64]],
    "tuples": [(400, 400), (64,)],
    "dicts": [{"units": 400}, {"units": 64}],
    "mixed": [None, [400], "x"],
    "NaN within": [[1, float("nan")], [2]],
    "NaN": [float("nan"), 1.0],
}


@pytest.mark.parametrize("kind", ["memory", "journal"])
@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_choices_of_any_kind_have_the_importance_of_their_names(tmp_path, name, kind):
    backend = JournalFileBackend(str(tmp_path / "journal"))
    storage = JournalStorage(backend) if kind == "journal" else None
    figure = importance_figure(searched(CHOICES[name], storage))
    expected = importance_figure(searched([f"choice {n}" for n in range(len(CHOICES[name]))]))
    assert figure is not None
    assert expected is not None
    assert sorted(figure.data[0].y) == ["c", "x"]
    assert [(bar.y, bar.x) for bar in figure.data] == [(bar.y, bar.x) for bar in expected.data]


def searched(choices: list[Any], storage: JournalStorage | None = None) -> optuna.Study:
    """The same places and numbers whatever the choices are."""

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        value = trial.suggest_categorical("c", choices)
        place = next(n for n, choice in enumerate(choices) if choice is value)
        return place + trial.suggest_float("x", 0, 1) / 100, trial.params["x"]

    study = optuna.create_study(
        storage=storage,
        sampler=optuna.samplers.RandomSampler(seed=0),
        directions=["minimize"] * 2,
    )
    study.enqueue_trial({"x": 7.0})  # outside its range, which Optuna only warns of
    study.optimize(objective, n_trials=30)
    return study
