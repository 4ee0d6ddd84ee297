"""Three encodings of the connections: storage time per trial, and what TPE reaches with each.

    python -m benchmarks.encoding [--trials 40] [--repeats 5]

The genotypes are NASRec-Small with seven blocks. The encodings differ only in how the dense and the
sparse inputs of a block are asked: one categorical of subsets ("0+2"), one integer bitmask, or one
boolean per edge (an empty choice then means input 0). A figure is the median over `--repeats`
rounds in which the encodings take turns. The objective of the TPE part is read off the genotype: a
hidden set of edges to hit and widths to keep small.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna

from nasrec_opt.space import SearchSpace

SPACE = SearchSpace.nasrec_small()
Trial = optuna.trial.BaseTrial
Edges = dict[str, tuple[int, ...]]  # inputs by branch, for example {"b3.dense_inputs": (0, 2)}


def branches() -> list[tuple[str, int]]:
    """Name and number of inputs of every branch that has more than one."""
    return [(f"b{b}.{branch}_inputs", b) for b in range(2, 8) for branch in ("dense", "sparse")]


def subsets(trial: Trial) -> Edges:
    """Each branch's inputs as one categorical choice between subsets, which is what we do."""
    distributions = SPACE.distributions()
    return {
        name: tuple(
            map(int, trial.suggest_categorical(name, distributions[name].choices).split("+"))
        )
        for name, _ in branches()
    }


def bitmask(trial: Trial) -> Edges:
    """Each branch's inputs as the bits of one integer."""
    found = {}
    for name, inputs in branches():
        mask = trial.suggest_int(name, 1, 2**inputs - 1)
        found[name] = tuple(i for i in range(inputs) if mask >> i & 1)
    return found


def booleans(trial: Trial) -> Edges:
    """Each branch's inputs as a parameter for each input; none chosen means the first."""
    return {
        name: tuple(
            i for i in range(inputs) if trial.suggest_categorical(f"{name}.{i}", [False, True])
        )
        or (0,)
        for name, inputs in branches()
    }


ENCODINGS: dict[str, Callable[[Trial], Edges]] = {
    "categorical of subsets": subsets,
    "integer bitmask": bitmask,
    "boolean per edge": booleans,
}


def other_genes(trial: Trial) -> dict[str, object]:
    """What all encodings ask alike."""
    return {
        name: trial.suggest_categorical(name, distribution.choices)
        for name, distribution in SPACE.distributions().items()
        if not name.endswith("_inputs")
    }


def storage_ms(encoding: Callable[[Trial], Edges], n_trials: int, folder: Path) -> float:
    """Milliseconds per trial on plain SQLite: ask, suggest everything, tell."""
    path = folder / f"{time.monotonic_ns()}.db"
    study = optuna.create_study(
        storage=f"sqlite:///{path}", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    start = time.perf_counter()
    for _ in range(n_trials):
        trial = study.ask()
        other_genes(trial)
        encoding(trial)
        study.tell(trial, 0.0)
    return 1e3 * (time.perf_counter() - start) / n_trials


def tpe_reaches(encoding: Callable[[Trial], Edges], seed: int, n_trials: int = 200) -> float:
    """Edges that differ from a hidden set, plus a penalty for width, at TPE's best trial."""
    rng = np.random.default_rng(7)
    wanted = {name: set(np.flatnonzero(rng.random(n) < 0.5)) for name, n in branches()}

    def objective(trial: optuna.Trial) -> float:
        genes, edges = other_genes(trial), encoding(trial)
        wrong = sum(len(wanted[name] ^ set(inputs)) for name, inputs in edges.items())
        width = sum(v for name, v in genes.items() if name.endswith("dense_width"))
        return wrong + width / 1024

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=n_trials)
    return study.best_value


def main() -> None:
    """Read the options, and print what each encoding costs and what TPE reaches with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    times: dict[str, list[float]] = {name: [] for name in ENCODINGS}
    best: dict[str, list[float]] = {name: [] for name in ENCODINGS}
    asked = {}
    for repeat in range(options.repeats):
        for name, encoding in ENCODINGS.items():
            with tempfile.TemporaryDirectory() as folder:
                times[name].append(storage_ms(encoding, options.trials, Path(folder)))
            best[name].append(tpe_reaches(encoding, repeat))
            trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
            other_genes(trial), encoding(trial)
            asked[name] = len(trial.params)
    print("| encoding | parameters | SQLite ms per trial | spread | TPE best after 200 | spread |")
    print("|---|---|---|---|---|---|")
    for name in ENCODINGS:
        ms, reached = times[name], best[name]
        print(
            f"| {name} | {asked[name]} "
            f"| {statistics.median(ms):.0f} | {min(ms):.0f} to {max(ms):.0f} "
            f"| {statistics.median(reached):.2f} | {min(reached):.2f} to {max(reached):.2f} |"
        )


if __name__ == "__main__":
    main()
