"""Time of a trial in each of Optuna's storages, and which part of the trial takes it.

    python -m benchmarks.storages [--trials 60] [--postgresql postgresql+psycopg://user@host/db]

One study of three objectives over NASRec-Small in each storage and with each sampler. They take
turns, a slice of trials each, in one process; a figure is the median of the trials, in
milliseconds, without any model: ask, suggest, set the attributes that `Objective` sets, tell. The
gRPC proxy is a process of its own in front of SQLite in WAL mode; a network comes on top of it and
of PostgreSQL. Before timing, the storages are shown to keep the same trials.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import statistics
import tempfile
import time
import uuid
import warnings
from itertools import pairwise
from pathlib import Path

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import (
    BaseStorage,
    GrpcStorageProxy,
    InMemoryStorage,
    JournalStorage,
    get_storage,
    run_grpc_proxy_server,
)
from optuna.storages.journal import JournalFileBackend

from benchmarks.sampler import objective
from nasrec_opt import SQLiteStorage
from nasrec_opt.pipeline._storage import open_study
from nasrec_opt.samplers import RegularizedEvolutionSampler, SeededRandomSampler
from nasrec_opt.space import SearchSpace

SPACE = SearchSpace.nasrec_small()
METRICS = ["log_loss", "latency_us", "energy_uj"]
PARTS = ("ask", "suggest", "attributes", "tell")
SLICE = 10
OPERATORS = (
    *SPACE.dense_ops,
    *SPACE.sparse_ops,
    "dense_to_sparse",
    "sparse_to_dense",
    "embedding",
    "logit",
)
ATTRIBUTES = {  # beside the genotype, as `Objective` sets them
    "auc": 0.75,
    "mflops": 1.5,
    "mflops_paper": 1.6,
    "parameters": 1_000_000,
    "area_mm2": 25.0,
    "breakdown": {name: dict.fromkeys(OPERATORS, 0.123456) for name in METRICS[1:]},
    "seconds": {"oracle": 0.123456, "cost": 0.001234},
}


def samplers() -> dict[str, BaseSampler]:
    """Fresh samplers by name: one that reads no trial, and one that reads all."""
    return {
        "random": SeededRandomSampler(0),
        "evolution": RegularizedEvolutionSampler(
            SPACE, population_size=16, tournament_size=8, children_per_round=4, seed=0
        ),
    }


def sqlite_wal(path: Path) -> BaseStorage:
    """SQLite with a write-ahead log, a transaction for each parameter and attribute."""
    return get_storage(SQLiteStorage(f"sqlite:///{path}"))


def sqlite_of_a_run(path: Path) -> BaseStorage:
    """SQLite as the pipeline opens it: with a write-ahead log, and buffered."""
    study = open_study(
        path, "one", space=SPACE, metric_names=METRICS, sampler=SeededRandomSampler(0)
    )
    return study._storage


def serve(path: Path, port: int) -> None:
    """The gRPC proxy, in a process of its own."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    run_grpc_proxy_server(sqlite_wal(path), host="127.0.0.1", port=port)


def proxy(path: Path) -> BaseStorage:
    """A gRPC proxy, served by another process from a SQLite file."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.get_context("spawn").Process(
        target=serve, args=(path, port), daemon=True
    ).start()
    storage = GrpcStorageProxy(host="127.0.0.1", port=port)
    storage.wait_server_ready(timeout=60)
    return storage


def storages(folder: Path, postgresql: str | None) -> dict[str, BaseStorage]:
    """Fresh storages by name; PostgreSQL where there is an address of it."""
    found: dict[str, BaseStorage] = {
        "memory": InMemoryStorage(),
        "SQLite": get_storage(f"sqlite:///{folder / 'plain.db'}"),
        "SQLite, WAL": sqlite_wal(folder / "wal.db"),
        "SQLite, of a run": sqlite_of_a_run(folder / "run.db"),
        "Journal file": JournalStorage(JournalFileBackend(str(folder / "study.log"))),
        "gRPC, SQLite WAL behind": proxy(folder / "behind.db"),
    }
    if postgresql:
        found["PostgreSQL"] = get_storage(postgresql)
    return found


def step(study: optuna.Study) -> list[float]:
    """Milliseconds of the parts of one trial."""
    moments = [time.perf_counter()]
    trial = study.ask()
    moments.append(time.perf_counter())
    genotype = SPACE.suggest(trial)
    moments.append(time.perf_counter())
    trial.set_user_attr("genotype", genotype.to_json())
    for name, value in ATTRIBUTES.items():
        trial.set_user_attr(name, value)
    moments.append(time.perf_counter())
    study.tell(trial, objective(genotype))
    moments.append(time.perf_counter())
    return [1e3 * (after - before) for before, after in pairwise(moments)]


def check(studies: list[optuna.Study]) -> None:
    """Studies of one sampler are the same in every storage."""
    kept = [[(t.params, t.values, t.user_attrs) for t in study.trials] for study in studies]
    if any(trials != kept[0] for trials in kept):
        raise SystemExit("two storages keep different trials of the same study")


def main() -> None:
    """Read the options, and print what a trial takes in each storage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--postgresql", help="URL of a database; a study is added to it")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    with tempfile.TemporaryDirectory() as folder:
        studies = {
            (where, name): optuna.create_study(
                study_name=f"{name}-{uuid.uuid4().hex[:8]}",
                directions=["minimize"] * 3,
                sampler=sampler,
                storage=storage,
            )
            for where, storage in storages(Path(folder), options.postgresql).items()
            for name, sampler in samplers().items()
        }
        times: dict[tuple[str, str], list[list[float]]] = {key: [] for key in studies}
        for _ in range(0, options.trials, SLICE):
            for key, study in studies.items():  # take turns, so that all see the same machine
                times[key] += [step(study) for _ in range(SLICE)]
        for name in samplers():
            check([study for key, study in studies.items() if key[1] == name])
        parameters = statistics.mean(len(trial.params) for trial in study.trials)
    print(f"{parameters:.0f} parameters and {len(ATTRIBUTES) + 1} attributes a trial, ms:\n")
    print(f"| storage | sampler | {' | '.join(PARTS)} | a trial | quartiles |")
    print("|---|---|" + "---|" * (len(PARTS) + 2))
    for (where, name), rows in times.items():
        parts = [f"{statistics.median(column):.1f}" for column in zip(*rows, strict=True)]
        low, middle, high = statistics.quantiles(map(sum, rows), n=4)
        print(
            f"| {where} | {name} | {' | '.join(parts)} | {middle:.1f} | {low:.1f} to {high:.1f} |"
        )


if __name__ == "__main__":
    main()
