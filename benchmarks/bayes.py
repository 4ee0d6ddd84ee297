"""Seconds that a candidate of PoolBayesSampler costs, and what a search by it finds.

    python -m benchmarks.bayes [--trials 100 500 2000] [--rounds 3] [--peer-up-to 100]
    python -m benchmarks.bayes --search [--trials 64 128 256] [--seeds 5]

Three objectives over NASRec-Full with seven blocks, in memory. Both samplers get the same finished
trials, those of an evolution; then they take turns: a round of ours (eight candidates for which the
model is fitted once), one candidate of GPSampler. GPSampler is asked up to `--peer-up-to` trials
alone, because its time grows with them. Before timing, a sampler that starts afresh is shown to
choose the same as one that goes on. With OMP_NUM_THREADS=1 the figures are those of one core.

With `--search`, studies of the tabular benchmark that ships: the share of the table's hypervolume
that is missing after so many trials, median over seeds, by sampler.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import optuna

from benchmarks.sampler import objective
from nasrec_opt.bayes import PoolBayesSampler
from nasrec_opt.samplers import RegularizedEvolutionSampler, make_sampler
from nasrec_opt.space import SearchSpace
from nasrec_opt.tabular import TabularBenchmark

SPACE = SearchSpace.nasrec_full()
BATCH = 8


def evolved(size: int) -> list[optuna.trial.FrozenTrial]:
    """Finished trials such as a search has."""
    sampler = RegularizedEvolutionSampler(SPACE, population_size=64, tournament_size=16, seed=0)
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    study.optimize(lambda trial: objective(SPACE.suggest(trial)), n_trials=size)
    return study.trials


def study_of(
    trials: list[optuna.trial.FrozenTrial], sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    """A study in memory of these trials, with `sampler` to go on from them."""
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    study.add_trials(trials)
    return study


def ours(size: int) -> PoolBayesSampler:
    """The pool sampler, with its next candidate the first of a round."""
    # The first round begins with the next trial, whatever the size.
    return PoolBayesSampler(SPACE, num_startup=size, batch_size=BATCH, seed=0)


def seconds(study: optuna.Study, count: int) -> float:
    """Of one candidate, without its objective."""
    spent = 0.0
    for _ in range(count):
        start = time.perf_counter()
        trial = study.ask()
        genotype = SPACE.suggest(trial)
        spent += time.perf_counter() - start
        study.tell(trial, objective(genotype))
    return spent / count


def check(trials: list[optuna.trial.FrozenTrial]) -> None:
    """A sampler that goes on and one that starts afresh choose the same."""
    chosen = []
    for fresh in (False, True):
        study = study_of(trials, ours(len(trials)))
        for _ in range(BATCH + 2):
            if fresh:
                study.sampler = ours(len(trials))
            seconds(study, 1)
        chosen.append([trial.params for trial in study.trials])
    if chosen[0] != chosen[1]:
        raise SystemExit("the cache of PoolBayesSampler changes what it chooses")


def search(sizes: list[int], seeds: int) -> None:
    """Print the hypervolume that each sampler reaches on the tabular benchmark."""
    benchmark = TabularBenchmark.load()
    space = benchmark.space
    samplers: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
        "random": lambda seed: make_sampler("random", space, seed=seed),
        "evolution": lambda seed: RegularizedEvolutionSampler(
            space, population_size=32, tournament_size=16, seed=seed
        ),
        "evolution with an archive": lambda seed: RegularizedEvolutionSampler(
            space, population_size=32, tournament_size=16, archive=True, seed=seed
        ),
        "nsga2": lambda seed: make_sampler("nsga2", space, seed=seed, population_size=32),
        "pool_bayes": lambda seed: PoolBayesSampler(space, seed=seed),
    }
    print(f"| sampler | {' | '.join(f'{size:,} trials' for size in sizes)} | extremes at the end |")
    print("|---|" + "---|" * (len(sizes) + 1))
    for name, make in samplers.items():
        missing = []
        for seed in range(seeds):
            study = optuna.create_study(directions=benchmark.directions, sampler=make(seed))
            study.optimize(benchmark, n_trials=max(sizes))
            values = [trial.values for trial in study.trials]
            missing.append([max(1 - benchmark.hypervolume(values[:n]), 0.0) for n in sizes])
        medians = [f"{statistics.median(at):.2%}" for at in zip(*missing, strict=True)]
        end = [at[-1] for at in missing]
        extremes = f"{min(end):.2%} to {max(end):.2%}"
        print(f"| {name} | {' | '.join(medians)} | {extremes} |", flush=True)


def timing(sizes: list[int], rounds: int, peer_up_to: int) -> None:
    """Print the seconds of a candidate as trials pile up, ours beside Optuna's GPSampler."""
    trials = evolved(max(sizes))
    check(trials[:50])
    print("| finished trials | ours s | GPSampler s | ratio | ours', GPSampler's extremes |")
    print("|---|---|---|---|---|")
    for size in sizes:
        mine = study_of(trials[:size], ours(size))
        peer = study_of(trials[:size], optuna.samplers.GPSampler(seed=0))
        own: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):  # take turns, so that both see the same machine
            own.append(seconds(mine, BATCH))
            if size <= peer_up_to:
                theirs.append(seconds(peer, 1))
        columns = [f"{size:,}", f"{statistics.median(own):.2f}"]
        extremes = f"{min(own):.2f} to {max(own):.2f}"
        if theirs:
            other = statistics.median(theirs)
            columns += [f"{other:.1f}", f"{other / statistics.median(own):.0f}"]
            extremes += f", {min(theirs):.1f} to {max(theirs):.1f}"
        else:
            columns += ["not asked", ""]
        print(f"| {' | '.join(columns)} | {extremes} |", flush=True)


def main() -> None:
    """Read the options, and do what they ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-up-to", type=int, default=100)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if options.search:
        search(sorted(options.trials or [64, 128, 256]), options.seeds)
    else:
        timing(options.trials or [100, 500, 2000], options.rounds, options.peer_up_to)


if __name__ == "__main__":
    main()
