"""How well a supernet ranks models: the paper's Table 2, with intervals, a ceiling, and more ways.

    python -m studies.ranking --out runs/ranking [--data criteo.txt] [--subnets 48] [--workers 2]

Random subnets are trained from scratch, some of them with two seeds, and then scored by supernets
that are trained and asked in different ways (`--techniques`, `--scorings`). Kendall's tau between
the two seeds is the noise ceiling: how well a training from scratch ranks like another. On the
synthetic log, the default, truth is the log loss under the true click probabilities of the test
rows; on another log it is the log loss of its test rows.

The folder gets `truth.parquet`, `supernets.parquet` and `scores.parquet`, the tables
`ranking.parquet` and `ranking.md`, what the scores' errors go with as `bias.parquet` and `bias.md`,
plots of both, and MLflow runs in `mlflow.db`. An interrupted study continues when it is started
again, also with more subnets or supernets than before.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasrec_opt.data import Dataset, generate_synthetic, prepare
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import Reporter
from nasrec_opt.space import BALANCED_OPS, SearchSpace
from studies._command import execute
from studies._ledger import Ledger
from studies._ranking_report import write_report
from studies._setup import SPACE, Setup, open_log
from studies._tasks import (
    ONE_SUPERNET,
    SCORE_KEYS,
    SUPERNET_KEYS,
    TRUTH_KEYS,
    score_subnet,
    train_from_scratch,
    train_one_supernet,
)
from studies._techniques import SCORINGS, TECHNIQUES, applies, chosen
from studies._workers import run_tasks


@dataclass(frozen=True)
class Results:
    """What the stages have written so far."""

    truth: Ledger
    supernets: Ledger
    scores: Ledger

    @classmethod
    def open(cls, folder: Path) -> Results:
        """The ledgers of a study's folder.

        Raises:
            StudyError: One of them is damaged.
        """
        return cls(
            Ledger(folder / "truth.parquet", TRUTH_KEYS),
            Ledger(folder / "supernets.parquet", SUPERNET_KEYS, later=ONE_SUPERNET),
            Ledger(folder / "scores.parquet", SCORE_KEYS, later=ONE_SUPERNET),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    return execute("ranking", run, _parser().parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """All stages; what is done already is not done again."""
    folder: Path = options.out
    techniques = chosen("techniques", options.techniques, TECHNIQUES)
    scorings = chosen("scorings", options.scorings, SCORINGS)
    for name in ("workers", "supernets"):
        if getattr(options, name) < 1:
            raise StudyError(f"{name}: expected 1 or more, got {getattr(options, name)}")
    setup = make_setup(options, reporter)
    results = Results.open(folder)
    repeats = range(options.supernets)
    train_supernets(folder, techniques, results.supernets, reporter, options.workers, repeats)
    run_tasks(
        "truth",
        train_from_scratch,
        truth_tasks(folder, setup, techniques),
        results.truth,
        reporter,
        workers=options.workers,
    )
    run_tasks(
        "score",
        score_subnet,
        score_tasks(folder, setup, techniques, scorings, repeats),
        results.scores,
        reporter,
        workers=options.workers,
    )
    reporter.begin("report")
    if not results.scores.rows:
        reporter.end(f"nothing is scored; the subnets are in {folder / 'truth.parquet'}")
        return
    write_report(folder, setup, results.truth.rows, results.supernets.rows, results.scores.rows)
    reporter.end(f"{folder / 'ranking.md'}")


def make_setup(options: argparse.Namespace, reporter: Reporter) -> Setup:
    """The setup that the options describe, kept in the folder; the log is prepared if need be."""
    dataset = prepared(options, reporter)
    space = SearchSpace.from_toml(options.space) if options.space else SPACE
    source = str(options.data.resolve()) if options.data else f"synthetic, {options.rows:,} rows"
    setup = Setup(
        source=source,
        dataset=str(dataset.path.resolve()),
        fingerprint=dataset.fingerprint,
        space=space.to_dict(),
        num_subnets=options.subnets,
        num_repeated=min(options.repeated, options.subnets),
        seed=options.seed,
        train={
            "learning_rate": options.learning_rate,
            "embedding_rate": options.embedding_rate,
            "embedding_prior": options.embedding_prior,
            "batch_size": options.batch_size,
            "epochs": options.epochs,
        },
        truth={
            "learning_rates": [options.truth_learning_rate],
            "batch_size": options.truth_batch_size,
            "epochs": options.truth_epochs,
            "evaluations_per_epoch": 1,
        },
    )
    setup.keep(options.out)
    return setup


def prepared(options: argparse.Namespace, reporter: Reporter) -> Dataset:
    """The log: a prepared folder, a raw file to prepare, or the synthetic one."""
    source: Path | None = options.data
    if source is not None and source.is_dir():
        return open_log(source)
    folder = options.out / "dataset"
    if not folder.exists():
        reporter.begin("prepare", str(source or "the synthetic log"))
        if source is None:
            generate_synthetic(
                folder, rows=options.rows, seed=options.seed, progress=reporter.advance
            )
        else:
            prepare(source, folder, seed=options.seed, progress=reporter.advance)
        reporter.end(str(folder))
    return open_log(folder)


def train_supernets(
    folder: Path,
    techniques: Sequence[str],
    ledger: Ledger,
    reporter: Reporter,
    workers: int,
    repeats: Sequence[int] = (0,),
) -> None:
    """Supernets for each technique, of one seed each."""
    tasks = [
        {"folder": str(folder), "technique": name, "repeat": repeat}
        for repeat in repeats
        for name in techniques
    ]
    run_tasks("supernets", train_one_supernet, tasks, ledger, reporter, workers=workers)


def truth_tasks(folder: Path, setup: Setup, techniques: Sequence[str]) -> list[dict[str, Any]]:
    """Every subnet, some of them twice; once more where they have unbalanced dot products."""
    tasks = [
        {"folder": str(folder), "subnet": subnet, "repeat": repeat, "balance": True}
        for repeat, count in enumerate((setup.num_subnets, setup.num_repeated))
        for subnet in range(count)
    ]
    if any(not TECHNIQUES[name].balance for name in techniques):
        tasks += [
            {"folder": str(folder), "subnet": number, "repeat": 0, "balance": False}
            for number, genotype in enumerate(setup.subnets())
            if any(BALANCED_OPS.intersection(g.dense_ops) for g in genotype.canonical().blocks)
        ]
    return tasks


def score_tasks(
    folder: Path,
    setup: Setup,
    techniques: Sequence[str],
    scorings: Sequence[str],
    repeats: Sequence[int],
) -> list[dict[str, Any]]:
    """Every subnet by every supernet and scoring, those of one oracle side by side."""
    return [
        {"folder": str(folder), "subnet": subnet}
        | {"technique": technique, "repeat": repeat, "scoring": scoring}
        for repeat in repeats
        for technique in techniques
        for scoring in scorings
        if applies(technique, scoring)
        for subnet in range(setup.num_subnets)
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m studies.ranking", description=__doc__.splitlines()[0]
    )
    add_setup_options(parser)
    parser.add_argument(
        "--techniques", default=",".join(TECHNIQUES), help="ways to train (default: all)"
    )
    parser.add_argument(
        "--supernets", type=int, default=1, help="supernets for each technique, of one seed each"
    )
    parser.add_argument("--scorings", default=",".join(SCORINGS), help="scorings (default: all)")
    return parser


def add_setup_options(parser: argparse.ArgumentParser) -> None:
    """Options that say what is studied."""
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/ranking"), help="folder of the results")
    add("--data", type=Path, help="a click log in Criteo's layout, or a prepared folder")
    add("--rows", type=int, default=120_000, help="rows of the synthetic log")
    add("--space", type=Path, metavar="SPACE.toml", help="the space (default: a small Full)")
    add("--subnets", type=int, default=48, help="subnets that are trained from scratch")
    add("--repeated", type=int, default=48, help="how many of them with a second seed as well")
    add("--seed", type=int, default=0, help="seed of everything")
    add("--workers", type=int, default=2, help="number of processes, of one thread each")
    add("--batch-size", type=int, default=128, help="rows of a step of a supernet")
    add("--epochs", type=int, default=3, help="passes of a supernet's training")
    add("--learning-rate", type=float, default=0.03, help="Adagrad's, of supernets")
    add("--embedding-rate", type=float, default=0.05, help="the same for their embedding tables")
    add("--embedding-prior", type=float, default=0.25, help="initial value of those accumulators")
    add("--truth-batch-size", type=int, default=512, help="rows of a step from scratch")
    add("--truth-epochs", type=int, default=1, help="passes of a training from scratch")
    add("--truth-learning-rate", type=float, default=3e-3, help="Adam's, from scratch")


if __name__ == "__main__":
    sys.exit(main())
