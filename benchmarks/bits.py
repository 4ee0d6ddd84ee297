"""What rounding to 8 bits does to the order of models, and whether training must know of it.

    python -m benchmarks.bits --run runs/quickstart

Scores genotypes with the supernet of a run folder in floating point and at 8 bits, and prints
Kendall's tau between the two orders and how far the log losses are apart; then retrains a few
models twice, with and without rounding in training, and prints the test log loss of both at 8 bits.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.oracle import OracleOptions, SupernetOracle
from nasrec_opt.oracle._checks import training_data
from nasrec_opt.retrain import RetrainConfig
from nasrec_opt.retrain._learner import Learner
from nasrec_opt.retrain._metrics import log_loss, predict
from nasrec_opt.retrain._training import Training
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet

BITS = 8


@dataclass(frozen=True)
class Ranking:
    """Two orders of the same models.

    Args:
        tau: Kendall's tau.
        largest: Largest difference of a model's two log losses.
        seconds: Of scoring in floating point, and at 8 bits.
    """

    tau: float
    largest: float
    seconds: tuple[float, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(prog="benchmarks.bits", description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="a run folder with a supernet")
    parser.add_argument("--genotypes", type=int, default=100)
    parser.add_argument("--models", type=int, default=0, help="how many are retrained twice")
    options = parser.parse_args(arguments)
    supernet = options.run / "supernet"
    for fidelity in ("supernet", "last_layer"):
        found = rank(supernet, fidelity, options.genotypes)
        print(
            f"{fidelity}: {options.genotypes} genotypes, tau {found.tau:.4f}, largest difference "
            f"{found.largest:.5f}, {found.seconds[0]:.1f} s in floating point, "
            f"{found.seconds[1]:.1f} s at {BITS} bits"
        )
    for number in range(options.models):
        blind, aware = retrained(supernet, number)
        print(
            f"model {number}: test log loss at {BITS} bits {blind:.5f} learnt in floating point, "
            f"{aware:.5f} learnt with rounding"
        )


def rank(supernet: Path, fidelity: str, count: int) -> Ranking:
    """Score genotypes drawn from the supernet's space in floating point and at 8 bits."""
    losses, seconds = [], []
    for bits in (32, BITS):
        oracle = SupernetOracle.load(
            supernet,
            options=OracleOptions(fidelity=fidelity),  # type: ignore[arg-type]
        )
        started = time.perf_counter()
        answers = oracle.evaluate_many([g.with_bits(bits) for g in drawn(oracle, count)])
        seconds.append(time.perf_counter() - started)
        losses.append(np.array([answer.log_loss for answer in answers]))
    tau = float(kendalltau(*losses).statistic)
    return Ranking(tau, float(np.abs(losses[0] - losses[1]).max()), (seconds[0], seconds[1]))


def drawn(oracle: SupernetOracle, count: int) -> list[Genotype]:
    """Different genotypes of the oracle's space."""
    rng, found = np.random.default_rng(0), {}
    for _ in range(100 * count):
        genotype = oracle.supernet.space.sample(rng).canonical()
        found[genotype] = genotype
        if len(found) == count:
            return list(found)
    raise StudyError(f"genotypes: expected at most the {len(found)} of the space, got {count}")


def retrained(supernet: Path, number: int) -> tuple[float, float]:
    """Test log loss at 8 bits of a model that learnt in floating point, and with its rounding."""
    description = training_data(supernet)
    dataset = Dataset.open(supernet / description["path"], **description["view"])
    genotype = drawn(SupernetOracle.load(supernet), number + 1)[number].with_bits(BITS)
    scores = []
    for learnt in (genotype.with_bits(32), genotype):
        training = _Training(dataset, RetrainConfig(epochs=3))
        training.learnt = learnt
        subnet = Subnet(genotype, dataset.features, 0)
        training.run(subnet)
        scores.append(log_loss(*predict(subnet, dataset.split("test"))))
    return scores[0], scores[1]


class _Training(Training):
    """Training whose steps are those of a genotype that is given."""

    learnt: Genotype

    def _step(self, learner: Learner, batch) -> None:  # type: ignore[no-untyped-def]
        learner._learnt = self.learnt
        super()._step(learner, batch)


if __name__ == "__main__":
    main(sys.argv[1:])
