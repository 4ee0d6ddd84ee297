"""A small study that processes open by its storage alone; spawned workers import it from here."""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from nasrec_opt.samplers import make_sampler
from nasrec_opt.space import SearchSpace

SPACE = SearchSpace.nasrec_full(2)
SMALL_OPTIONS = {
    "evolution": {"population_size": 8, "tournament_size": 4, "children_per_round": 2},
    "nsga2": {"population_size": 6},
    "nsga3": {"population_size": 6},
    "tpe": {"n_startup_trials": 5},
    "random": {},
}


def sampler_named(name: str) -> BaseSampler:
    return make_sampler(name, SPACE, seed=5, num_objectives=2, **SMALL_OPTIONS[name])


def objective(trial: optuna.Trial) -> tuple[float, float]:
    last = SPACE.suggest(trial).blocks[-1]
    return last.dense_width + len(last.sparse_inputs), -float(last.sparse_width)


def open_storage(kind: str, folder: Path) -> str | JournalStorage:
    if kind == "sqlite":
        return f"sqlite:///{folder / 'study.db'}"
    return JournalStorage(JournalFileBackend(str(folder / "study.log")))


def open_study(kind: str, folder: Path, name: str) -> optuna.Study:
    """As a fresh process opens it: nothing is carried over but the storage."""
    folder.mkdir(exist_ok=True)
    return optuna.create_study(
        study_name="study",
        storage=open_storage(kind, folder),
        sampler=sampler_named(name),
        directions=["minimize", "minimize"],
        load_if_exists=True,
    )


def work(folder: Path, name: str, n_trials: int) -> None:
    open_study("sqlite", folder, name).optimize(objective, n_trials=n_trials)
