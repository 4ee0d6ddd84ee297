"""A small study that processes open by its storage alone; spawned workers import it from here."""

from __future__ import annotations

from pathlib import Path

import optuna
from samplers.studies import SPACE, objective, open_storage

from nasrec_opt.bayes import PoolBayesSampler


def make(**options: int) -> PoolBayesSampler:
    sizes = {"num_startup": 6, "pool_size": 24, "batch_size": 4}
    return PoolBayesSampler(SPACE, seed=5, **(sizes | options))


def open_study(kind: str, folder: Path) -> optuna.Study:
    """As a fresh process opens it: nothing is carried over but the storage."""
    folder.mkdir(exist_ok=True)
    return optuna.create_study(
        study_name="study",
        storage=open_storage(f"{kind}:///{folder / 'study'}"),
        sampler=make(),
        directions=["minimize", "minimize"],
        load_if_exists=True,
    )


def work(folder: Path, n_trials: int) -> None:
    open_study("sqlite", folder).optimize(objective, n_trials=n_trials)
