"""A small study that processes open by its storage alone; spawned workers import it from here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import (
    BaseStorage,
    GrpcStorageProxy,
    InMemoryStorage,
    JournalStorage,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
    get_storage,
)
from optuna.storages.journal import JournalFileBackend
from patience import PATIENCE_S

from nasrec_opt import SQLiteStorage
from nasrec_opt.samplers import make_sampler
from nasrec_opt.space import SearchSpace

SPACE = SearchSpace.nasrec_full(2)
SMALL_OPTIONS = {
    "evolution": {"population_size": 8, "tournament_size": 4, "children_per_round": 2},
    "evolution, screened": {
        "population_size": 8,
        "tournament_size": 4,
        "children_per_round": 2,
        "screening": 8,
    },
    "evolution, growing": {},
    "nsga2": {"population_size": 6},
    "nsga3": {"population_size": 6},
    "tpe": {"n_startup_trials": 5},
    "random": {},
}


def sampler_named(name: str) -> BaseSampler:
    # What follows the comma tells apart what a study file names alike.
    return make_sampler(name.partition(",")[0], SPACE, seed=5, **SMALL_OPTIONS[name])


def objective(trial: optuna.Trial) -> tuple[float, float]:
    last = SPACE.suggest(trial).blocks[-1]
    return last.dense_width + len(last.sparse_inputs), -float(last.sparse_width)


def open_storage(address: str, **options: Any) -> BaseStorage:
    """The storage at an address, opened anew; `options` are those of heartbeats."""
    kind, _, where = address.partition("://")
    if kind == "memory":
        return InMemoryStorage()
    if kind == "journal":
        return JournalStorage(JournalFileBackend(where))
    if kind == "grpc":
        host, port = where.split(":")
        proxy = GrpcStorageProxy(host=host, port=int(port))
        proxy.wait_server_ready(timeout=PATIENCE_S)
        return proxy
    if kind == "sqlite":
        return get_storage(SQLiteStorage(address, **options))
    return get_storage(RDBStorage(address, **options))


def heartbeat() -> dict[str, Any]:
    """Options of a storage that notices dead workers within seconds and tries their trials anew."""
    return {
        "heartbeat_interval": 1,
        "grace_period": 5,  # a busy machine lets hearts beat late
        "heartbeat_stale_trial_callback": RetryHeartbeatStaleTrialCallback(),
    }


def open_at(address: str, name: str = "evolution", **options: Any) -> optuna.Study:
    """As a fresh process opens it: nothing is carried over but the storage."""
    return optuna.create_study(
        study_name="study",
        storage=open_storage(address, **options),
        sampler=sampler_named(name),
        directions=["minimize", "minimize"],
        load_if_exists=True,
    )


def open_study(kind: str, folder: Path, name: str) -> optuna.Study:
    """The study in a folder that is created where it is missing."""
    folder.mkdir(exist_ok=True)
    return open_at(f"{kind}:///{folder / 'study'}", name)
