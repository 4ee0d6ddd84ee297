"""How much faster several workers are, and what each of them holds.

    python -m benchmarks.workers                    1, 2, 4 and 8 workers, an oracle that sleeps
    python -m benchmarks.workers --oracle RUN       1 and 2 workers, the oracle of a run folder
    python -m benchmarks.workers --retrain DATASET  1 and 2 workers that train models
    python -m benchmarks.workers --memory RUN [--trials 2000]   memory of a worker over many trials

The first states trials per second, and the share of what as many workers as there are would do if
nothing else took time. Its trials cost the same at any number of workers, so cores matter little.
The second and the third need as many idle cores as workers: trials per second of the same study,
and seconds of the same trainings; the sides take turns. The second also states the memory of each
worker: PSS counts a page that n processes share as a n-th of it, USS what it alone has.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import torch

from hw import ReRAM
from nasrec_opt import Evaluation, FeatureSpec, Genotype, Objective, SearchSpace, search
from nasrec_opt.data import Dataset
from nasrec_opt.distributed import WorkerPool
from nasrec_opt.objective import lag_of
from nasrec_opt.objective._ahead import answer
from nasrec_opt.options import OracleOptions
from nasrec_opt.oracle import SupernetOracle
from nasrec_opt.pipeline._trainers import Job, train_ahead
from nasrec_opt.retrain import RetrainConfig
from nasrec_opt.samplers import RegularizedEvolutionSampler

SPACE = SearchSpace.nasrec_small()
FEATURES = FeatureSpec(13, (10_000,) * 26)


def sleeping(genotype: Genotype, seconds: float) -> Evaluation:
    """A stand-in for an oracle that takes that long."""
    time.sleep(seconds)
    return Evaluation(0.5 - sum(block.dense_width for block in genotype.blocks) / 1e5)


def trials_per_second(objective: Objective, workers: int, trials: int) -> tuple[float, list[int]]:
    """Throughput of a search without the start of the workers, and the processes of these."""
    with tempfile.TemporaryDirectory() as folder:
        study = objective.create_study(
            study_name="one",
            storage=f"sqlite:///{folder}/study.db",
            sampler=RegularizedEvolutionSampler(objective.space, seed=0),
        )
        if workers == 1:
            return trials / _seconds(partial(search, study, objective, n_trials=trials)), []
        with WorkerPool(partial(answer, objective), workers) as pool:
            run = partial(search, study, objective, workers=pool, lag=lag_of(workers))
            seconds = _seconds(partial(run, n_trials=trials))
            return trials / seconds, [memory(pid)["Pss"] for pid in pool.pids]


def memory(pid: int) -> dict[str, int]:
    """Bytes of a process by kind, such as `Rss`, `Pss` and `Uss`, on Linux."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    found = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines}
    return found | {"Uss": found["Private_Clean"] + found["Private_Dirty"]}


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def stand_in(trials: int, sleep_ms: float) -> None:
    """Table of an oracle that sleeps."""
    oracle = partial(sleeping, seconds=sleep_ms / 1e3)
    ideal = 1e3 / sleep_ms
    print(f"| workers | trials per second | of {ideal:.0f} each |\n|---|---|---|")
    for workers in (1, 2, 4, 8):
        objective = Objective(SPACE, oracle, ReRAM(), features=FEATURES)
        found, _ = trials_per_second(objective, workers, trials)
        print(f"| {workers} | {found:.1f} | {found / ideal / workers:.0%} |", flush=True)


def real_oracle(run: Path, trials: int, rounds: int) -> None:
    """Two workers against one on the oracle of a run."""
    torch.set_num_threads(1)
    found: dict[int, list[float]] = {1: [], 2: []}
    held: list[int] = []
    for _ in range(rounds):
        for workers, rates in found.items():
            rate, pss = trials_per_second(_objective(run), workers, trials)
            rates.append(rate)
            held = pss or held
    _compare("trials per second", found)
    print("PSS of each worker, MB:", ", ".join(f"{pss / 1e6:.0f}" for pss in held))


def _objective(run: Path) -> Objective:
    oracle = SupernetOracle.load(run / "supernet", options=OracleOptions())
    return Objective(oracle.supernet.space, oracle, ReRAM())


def retraining(dataset: Dataset, rounds: int) -> None:
    """Two workers against one on the same four trainings."""
    space, rng = SearchSpace.nasrec_small(num_blocks=4), np.random.default_rng(0)
    genotypes = [space.sample(rng) for _ in range(4)]
    config = RetrainConfig(learning_rates=(0.003,), epochs=1, patience=0)
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, rates in found.items():
            with tempfile.TemporaryDirectory() as folder:
                jobs = [Job(g, Path(folder) / str(i), config) for i, g in enumerate(genotypes)]
                run = partial(_train, jobs, dataset, workers)
                rates.append(len(jobs) / _seconds(run))
    _compare("models per second, with the start of the processes", found)


def _train(jobs: list[Job], dataset: Dataset, workers: int) -> None:
    if workers == 1:
        torch.set_num_threads(1)
        for job in jobs:
            job.run(dataset)
    else:
        train_ahead(jobs, dataset, workers, lambda done, of: None)


def _compare(what: str, found: dict[int, list[float]]) -> None:
    ratios = [two / one for one, two in zip(found[1], found[2], strict=True)]
    one, two = (statistics.median(found[workers]) for workers in (1, 2))
    print(f"{what}: {two:.3f} with 2 workers, {one:.3f} with 1, ratio", end=" ")
    print(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def memory_over_trials(run: Path, trials: int) -> None:
    """Memory of a worker after every tenth of the trials, all of different genotypes."""
    objective = _objective(run)
    rng = np.random.default_rng(0)
    with WorkerPool(partial(answer, objective), 1) as pool:
        print("| trials | RSS, MB | PSS, MB | USS, MB |\n|---|---|---|---|")
        for number in range(trials + 1):
            if number % max(trials // 10, 1) == 0:
                held = memory(pool.pids[0])
                sizes = (f"{held[kind] / 1e6:.0f}" for kind in ("Rss", "Pss", "Uss"))
                print(f"| {number} |", " | ".join(sizes), "|", flush=True)
            pool.submit(objective.space.sample(rng)).result()


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--oracle", type=Path, metavar="RUN", help="run folder with a supernet")
    parser.add_argument("--retrain", type=Path, metavar="DATASET", help="prepared dataset")
    parser.add_argument("--memory", type=Path, metavar="RUN", help="run folder with a supernet")
    parser.add_argument("--trials", type=int, help="default 200; 2000 for --memory")
    parser.add_argument("--sleep-ms", type=float, default=500.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if options.oracle:
        real_oracle(options.oracle, options.trials or 200, options.rounds)
    elif options.retrain:
        retraining(Dataset.open(options.retrain), options.rounds)
    elif options.memory:
        memory_over_trials(options.memory, options.trials or 2000)
    else:
        stand_in(options.trials or 200, options.sleep_ms)


if __name__ == "__main__":
    main()
