"""Time of ask, suggest and tell with ours and Optuna's samplers, as the study grows.

    python -m benchmarks.sampler [--trials 100 1000 5000] [--storage memory|sqlite]

Each sampler runs one study of three objectives over NASRec-Small; the samplers take turns, a slice
of trials each, in one process. A figure is the median over the last 50 trials before each size. The
objective is read off the genotype in microseconds. Before timing, ours is shown to give the same
trials as a sampler that starts afresh, so that what is kept between trials is only a cache.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import optuna

from nasrec_opt.samplers import RegularizedEvolutionSampler, make_sampler
from nasrec_opt.space import Genotype, SearchSpace

SPACE = SearchSpace.nasrec_small()
WINDOW = 50


def samplers() -> dict[str, optuna.samplers.BaseSampler]:
    """Fresh samplers by name, ours and Optuna's."""
    return {
        "evolution": RegularizedEvolutionSampler(SPACE, seed=0),
        "NSGAIISampler": optuna.samplers.NSGAIISampler(seed=0),
        "nsga2, resumable": make_sampler("nsga2", SPACE, seed=0),
        "RandomSampler": optuna.samplers.RandomSampler(seed=0),
        "random, resumable": make_sampler("random", SPACE, seed=0),
    }


def objective(genotype: Genotype) -> tuple[float, float, float]:
    """Three objectives that ask for no model."""
    dense = sum(block.dense_width for block in genotype.blocks)
    sparse = sum(block.sparse_width for block in genotype.blocks)
    inputs = sum(len(block.all_inputs) for block in genotype.blocks)
    return -float(dense + 7 * inputs), float(dense + sparse), float(inputs * sparse)


def step(study: optuna.Study) -> float:
    """Seconds of one trial without its objective."""
    start = time.perf_counter()
    trial = study.ask()
    genotype = SPACE.suggest(trial)
    asked = time.perf_counter()
    values = objective(genotype)
    told = time.perf_counter()
    study.tell(trial, values)
    return asked - start + time.perf_counter() - told


def check() -> None:
    """A sampler that remembers and one that starts afresh propose the same."""
    trials = []
    for fresh in (False, True):
        study = optuna.create_study(
            directions=["minimize"] * 3, sampler=RegularizedEvolutionSampler(SPACE, seed=0)
        )
        for _ in range(200):
            step(study)
            if fresh:
                study.sampler = RegularizedEvolutionSampler(SPACE, seed=0)
        trials.append([trial.params for trial in study.trials])
    if trials[0] != trials[1]:
        raise SystemExit("the cache of the evolution sampler changes what it proposes")


def run(sizes: list[int], storage: str, folder: Path) -> dict[str, dict[int, list[float]]]:
    """Milliseconds of the last trials before each size, by sampler."""
    studies = {
        name: optuna.create_study(
            directions=["minimize"] * 3,
            sampler=sampler,
            storage=None if storage == "memory" else f"sqlite:///{folder / name}.db",
        )
        for name, sampler in samplers().items()
    }
    times: dict[str, list[float]] = {name: [] for name in studies}
    while len(times["evolution"]) < max(sizes):
        for name, study in studies.items():  # take turns, so that all see the same machine
            times[name] += [1e3 * step(study) for _ in range(WINDOW)]
    return {
        name: {size: values[size - WINDOW : size] for size in sizes}
        for name, values in times.items()
    }


def main() -> None:
    """Read the options, and print milliseconds of ask, suggest and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--storage", choices=["memory", "sqlite"], default="memory")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    check()
    with tempfile.TemporaryDirectory() as folder:
        measured = run(options.trials, options.storage, Path(folder))
    ours = measured.pop("evolution")
    print(
        f"| at trial ({options.storage}) | evolution ms | baseline | ms | ratio | ours' quartiles |"
    )
    print("|---|---|---|---|---|---|")
    for size in options.trials:
        mine = statistics.median(ours[size])
        for name, values in measured.items():
            theirs = statistics.median(values[size])
            low, _, high = statistics.quantiles(ours[size], n=4)
            print(
                f"| {size:,} | {mine:.2f} | {name} | {theirs:.2f} | {theirs / mine:.2f} "
                f"| {low:.2f} to {high:.2f} |"
            )


if __name__ == "__main__":
    main()
