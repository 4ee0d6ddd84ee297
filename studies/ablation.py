"""Ways of training a supernet and scoring with it: the paper's Figure 8 and Table 6.

    python -m studies.ablation --out runs/ranking [--trials 128] [--top 2] [--logs runs/avazu]

Works in the folder of `studies.ranking`, whose log, space, subnets and supernets it uses; what is
missing is made. Each method of Table 6 searches with regularized evolution for the least log loss;
the best few are trained from scratch and scored on test rows. Figure 8 is the distribution of the
log losses of random subnets that were trained from scratch, those of `truth.parquet`, with what the
searches found beside them; `--logs` names folders of ranking studies on other logs, each of which
gets a panel. The paper's section 6.3 has subnets of `studies/spaces/paper_subnets.toml`; they are
trained on a log without any supernet by

    python -m studies.ranking --out runs/avazu --data LOG --space studies/spaces/paper_subnets.toml
        --subnets 100 --repeated 0 --truth-batch-size 1024 --techniques= --scorings=

The folder gets `searches.parquet`, `found.parquet`, the tables `ablation.md`, the plot
`subnets.png`, and MLflow runs. An interrupted study continues where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import polars as pl

from nasrec_opt._files import atomic_write
from nasrec_opt._metrics import LABELS
from nasrec_opt.errors import StudyError
from nasrec_opt.lowering import lower
from nasrec_opt.objective import Objective
from nasrec_opt.pipeline import Reporter
from nasrec_opt.samplers import RegularizedEvolutionSampler
from nasrec_opt.space import Genotype
from studies._command import execute
from studies._ledger import Ledger
from studies._mlflow import log_runs
from studies._setup import FILE, Setup
from studies._subnets import Subnets, as_markdown, plot, subnets_of
from studies._tasks import (
    ONE_SUPERNET,
    SUPERNET_KEYS,
    TRUTH_KEYS,
    Task,
    load_oracle,
    train_from_scratch,
    truth_of,
)
from studies._workers import run_tasks
from studies.ranking import add_setup_options, make_setup, train_supernets, truth_tasks

# Method of Table 6: how its supernet is trained, and how it is asked. The first is the paper's own.
METHODS = {
    "Single operator, any connection + fine-tuning": ("single-any", "adagrad"),
    "Single operator, single connection + fine-tuning": ("single-single", "adagrad"),
    "Any operator, any connection + fine-tuning": ("any-any", "adagrad"),
    "Single operator, any connection, no fine-tuning": ("single-any", "supernet"),
    "Single operator, any connection + Newton": ("single-any", "newton"),
}
POPULATION, TOURNAMENT, CHILDREN = 32, 16, 8
COUNT = "mflops_paper"  # what Table 6 has


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    return execute("ablation", run, _parser().parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """All stages; what is done already is not done again."""
    folder: Path = options.out
    for name in ("workers", "trials", "top"):
        if getattr(options, name) < 1:
            raise StudyError(f"{name}: expected 1 or more, got {getattr(options, name)}")
    others = [subnets_of(other) for other in options.logs]  # refused now, not after hours
    setup = Setup.load(folder) if (folder / FILE).exists() else make_setup(options, reporter)
    techniques = list(dict.fromkeys(technique for technique, _ in METHODS.values()))
    supernets = Ledger(folder / "supernets.parquet", SUPERNET_KEYS, later=ONE_SUPERNET)
    train_supernets(folder, techniques, supernets, reporter, options.workers)
    base = {"folder": str(folder), "seed": setup.seed}
    truth = Ledger(folder / "truth.parquet", TRUTH_KEYS)
    tasks = truth_tasks(folder, setup, [])
    run_tasks("truth", train_from_scratch, tasks, truth, reporter, workers=options.workers)
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
    write_report(folder, setup, searched.rows, found.rows, others, options)
    reporter.end(str(folder / "ablation.md"))


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
    for trial in sorted(study.trials, key=lambda trial: trial.values[0]):
        genotype = Genotype.from_trial(trial).canonical().to_json()
        best.setdefault(genotype, trial.values[0])
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
    return truth_of(genotype, setup, dataset, seed=setup.seed) | {"genotype": task["genotype"]}


def write_report(
    folder: Path,
    setup: Setup,
    searched: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    others: Sequence[Subnets],
    options: argparse.Namespace,
) -> None:
    """Write `ablation.md`, `ablation.parquet` and `subnets.png`, and log the MLflow runs."""
    by_genotype = {row["genotype"]: row for row in found}
    features = setup.open_dataset().features
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
                COUNT: getattr(lower(Genotype.from_json(best["genotype"]), features), COUNT),
                "oracle_log_loss": row["log_losses"][0],
            }
        )
    order = list(METHODS)
    table.sort(key=lambda row: order.index(row["method"]))
    own = subnets_of(folder, {row["method"]: row["log_loss"] for row in table})
    logs = [own, *others]
    for row in table:
        row["share_better"] = own.share_better(row["log_loss"])
    lines = [
        f"| method | test log loss | test AUC | {LABELS[COUNT]} | random subnets that are better |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['method']} | {row['log_loss']:.4f} | {row['auc']:.4f} | {row[COUNT]:.3f} "
        f"| {row['share_better']:.0%} |"
        for row in table
    ]
    with atomic_write(folder / "ablation.md") as stream:
        stream.write("\n".join(lines) + "\n\n" + as_markdown(logs))
    with atomic_write(folder / "ablation.parquet", "wb") as stream:
        pl.DataFrame(table).write_parquet(stream)
    with atomic_write(folder / "subnets.png", "wb") as stream:
        plot(logs, stream)
    parameters = {"space": setup.space, "train": setup.train, "truth": setup.truth} | {
        "fingerprint": setup.fingerprint, "trials": options.trials, "seed": setup.seed,
    }  # fmt: skip
    runs = [
        (row["method"], {"method": row["method"]}, {k: v for k, v in row.items() if k != "method"})
        for row in table
    ]
    files = [folder / name for name in ("ablation.md", "ablation.parquet", "subnets.png")]
    log_runs(folder, "ablation", parameters, runs, files)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m studies.ablation", description=__doc__.splitlines()[0]
    )
    add_setup_options(parser)
    parser.add_argument("--trials", type=int, default=128, help="queries of each search")
    parser.add_argument("--top", type=int, default=2, help="how many of a search are trained")
    parser.add_argument(
        "--logs", type=Path, nargs="+", default=[], help="ranking studies on other logs"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
