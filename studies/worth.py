"""What a search is worth: the best model so far, against all the time spent.

    python -m studies.worth --out runs/worth --logs synthetic-10k,synthetic-120k --seeds 0..4
        [--contenders default,random,tpe-hyperband,handmade] [--data criteo=criteo.txt]

Every contender has the same number of seconds on a log (`studies/worth.toml`) for everything that
it does: training of supernets, search, training from scratch, tuning, scoring. Its best model so
far is the one with the lowest validation log loss; the test log loss of this model over time is its
curve. Before the first model, the constant click rate counts.

The clock counts CPU seconds of the contender's own process, which runs on one core with one thread:
wall time depends on what else the machine does (`--clock wall` counts that instead). The log is
prepared and libraries are imported before it starts. A seed stands for everything: weights, draws,
and the split of the log or the synthetic world.

The folder gets `results.parquet`, a row for each run with all its models; the tables `worth.md` and
the plot `worth.svg`, which hold our default against the others in pairs of the same seed; and the
study file of every chain, in `studies/`. An interrupted study continues, and more seeds,
logs and contenders are added to what is there. A result made with settings that have changed since
is made again; one with a larger budget serves for a smaller one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache, reduce
from importlib.util import find_spec
from operator import getitem
from pathlib import Path
from typing import Any

from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.pipeline import Reporter, RunFolder, run_study
from nasrec_opt.retrain import constant_log_loss
from studies._anytime import CLOCKS, Event, OutOfTime, Race
from studies._command import execute
from studies._ledger import Ledger
from studies._techniques import chosen
from studies._workers import Task, run_tasks
from studies._worth_contenders import ENSEMBLE, HANDMADE, Bench, contenders, load_libraries
from studies._worth_logs import Logs
from studies._worth_plan import DEFAULT, Plan
from studies._worth_report import write_report

PLAN = Path(__file__).with_suffix(".toml")
KEYS = ("log", "seed", "contender", "budget_s", "clock", "settings")
MAX_SEEDS = 1000
SCRATCH = ".race-"  # begins the names of folders that last as long as a contender works


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    return execute("worth", run, _parser().parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Prepare logs, let contenders compete, report; what is done already is not done again."""
    plan = Plan.from_toml(options.plan)
    known = contenders(plan)
    names = chosen("contenders", options.contenders or ",".join(known), known)
    logs = Logs(options.out, plan, dict(options.data))
    wanted = chosen("logs", options.logs or ",".join(plan.logs), plan.logs)
    seeds = read_seeds(options.seeds)
    for name, value in (("workers", options.workers), ("budget", options.budget)):
        if value is not None and not value > 0:
            raise StudyError(f"{name}: expected above 0, got {value}")
    if options.write and not options.write.is_file():
        raise StudyError(f"write: expected a page that exists, got {options.write}")
    if set(names) & set(HANDMADE) and find_spec("deepctr_torch") is None:
        raise MissingExtraError("deepctr-torch", "bench")
    there, missing = logs.available(wanted)
    for sentence in missing:
        reporter.note(sentence)
    with RunFolder(options.out).locked():
        for left in options.out.glob(f"{SCRATCH}*"):  # by a process that was killed
            shutil.rmtree(left)
        _compete_and_report(options, plan, logs, there, names, seeds, reporter)


def _compete_and_report(
    options: argparse.Namespace,
    plan: Plan,
    logs: Logs,
    there: Sequence[str],
    names: Sequence[str],
    seeds: Sequence[int],
    reporter: Reporter,
) -> None:
    known = contenders(plan)
    ledger = Ledger(options.out / "results.parquet", KEYS)
    where = {"folder": str(options.out), "plan": str(options.plan), "data": dict(options.data)}
    tasks = [
        race_on(log, name, options, plan, logs) | {"seed": seed} | where
        for log in there
        for seed in seeds
        for name in dict.fromkeys(known[name].read_off or name for name in names)
    ]
    missing = [task for task in tasks if not any(answers(row, task) for row in ledger.rows)]
    for log, seed in dict.fromkeys((task["log"], task["seed"]) for task in missing):
        logs.prepare(log, seed, reporter)
    run_tasks("compete", compete, missing, ledger, reporter, workers=options.workers, is_fresh=True)
    reporter.begin("report")
    current = {
        (row["log"], row["contender"], row["seed"]): row | {"budget_s": race["budget_s"]}
        for row in ledger.rows
        if row["log"] in plan.logs and row["contender"] in known
        if known[row["contender"]].read_off is None
        for race in [race_on(row["log"], row["contender"], options, plan, logs)]
        if answers(row, race | {"seed": row["seed"]})
    }
    others = len(ledger.rows) - len(current)
    rows = list(current.values())
    rows += [
        alone(row) | {"contender": name}
        for name, contender in known.items()
        for row in current.values()
        if row["contender"] == contender.read_off
    ]
    labels = {name: contender.label for name, contender in known.items()}
    write_report(options.out, rows, labels, options.write)
    left_out = f"; {others} results of other settings, budgets or clocks left out" if others else ""
    reporter.end(f"{options.out / 'worth.md'}{left_out}")


def answers(row: Mapping[str, Any], task: Task) -> bool:
    """Whether a result is that of a task: no contender knows its budget, so a longer one will do.

    Args:
        row: Of the ledger.
        task: What a result depends on.
    """
    is_long = bool(row["budget_s"] >= task["budget_s"])
    return is_long and all(row[key] == task[key] for key in KEYS if key != "budget_s")


def alone(row: Mapping[str, Any]) -> dict[str, Any]:
    """A result without the ensembles: what its models come to one by one.

    Args:
        row: Of the ledger.
    """
    kept = [place for place, name in enumerate(row["name"]) if name != ENSEMBLE]
    return {**row, **{field: [row[field][place] for place in kept] for field in Event._fields}}


def race_on(
    log: str, name: str, options: argparse.Namespace, plan: Plan, logs: Logs
) -> dict[str, Any]:
    """What a result of a contender on a log depends on, besides the seed."""
    return {
        "log": log,
        "contender": name,
        "budget_s": float(options.budget or plan.logs[log].budget_s),
        "clock": options.clock,
        "settings": settings(name, log, plan, logs),
    }


def settings(name: str, log: str, plan: Plan, logs: Logs) -> str:
    """Sixteen hexadecimal digits that change with any setting that a contender reads."""
    reads = contenders(plan)[name].reads
    config = asdict(logs.chain(name if reads is None else DEFAULT, log))
    for unread in ("name", "seed", "mlflow"):
        del config[unread]
    del config["retrain"]["workers"]
    if reads is not None:
        config = {table: reduce(getitem, table.split("."), config) for table in reads}
    spec = plan.logs[log]
    read = {"study": config, "rows": spec.rows, "source": spec.source}
    text = json.dumps(read, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def compete(task: Task) -> dict[str, Any]:
    """One contender on one log with one seed."""
    out, name = Path(task["folder"]), task["contender"]
    plan = Plan.from_toml(Path(task["plan"]))
    contender = contenders(plan)[name]
    logs = Logs(out, plan, task["data"])
    load_libraries(name, contender)
    chain = name if contender.reads is None else DEFAULT
    config = logs.config(chain, task["log"], task["seed"])
    with tempfile.TemporaryDirectory(dir=out, prefix=SCRATCH) as folder:
        copied = logs.copy(task["log"], task["seed"], Path(folder))
        prepared = run_study(config, copied, until="prepare")
        constant = constant_log_loss(prepared.dataset())
        race = Race(task["budget_s"], task["clock"])
        with suppress(OutOfTime):
            contender.compete(Bench(prepared, race, Path(folder)))
        spent_s = race.seconds
    return {key: task[key] for key in KEYS} | {
        "commit": commit(),
        "constant": constant,
        "spent_s": spent_s,
        **{field: [getattr(event, field) for event in race.events] for field in Event._fields},
    }


@lru_cache
def commit() -> str | None:
    """The commit that this code is of, marked where files differ; None outside a repository."""
    with suppress(OSError, subprocess.CalledProcessError):
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=9", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
        return found.stdout.strip()
    return None


def read_seeds(text: str) -> list[int]:
    """Seeds from text such as `0..4` or `0,3,5..7`.

    Raises:
        StudyError: It is no such list.
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\.\.(\d+))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not 0 <= last - first < MAX_SEEDS:
            raise StudyError(f"seeds: expected a list such as 0..4 or 0,3,7, got {text!r}")
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def _data(text: str) -> tuple[str, Path]:
    name, separator, file = text.partition("=")
    if not (name and separator and file):
        raise argparse.ArgumentTypeError(f"expected NAME=FILE, got {text!r}")
    return name, Path(file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m studies.worth", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/worth"), help="folder of the results")
    add("--plan", type=Path, default=PLAN, help="logs, budgets and ingredients (worth.toml)")
    add("--logs", help="logs to learn (default: all of the plan)")
    add("--contenders", help="contenders to run (default: all)")
    add("--seeds", default="0..4", help="such as 0..4 or 0,3,7")
    add("--data", type=_data, action="append", default=[], metavar="NAME=FILE", help="a real log")
    add("--budget", type=float, metavar="SECONDS", help="instead of the plan's, on every log")
    add("--clock", choices=tuple(CLOCKS), default="cpu", help="what a second is")
    add("--write", type=Path, metavar="PAGE.md", help="page whose tables and picture to regenerate")
    add("--workers", type=int, default=1, help="number of processes, of one thread each")
    return parser


if __name__ == "__main__":
    sys.exit(main())
