"""Learning curves: how soon a training says how good its model will be.

    python -m studies.curves --out runs/curves --rows 1_000_000 --genotypes 64 --workers 16

Random genotypes are trained from scratch to the end as the quickstart trains its winners, and
scored on the way: on validation rows after 1/8, 1/4, 1/2, 3/4 and 1 of the first epoch and then
each quarter, on test rows after each epoch. Truth is the log loss of the finished model under the
true click probabilities of the test rows. Every genotype is trained with the first seed before any
is with the next.

The folder gets the log, `curves.parquet`, a row a training, and `curves.md`: how well each part of
a training ranks models, after how many seconds, beside the ceiling that a second seed sets and the
rule that goes by MACs. `--limit` ends the study after so many seconds: trainings under way are kept
as far as they are, and trained anew when the study is started again, as after an interruption.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasrec_opt._files import read_json, write_json
from nasrec_opt._recipe import min_count
from nasrec_opt._weights import refuse_weights
from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering import lower
from nasrec_opt.pipeline import Reporter, StudyConfig
from nasrec_opt.space import Genotype, SearchSpace
from studies._command import execute
from studies._curve import KEYS, train_curve
from studies._curves_report import write_report
from studies._ledger import Ledger
from studies._workers import run_tasks

STUDY = Path(__file__).parent / "quickstart.toml"
DRAWS = 1000  # for each genotype, until those of so many MACs count as too rare
SETUP = "setup.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    return execute("curves", run, _parser().parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Train what is missing, and report."""
    began = time.time()
    for name in ("genotypes", "seeds", "workers", "limit", "rate"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise StudyError(f"{name}: expected above 0, got {value}")
    folder: Path = options.out
    study = StudyConfig.from_toml(STUDY)
    config = study.retrain.model
    if options.rate is not None:
        config = dataclasses.replace(config, learning_rates=(options.rate,))
    space = space_of(study, options)
    log = prepared(options, reporter)
    view: dict[str, Any] = {
        "min_count": min_count(Dataset.open(log).split("train").num_rows),
        "binned_dense": study.data.binned_dense,
    }
    dataset = Dataset.open(log, **view)
    how = dataclasses.asdict(config)
    del how["seed"]
    keep_setup(
        folder,
        {
            "fingerprint": dataset.fingerprint,
            "space": space.to_dict(),
            "macs": [options.least_macs, options.most_macs],
            "config": how,
        },
    )
    genotypes = draw(
        space,
        options.genotypes,
        dataset.features,
        least_macs=options.least_macs,
        most_macs=options.most_macs,
    )
    until = None if options.limit is None else began + options.limit
    tasks = [
        {"model": number, "seed": seed, "genotype": genotype.to_json(), "until": until}
        | {"log": str(log), "view": view, "config": how}
        for seed in range(options.seeds)
        for number, genotype in enumerate(genotypes)
    ]
    ledger = Ledger(folder / "curves.parquet", KEYS, is_done=lambda row: bool(row["is_over"]))
    run_tasks(
        "train",
        train_curve,
        tasks,
        ledger,
        reporter,
        workers=options.workers,
        gpu_workers=options.gpu_workers,
    )
    reporter.begin("report")
    source = f"synthetic, {options.rows:,} rows, seed {options.log_seed}"
    write_report(folder, ledger.rows, source, options.write)
    over = sum(bool(row["is_over"]) for row in ledger.rows)
    reporter.end(f"{folder / 'curves.md'}; {over} of {len(tasks)} trainings have ended")


def space_of(study: StudyConfig, options: argparse.Namespace) -> SearchSpace:
    """The study's space with another preset or number of blocks."""
    given = {"preset": options.preset, "num_blocks": options.blocks}
    given = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(study.space, **given).build()


def prepared(options: argparse.Namespace, reporter: Reporter) -> Path:
    """Folder of the synthetic log, made where it is missing."""
    folder: Path = options.log or options.out / "log"
    if not folder.exists():
        reporter.begin("prepare", f"{options.rows:,} rows")
        generate_synthetic(
            folder, rows=options.rows, seed=options.log_seed, progress=reporter.advance
        )
        reporter.end(str(folder))
    dataset = Dataset.open(folder)
    refuse_weights(dataset, "this study")
    rows = sum(dataset.meta["rows"].values())
    if rows != options.rows:
        raise StudyError(f"{folder}: expected a log of {options.rows:,} rows, got {rows:,}")
    return folder.resolve()


def draw(
    space: SearchSpace,
    count: int,
    features: FeatureSpec,
    *,
    least_macs: int | None = None,
    most_macs: int | None = None,
) -> list[Genotype]:
    """Distinct random models; more of them begin with the same ones.

    Args:
        space: Where they come from, every gene uniform over its values.
        count: How many.
        features: Shape of the input.
        least_macs: MACs of a sample that a model has at least.
        most_macs: MACs that it has at most.

    Raises:
        StudyError: The space hardly has so many.
    """
    rng = np.random.default_rng(1)
    found: dict[Genotype, Genotype] = {}
    for _ in range(DRAWS * count):
        genotype = space.sample(rng)
        if least_macs is not None or most_macs is not None:
            macs = lower(genotype, features).macs
            if macs < (least_macs or 0) or (most_macs is not None and macs > most_macs):
                continue
        found.setdefault(genotype.canonical(), genotype)
        if len(found) == count:
            return list(found.values())
    raise StudyError(
        f"genotypes: expected {count} different models of {least_macs or 0:,} MACs or more"
        + ("" if most_macs is None else f", {most_macs:,} or fewer")
        + f", found {len(found)} in {DRAWS * count:,} draws"
    )


def keep_setup(folder: Path, setup: Mapping[str, Any]) -> None:
    """Write down what results depend on, or hold it against what they depended on.

    Raises:
        StudyError: The folder holds results of another setup.
    """
    file, wanted = folder / SETUP, json.loads(json.dumps(setup))
    if not file.exists():
        write_json(file, wanted)
        return
    try:
        before = dict(read_json(file))
    except (OSError, ValueError, TypeError) as error:
        raise StudyError(f"{file}: expected the setup of this study, got: {error}") from error
    for name, value in wanted.items():
        if before.get(name) != value:
            raise StudyError(
                f"{folder}: holds results of another setup: {name} was {before.get(name)}, is "
                f"{value} now; name another folder"
            )


def _number(text: str) -> int:
    return int(text.replace("_", "").replace(",", ""))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="studies.curves", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/curves"), help="folder of the results")
    add("--log", type=Path, help="folder of the prepared log (default: in that of the results)")
    add("--rows", type=_number, default=1_000_000, help="rows of the synthetic log")
    add("--log-seed", type=int, default=100, help="seed of the synthetic log")
    add("--genotypes", type=int, default=64, help="random models")
    add("--seeds", type=int, default=2, help="trainings of each")
    add("--preset", help="space (default: the quickstart's)")
    add("--blocks", type=int, help="blocks of a model (default: the quickstart's)")
    add("--least-macs", type=_number, metavar="N", help="MACs of a sample, at least")
    add("--most-macs", type=_number, metavar="N", help="MACs of a sample, at most")
    add("--rate", type=float, help="the learning rate (default: the best of the recipe's, tried)")
    add("--workers", type=int, default=2, help="number of processes, of one thread each")
    add("--gpu-workers", type=int, help="how many of them may use a GPU (default: all)")
    add("--limit", type=float, metavar="S", help="seconds after which the study ends")
    add("--write", type=Path, metavar="PAGE.md", help="page whose tables to regenerate")
    return parser


if __name__ == "__main__":
    sys.exit(main())
