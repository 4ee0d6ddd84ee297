"""Seconds that a candidate of PoolBayesSampler costs, beside Optuna's GPSampler.

    python -m benchmarks.bayes [--trials 100 500 2000] [--rounds 3] [--peer-up-to 100]

Three objectives over NASRec-Full with seven blocks, in memory. Both samplers get the same finished
trials, those of an evolution; then they take turns: a round of ours (eight candidates for which the
model is fitted once), one candidate of GPSampler. GPSampler is asked up to `--peer-up-to` trials
alone, because its time grows with them. Before timing, a sampler that starts afresh is shown to
choose the same as one that goes on. With OMP_NUM_THREADS=1 the figures are those of one core.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import optuna

from benchmarks.sampler import objective
from nasrec_opt.bayes import PoolBayesSampler
from nasrec_opt.samplers import RegularizedEvolutionSampler
from nasrec_opt.space import SearchSpace

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
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    study.add_trials(trials)
    return study


def ours(size: int) -> PoolBayesSampler:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-up-to", type=int, default=100)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    trials = evolved(max(options.trials))
    check(trials[:50])
    print("| finished trials | ours s | GPSampler s | ratio | ours', GPSampler's extremes |")
    print("|---|---|---|---|---|")
    for size in options.trials:
        mine = study_of(trials[:size], ours(size))
        peer = study_of(trials[:size], optuna.samplers.GPSampler(seed=0))
        own: list[float] = []
        theirs: list[float] = []
        for _ in range(options.rounds):  # take turns, so that both see the same machine
            own.append(seconds(mine, BATCH))
            if size <= options.peer_up_to:
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


if __name__ == "__main__":
    main()
