"""Whether a search comes near the model that a log was drawn from.

    python -m studies.known_truth --out runs/known_truth [--rows 60000] [--seeds 3]

For each seed an architecture is drawn from the space of studies/known_truth.toml, and a log like
Criteo's from this architecture with random weights: no other model is better on average. The study
is run on the log, from `prepare` to the ladder and the retrained models, without knowing the
architecture. Then the same oracle scores it, and it is trained by the same recipe. The folder gets
`known_truth.md`; an interrupted study goes on where it was.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np

from nasrec_opt._files import atomic_write
from nasrec_opt.data import generate_log
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import (
    GivenModels,
    Reporter,
    StudyConfig,
    compare_models,
    run_study,
    truth_of,
)
from nasrec_opt.space import FLOAT_BITS, Genotype, SearchSpace
from studies._command import execute
from studies._page import markdown

STUDY = Path(__file__).with_suffix(".toml")
FOUND = ("model ", "ensemble of ", "probe (")
SPLIT = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one search came to; log losses are of test rows, nats.

    Args:
        seed: Of the architecture, the log and the search.
        constant: The click rate's.
        linear: Logistic regression's.
        found: Of the retrained architecture that is best on validation rows.
        averaged: Of the averaged models of the search, or None where none are averaged.
        planted: Of the planted architecture, trained by the same recipe.
        bayes: Of the true probabilities.
        better: Trials to which the oracle gives a lower log loss than to the planted architecture.
        trials: Trials of the search.
    """

    seed: int
    constant: float
    linear: float
    found: float
    averaged: float | None
    planted: float
    bayes: float
    better: int
    trials: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="studies.known_truth", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of the study")
    add("--study", type=Path, default=STUDY, help="the study file of each search")
    add("--rows", type=int, default=60_000, help="rows of each log")
    add("--seeds", type=int, default=3, help="number of searches, with the seeds 0, 1, 2, ...")
    return execute("known_truth", run, parser.parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Search all logs, and write the table."""
    if options.seeds < 1:
        raise StudyError(f"seeds: expected 1 or more, got {options.seeds}")
    config = StudyConfig.from_toml(options.study)
    outcomes = []
    for seed in range(options.seeds):
        reporter.begin(f"seed {seed}", "search and compare")
        own = replace(config, seed=seed)
        outcomes.append(outcome(own, options.out / f"seed_{seed}", options.rows))
        reporter.end(sentence(outcomes[-1]))
    table = to_markdown(outcomes)
    with atomic_write(options.out / "known_truth.md") as stream:
        stream.write(table)
    print(table)


def outcome(config: StudyConfig, folder: Path, rows: int) -> Outcome:
    """Make a log with a known best model, search it, and compare.

    Args:
        config: The study, with its seed.
        folder: Gets the log and the run; what is there is kept.
        rows: Of the log.
    """
    planted = planted_genotype(config.space.build(), config.seed)
    log = folder / "log"
    if not log.exists():
        truth = truth_of(planted, like="criteo", vocabulary="small", seed=config.seed)
        generate_log(
            log, like="criteo", rows=rows, seed=config.seed, vocabulary="small", log_odds=truth,
            annotate=lambda out: write_genotype(planted, out),
        )  # fmt: skip
    done = run_study(config, folder / "run", data=log / "train.txt")
    given = GivenModels({"planted": planted}, done.config, done.folder.path)
    given.train()
    models = compare_models(done.folder.path)
    by_name = {row.name: row.test_log_loss for row in models}
    ours = [row for row in models if row.name.startswith(FOUND)]
    single = min(
        (row for row in ours if not row.name.startswith("ensemble")),
        key=lambda row: row.validation_log_loss,
    )
    averaged = [row.test_log_loss for row in ours if row.name.startswith("ensemble")]
    scores = [trial.values[0] for trial in done.study().trials if trial.values]
    own = done.oracle().evaluate(planted).log_loss
    bayes = done.dataset().bayes_log_loss
    return Outcome(
        seed=config.seed,
        constant=by_name["constant"],
        linear=by_name["logistic regression"],
        found=single.test_log_loss,
        averaged=min(averaged, default=None),
        planted=mean(model.test_log_loss for model in given.models["planted"]),
        bayes=bayes[SPLIT] if bayes else math.nan,
        better=sum(score < own for score in scores),
        trials=len(scores),
    )


def planted_genotype(space: SearchSpace, seed: int) -> Genotype:
    """Draw the architecture that a log is made from.

    Raises:
        StudyError: The space has no products in floating point, in which a log is made.
    """
    if space.bits != (FLOAT_BITS,):
        raise StudyError(f"bits: expected {FLOAT_BITS} alone under [space], got {space.bits}")
    return space.sample(np.random.default_rng([seed, 1]))


def write_genotype(genotype: Genotype, folder: Path) -> None:
    """Keep it beside its log."""
    with atomic_write(folder / "planted.json") as stream:
        stream.write(genotype.to_json())


def sentence(found: Outcome) -> str:
    """The outcome in a line."""
    return (
        f"test log loss {found.found:.4f}, planted architecture {found.planted:.4f}, true "
        f"probabilities {found.bayes:.4f}; {found.better} of {found.trials} trials score better"
    )


def to_markdown(outcomes: Sequence[Outcome]) -> str:
    """The table of all seeds, with the mean gap."""
    head = ["seed", "click rate", "logistic regression", "found", "found, averaged"]
    head += ["planted, trained alike", "true probabilities", "found - planted"]
    head += ["share of the gap that is closed", "trials scored above the planted one"]
    lines = []
    for one in outcomes:
        losses = [one.constant, one.linear, one.found, one.averaged, one.planted, one.bayes]
        closed = (one.linear - one.found) / (one.linear - one.planted)
        texts = ["-" if loss is None else f"{loss:.4f}" for loss in losses]
        texts += [f"{one.found - one.planted:+.4f}", f"{closed:.0%}".replace("%", " %")]
        lines.append([str(one.seed), *texts, f"{one.better} of {one.trials}"])
    gap = mean(one.found - one.planted for one in outcomes)
    return markdown(head, lines) + f"\nMean of found - planted: {gap:+.4f}.\n"


if __name__ == "__main__":
    sys.exit(main())
