"""The table of the tabular benchmark: every model of a small space, scored and costed.

    python -m studies.tabular --data criteo.txt --out runs/tabular

Trains the supernet of `studies/tabular.toml` on the log, scores each distinct model of its space on
the validation rows with the supernet's weights in floating point, and costs it at 8 bits on the
default ReRAM accelerator. The folder gets `table.parquet`, which is what `nasrec_opt.tabular`
ships. Some 20 minutes on one core; an interrupted study continues where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

import nasrec_opt
from hw import ReRAM
from nasrec_opt._files import atomic_write, sha256
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.objective import metrics_many
from nasrec_opt.oracle import Evaluation, OracleOptions, SupernetOracle
from nasrec_opt.pipeline import Reporter, StudyConfig, run_study
from nasrec_opt.space import Genotype, SearchSpace
from nasrec_opt.tabular import METRICS, TabularBenchmark
from studies._command import execute

STUDY = Path(__file__).parent / "tabular.toml"
PART = 1000  # models scored between two files: a killed study loses at most so many
REPORTED = 20  # models between two steps of the progress bar


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    parser = argparse.ArgumentParser(prog="studies.tabular", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the click log (default: the synthetic one)")
    parser.add_argument("--out", type=Path, default=Path("runs/tabular"), help="the run folder")
    parser.add_argument("--study", type=Path, default=STUDY, help="data, space and supernet")
    return execute("tabular", run, parser.parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Train, score, and write the table."""
    config = StudyConfig.from_toml(options.study)
    run_study(config, options.out, data=options.data, until="train", reporter=reporter)
    space = config.space.build()
    if space.hardware is not None:
        raise StudyError("space: expected one without accelerator genes, which the table fixes")
    # The table's log losses are those of floating point, its costs those of 8 bits, as the table
    # that ships has them (docs/decisions/bits.md).
    oracle = SupernetOracle.load(options.out / "supernet", options=OracleOptions(bits="float"))
    reporter.begin("score", space.name)
    models = distinct_models(space)
    weights = sha256(options.out / "supernet" / "weights.safetensors")[:12]
    folder = options.out / f"scores-{weights}"
    parts = _score(models, oracle, folder, reporter)
    table = pl.concat([pl.read_parquet(path) for path in parts])
    dataset = Dataset.open(options.out / "dataset")
    about = {
        "dataset": dataset.fingerprint,
        "rows": oracle.evaluate(models[0]).num_rows,
        "accelerator": "hw.ReRAM() of nasrec-opt " + nasrec_opt.__version__,
    }
    TabularBenchmark(space, table.to_dict(as_series=False), about=about).save(
        options.out / "table.parquet"
    )
    reporter.end(f"{len(models):,} models in {options.out / 'table.parquet'}")


def distinct_models(space: SearchSpace) -> list[Genotype]:
    """The canonical form of every model, each once, models with common first blocks together."""
    return list(dict.fromkeys(genotype.canonical() for genotype in space))


def _score(
    models: Sequence[Genotype], oracle: SupernetOracle, folder: Path, reporter: Reporter
) -> list[Path]:
    """The files with the scores of all models; those that are there already are kept."""
    folder.mkdir(exist_ok=True)
    paths = []
    for start in range(0, len(models), PART):
        path = folder / f"{start:06d}.parquet"
        paths.append(path)
        if path.exists():
            continue
        some, answers = models[start : start + PART], []
        for number, genotype in enumerate(some, start=start):
            answers.append(oracle.evaluate(genotype))
            if number % REPORTED == 0:
                reporter.advance(number, len(models))
        with atomic_write(path, "wb") as stream:
            _rows(some, answers, oracle).write_parquet(stream)
    return paths


def _rows(
    models: Sequence[Genotype], answers: Sequence[Evaluation], oracle: SupernetOracle
) -> pl.DataFrame:
    """Some rows of the table; the models are costed all at once."""
    scores = ("log_loss", "auc", "log_loss_se")
    known: dict[str, Any] = {name: [getattr(answer, name) for answer in answers] for name in scores}
    known |= metrics_many(models, oracle.features, ReRAM(), balance=oracle.balance)
    genotypes = [genotype.to_json() for genotype in models]
    return pl.DataFrame({"genotype": genotypes, **{name: known[name] for name in METRICS}})


if __name__ == "__main__":
    sys.exit(main())
