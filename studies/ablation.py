"""What the ways of training and asking a supernet are worth: the paper's Figure 8 and Table 6.

    python -m studies.ablation --out runs/ranking [--trials 128] [--samples 100] [--top 2]

Works in the folder of `studies.ranking`, whose log, space and supernets it uses; what is missing is
made. For each method of Table 6 it samples subnets and draws the distribution of their scores
(Figure 8), searches with regularized evolution for the least log loss, trains the best few from
scratch and scores them on test rows (Table 6).

The folder gets `samples.parquet`, `searches.parquet`, `found.parquet`, the table `ablation.md` and
the plot `ablation.png`, and MLflow runs. An interrupted study goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import optuna
import polars as pl

from nasrec_opt._files import atomic_write
from nasrec_opt.errors import StudyError
from nasrec_opt.lowering import lower
from nasrec_opt.objective import Objective
from nasrec_opt.pipeline import Reporter
from nasrec_opt.samplers import RegularizedEvolutionSampler
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import SingleOperatorAnyConnection
from studies._command import execute
from studies._ledger import Ledger
from studies._mlflow import log_runs
from studies._setup import FILE, Setup
from studies._tasks import SUPERNET_KEYS, Task, load_oracle, truth_of
from studies._workers import run_tasks
from studies.ranking import add_setup_options, make_setup, train_supernets

# Method of Table 6: how its supernet is trained, and how it is asked. The first is the paper's own.
METHODS = {
    "Single operator, any connection + fine-tuning": ("single-any", "adagrad"),
    "Single operator, single connection + fine-tuning": ("single-single", "adagrad"),
    "Any operator, any connection + fine-tuning": ("any-any", "adagrad"),
    "Single operator, any connection, no fine-tuning": ("single-any", "supernet"),
    "Single operator, any connection + Newton": ("single-any", "newton"),
}
POPULATION, TOURNAMENT, CHILDREN = 32, 16, 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    return execute("ablation", run, _parser().parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """All stages; what is done already is not done again."""
    folder: Path = options.out
    for name in ("workers", "trials", "samples", "top"):
        if getattr(options, name) < 1:
            raise StudyError(f"{name}: expected 1 or more, got {getattr(options, name)}")
    setup = Setup.load(folder) if (folder / FILE).exists() else make_setup(options, reporter)
    techniques = list(dict.fromkeys(technique for technique, _ in METHODS.values()))
    supernets = Ledger(folder / "supernets.parquet", SUPERNET_KEYS)
    train_supernets(folder, techniques, supernets, reporter, options.workers)
    base = {"folder": str(folder), "seed": setup.seed}
    sampled = Ledger(folder / "samples.parquet", ("method", "samples"))
    tasks = [base | {"method": name, "samples": options.samples} for name in METHODS]
    run_tasks("sample", sample, tasks, sampled, reporter, workers=options.workers)
    searched = Ledger(folder / "searches.parquet", ("method", "trials"))
    tasks = [
        base | {"method": name, "trials": options.trials, "top": options.top} for name in METHODS
    ]
    run_tasks("search", search, tasks, searched, reporter, workers=options.workers)
    found = Ledger(folder / "found.parquet", ("genotype",))
    wanted = {
        genotype: base | {"genotype": genotype}
        for row in searched.rows
        if row["trials"] == options.trials
        for genotype in row["genotypes"][: options.top]
    }
    run_tasks(
        "retrain", train_found, list(wanted.values()), found, reporter, workers=options.workers
    )
    reporter.begin("report")
    write_report(folder, setup, sampled.rows, searched.rows, found.rows, options)
    reporter.end(str(folder / "ablation.md"))


def sample(task: Task) -> dict[str, Any]:
    """Scores of random subnets, the same for every method."""
    setup = Setup.load(Path(task["folder"]))
    oracle = load_oracle(task["folder"], *METHODS[task["method"]])
    rng = np.random.default_rng([setup.seed, 2])
    strategy = SingleOperatorAnyConnection(setup.search_space)
    genotypes = [strategy.sample(rng, 1.0) for _ in range(task["samples"])]
    losses = [answer.log_loss for answer in oracle.evaluate_many(genotypes)]
    return {"method": task["method"], "samples": task["samples"], "log_losses": losses}


def search(task: Task) -> dict[str, Any]:
    """The best genotypes that regularized evolution finds, by the oracle's log loss."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    setup = Setup.load(Path(task["folder"]))
    space = setup.search_space
    sampler = RegularizedEvolutionSampler(
        space,
        population_size=POPULATION,
        tournament_size=TOURNAMENT,
        children_per_round=CHILDREN,
        seed=setup.seed,
    )
    study = optuna.create_study(sampler=sampler)
    oracle = load_oracle(task["folder"], *METHODS[task["method"]])
    study.optimize(Objective(space, oracle), n_trials=task["trials"])
    best: dict[str, float] = {}
    for trial in sorted(study.trials, key=lambda trial: trial.value):
        genotype = Genotype.from_json(trial.user_attrs["genotype"]).canonical().to_json()
        best.setdefault(genotype, trial.value)
    genotypes = list(best)[: task["top"]]
    return {
        "method": task["method"],
        "trials": task["trials"],
        "genotypes": genotypes,
        "log_losses": [best[genotype] for genotype in genotypes],
    }


def train_found(task: Task) -> dict[str, Any]:
    """One of the best genotypes trained from scratch."""
    setup = Setup.load(Path(task["folder"]))
    dataset = setup.open_dataset()
    genotype = Genotype.from_json(task["genotype"])
    truth = truth_of(genotype, setup, dataset, seed=setup.seed)
    return truth | {
        "genotype": task["genotype"],
        "mflops": lower(genotype, dataset.features).mflops,
    }


def write_report(
    folder: Path,
    setup: Setup,
    sampled: Sequence[Mapping[str, Any]],
    searched: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    options: argparse.Namespace,
) -> None:
    """Write `ablation.md`, `ablation.parquet` and `ablation.png`, and log the MLflow runs."""
    by_genotype = {row["genotype"]: row for row in found}
    table = []
    for row in searched:
        if row["trials"] != options.trials:
            continue
        models = [by_genotype[genotype] for genotype in row["genotypes"][: options.top]]
        best = min(models, key=lambda model: model["validation_log_loss"])
        table.append(
            {
                "method": row["method"],
                "log_loss": best["test_log_loss"],
                "auc": best["test_auc"],
                "mflops": best["mflops"],
                "oracle_log_loss": row["log_losses"][0],
            }
        )
    order = list(METHODS)
    table.sort(key=lambda row: order.index(row["method"]))
    lines = ["| method | test log loss | test AUC | MFLOPs |", "|---|---|---|---|"]
    lines += [
        f"| {row['method']} | {row['log_loss']:.4f} | {row['auc']:.4f} | {row['mflops']:.3f} |"
        for row in table
    ]
    with atomic_write(folder / "ablation.md") as stream:
        stream.write("\n".join(lines) + "\n")
    with atomic_write(folder / "ablation.parquet", "wb") as stream:
        pl.DataFrame(table).write_parquet(stream)
    curves = {
        row["method"]: row["log_losses"] for row in sampled if row["samples"] == options.samples
    }
    with atomic_write(folder / "ablation.png", "wb") as stream:
        plot(curves, stream)
    parameters = {"space": setup.space, "train": setup.train, "truth": setup.truth} | {
        "fingerprint": setup.fingerprint, "trials": options.trials, "seed": setup.seed,
    }  # fmt: skip
    runs = [
        (row["method"], {"method": row["method"]}, {k: v for k, v in row.items() if k != "method"})
        for row in table
    ]
    files = [folder / f"ablation.{kind}" for kind in ("md", "parquet", "png")]
    log_runs(folder, "ablation", parameters, runs, files)


def plot(curves: Mapping[str, Sequence[float]], stream: Any) -> None:
    """Share of subnets whose score is at most a log loss, by method.

    The worst tenth of a method may lie to the right of what is shown.
    """
    figure, axis = plt.subplots(figsize=(7, 4.2))
    for method, losses in curves.items():
        values = np.sort(losses)
        axis.step(values, np.arange(1, len(values) + 1) / len(values), where="post", label=method)
    shown = [np.quantile(losses, q) for losses in curves.values() for q in (0.0, 0.9)]
    margin = 0.05 * (max(shown) - min(shown)) or 0.01
    axis.set_xlim(min(shown) - margin, max(shown) + margin)
    axis.set_xlabel("validation log loss, oracle")
    axis.set_ylabel("share of subnets")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(stream, format="png", dpi=120)
    plt.close(figure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m studies.ablation", description=__doc__.splitlines()[0]
    )
    add_setup_options(parser)
    parser.add_argument("--trials", type=int, default=128, help="queries of each search")
    parser.add_argument("--samples", type=int, default=100, help="subnets behind each curve")
    parser.add_argument("--top", type=int, default=2, help="how many of a search are trained")
    return parser


if __name__ == "__main__":
    sys.exit(main())
