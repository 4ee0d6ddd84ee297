"""Samplers side by side: hypervolume over trials, CPU time a trial, and whether it is chance.

    python -m studies.compare_samplers --out runs/compare [--data criteo.txt] [--seeds 5]
        [--trials 500 2000] [--problems table,live,zdt1] [--contenders evolution,nsga2,random]

Every contender searches every problem with every seed, in processes of one thread each. The live
problem asks a supernet, which is trained first (`studies/compare_samplers.toml`). Contenders whose
time a trial grows have smaller budgets (`studies/_contenders.py`). The folder gets the values and
times of all trials (`trials/`), `comparison.parquet`, the tables `comparison.md`, the plots
`comparison.png` and MLflow runs in `mlflow.db`. An interrupted study continues where it was when it
is started again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nasrec_opt._files import atomic_write
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import Reporter, StudyConfig, run_study
from studies._command import execute
from studies._compare_report import write_report
from studies._contenders import CONTENDERS, records
from studies._ledger import Ledger
from studies._problems import PROBLEMS, Problem, make_problem
from studies._techniques import chosen
from studies._workers import Task, run_tasks

STUDY = Path(__file__).with_suffix(".toml")
KEYS = ("problem", "contender", "seed", "trials")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    return execute("compare_samplers", run, _parser().parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Train what the live problem asks, search, report; what is done already is not done again."""
    problems = chosen("problems", options.problems, PROBLEMS)
    contenders = chosen("contenders", options.contenders, CONTENDERS)
    for name in ("seeds", "workers", "rows"):
        if getattr(options, name) < 1:
            raise StudyError(f"{name}: expected 1 or more, got {getattr(options, name)}")
    budgets = sorted(set(options.trials))
    if options.write and not options.write.is_file():
        raise StudyError(f"write: expected a page that exists, got {options.write}")
    if budgets[0] < 1:
        raise StudyError(f"trials: expected 1 or more, got {budgets[0]}")
    options.out.mkdir(parents=True, exist_ok=True)
    if "live" in problems:
        config = StudyConfig.from_toml(options.study)
        run_study(config, options.out / "live", data=options.data, until="train", reporter=reporter)
    ledger = Ledger(options.out / "searches.parquet", KEYS)
    tasks = searches(options, problems, contenders, budgets[-1])
    run_tasks("search", search, tasks, ledger, reporter, workers=options.workers)
    reporter.begin("report")
    write_report(options.out, ledger.rows, budgets, options.write)
    reporter.end(str(options.out / "comparison.md"))


def searches(
    options: argparse.Namespace, problems: Sequence[str], contenders: Sequence[str], budget: int
) -> list[dict[str, Any]]:
    """Every contender on every problem that it takes, seed by seed."""
    where = {"folder": str(options.out), "study": str(options.study), "rows": options.rows}
    found = []
    for problem in problems:
        instance = _problem(problem, **where)
        for seed in range(options.seeds):
            for name in contenders:
                contender = CONTENDERS[name]
                if contender.takes(instance):
                    trials = min(budget, contender.most or budget)
                    task = {"problem": problem, "contender": name, "seed": seed, "trials": trials}
                    found.append(task | where)
    return found


def search(task: Task) -> dict[str, Any]:
    """One contender on one problem with one seed; its trials go to a file."""
    problem = _problem(task["problem"], task["folder"], task["study"], task["rows"])
    started, used = time.perf_counter(), time.process_time()
    values, overheads_s = records(
        CONTENDERS[task["contender"]], problem, task["trials"], task["seed"]
    )
    file = trials_file(Path(task["folder"]), task)
    file.parent.mkdir(exist_ok=True)
    with atomic_write(file, "wb") as stream:
        np.savez_compressed(stream, values=values, overheads_s=overheads_s)
    return {key: task[key] for key in KEYS} | {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
    }


def trials_file(folder: Path, task: Task) -> Path:
    """Where the trials of a search are."""
    return folder / "trials" / ("-".join(str(task[key]) for key in KEYS) + ".npz")


@lru_cache(maxsize=1)  # tasks of one problem come one after the other
def _problem(name: str, folder: str, study: str, rows: int) -> Problem:
    if name != "live":
        return make_problem(name)
    space = StudyConfig.from_toml(Path(study)).space.build()
    return make_problem(name, (space, Path(folder) / "live" / "supernet", rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m studies.compare_samplers", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/compare"), help="folder of the results")
    add("--data", type=Path, help="click log of the live problem (default: the synthetic one)")
    add("--study", type=Path, default=STUDY, help="data, space and supernet of the live problem")
    add("--rows", type=int, default=4096, help="validation rows of a query of the live problem")
    add("--trials", type=int, nargs="+", default=[500, 2000], help="budgets to compare at")
    add("--seeds", type=int, default=5, help="searches of each contender on each problem")
    add("--problems", default=",".join(PROBLEMS), help="problems to search (default: all)")
    add("--contenders", default=",".join(CONTENDERS), help="samplers to compare (default: all)")
    add("--write", type=Path, metavar="PAGE.md", help="page whose tables and picture to regenerate")
    add("--workers", type=int, default=2, help="number of processes, of one thread each")
    return parser


if __name__ == "__main__":
    sys.exit(main())
