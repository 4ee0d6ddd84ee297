"""Seconds that Ax takes to propose a trial, with our strategy and with its own, as trials pile up.

    python -m benchmarks.ax [--trials 100 500] [--own 20] [--rounds 2] [--candidates 2]

Three objectives over NASRec-Small with seven blocks. A client is told that many random trials, then
asked for `--rounds` rounds of eight candidates, each evaluated and told before the next is asked;
of Ax's own strategy, after the trials of `--own`, for `--candidates` candidates. Seconds are those
of asking and telling; the objective, a formula and the accelerator's cost model, is left out. A
mean spreads the model of a round over its eight candidates, and the longest is the one that waited
for it. Before timing, our strategy is shown to propose the same in two clients.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from typing import Any

import numpy as np

from hw import ReRAM
from nasrec_opt import FeatureSpec, Genotype, Objective, SearchSpace
from nasrec_opt.ax import Encoding, Strategy, genotype_of, make_client, parameters_of

SPACE = SearchSpace.nasrec_small()
ENCODINGS: dict[Strategy, Encoding] = {"pool_bayes": "tree", "ax": "flat"}


def log_loss(genotype: Genotype) -> float:
    """A made-up log loss, lower for wider models."""
    return 0.44 + 1 / math.log(sum(block.dense_width for block in genotype.blocks))


def filled(strategy: Strategy, trials: int) -> tuple[Any, Objective, float]:
    """A client that was told random trials, its objective, and the seconds that took."""
    features = FeatureSpec(num_dense=13, cardinalities=(1000,) * 26)
    objective = Objective(SPACE, log_loss, ReRAM(), features=features)
    client = make_client(objective, strategy=strategy, seed=0)
    rng = np.random.default_rng(0)
    seconds = 0.0
    for _ in range(trials):
        genotype = SPACE.sample(rng)
        metrics = objective.metrics(genotype)
        start = time.perf_counter()
        index = client.attach_trial(parameters_of(SPACE, genotype, ENCODINGS[strategy]))
        client.complete_trial(index, {name: metrics[name] for name in objective.metric_names})
        seconds += time.perf_counter() - start
    return client, objective, seconds


def step(client: Any, objective: Objective, encoding: Encoding) -> tuple[float, Any]:
    """Seconds of one trial without its objective, and its parameters."""
    start = time.perf_counter()
    [(index, parameters)] = client.get_next_trials(max_trials=1).items()
    asked = time.perf_counter() - start
    metrics = objective.metrics(genotype_of(SPACE, parameters, encoding))
    start = time.perf_counter()
    client.complete_trial(index, {name: metrics[name] for name in objective.metric_names})
    return asked + time.perf_counter() - start, parameters


def check() -> None:
    """Two clients with the same trials propose the same."""
    proposed = []
    for _ in range(2):
        client, objective, _ = filled("pool_bayes", 24)
        proposed.append([step(client, objective, "tree")[1] for _ in range(8)])
    if proposed[0] != proposed[1]:
        raise SystemExit("our strategy proposes other candidates from the same trials")


def main() -> None:
    """Read the options, time both strategies, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="*", default=[100, 500])
    parser.add_argument("--own", type=int, nargs="*", default=[20])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--candidates", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Ax's own strategy has many
    check()
    print("| strategy | trials | candidates | mean, s | longest, s | to tell all trials, s |")
    print("|---|---|---|---|---|---|")
    runs: list[tuple[Strategy, int, int]] = [
        *(("pool_bayes", trials, 8 * options.rounds) for trials in options.trials),
        *(("ax", trials, options.candidates) for trials in options.own),
    ]
    for strategy, trials, candidates in runs:
        trials -= trials % 8  # whole rounds
        client, objective, told = filled(strategy, trials)
        if strategy == "ax":
            step(client, objective, "flat")  # still of its Sobol sequence, which costs nothing
        taken = [step(client, objective, ENCODINGS[strategy])[0] for _ in range(candidates)]
        mean, longest = sum(taken) / len(taken), max(taken)
        row = (strategy, trials, candidates, f"{mean:.2f}", f"{longest:.2f}", f"{told:.1f}")
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
