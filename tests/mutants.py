"""Mutation testing: small changes to the code, and how many of them some test notices.

    tox run -e mutants -- hw                        # all mutants of hw: hours
    tox run -e mutants -- hw --sample 120 --seed 0  # a random sample of them

mutmut makes the mutants, in a copy of the checkout, and runs for each the tests that reach the
function it stands in. Every mutant of the sample that lives is shown: either a test is missing, or
the mutant says the same in other words. mutmut leaves properties, other decorated functions and
constants of modules alone.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Databases, other processes and Optuna's own samplers take most of the time of these tests, and
# reach nothing of ours that the rest does not reach.
IN_MEMORY = "not (sqlite or postgresql or grpc or processes or killed or tpe or nsga)"
# What is mutated, and the tests that have to notice.
PARTS = {
    "hw": (["hw/*"], ["tests/hw"]),
    "space": (["nasrec_opt/space/*"], ["tests/space"]),
    "samplers": (["nasrec_opt/samplers/*"], ["tests/samplers", "-k", IN_MEMORY]),
    "lowering": (
        ["nasrec_opt/lowering/*"],
        sorted(f"tests/{path.name}" for path in (ROOT / "tests").glob("test_lowering*.py")),
    ),
    "objective": (["nasrec_opt/objective/*"], ["tests/objective", "tests/test_objective.py"]),
}
NOTICED = ("killed", "timeout")
SETTINGS = """
[tool.mutmut]
source_paths = ["hw", "nasrec_opt"]
only_mutate = {only}
do_not_mutate = ["hw/calibrate/*"]
also_copy = ["studies", "benchmarks", "optunahub", "docs", "README.md", "constraints.txt"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "--hypothesis-profile=mutants"]
pytest_add_cli_args_test_selection = {tests}
# Wide, since what makes a machine slow is no reason to call a mutant noticed.
timeout_multiplier = 60.0
# From a process that has run no test, whose caches would hide mutants.
process_isolation = "forkserver"
"""


def main() -> None:
    """Make the mutants, test them or a sample, and print who lives."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--sample", type=int, help="number of mutants; all without it")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--in", dest="folder", type=Path, help="folder to work in and to keep")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary) / "checkout"
        copy_checkout(folder, *PARTS[chosen.part])
        test(folder, chosen.part, chosen.sample, chosen.seed, chosen.processes)


def copy_checkout(folder: Path, only: list[str], tests: list[str]) -> None:
    """Copy what git tracks, with mutmut's settings."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    for name in filter(None, tracked):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
    with (folder / "pyproject.toml").open("a") as project:
        project.write(SETTINGS.format(only=only, tests=tests).replace("'", '"'))


def test(folder: Path, part: str, count: int | None, seed: int, processes: int) -> None:
    """Run mutmut on a sample, and print what came of it."""
    # Only a run writes the mutants down. One that no name matches ends there, as an error.
    mutmut(folder, "run", "none of them", may_fail=True)
    names = sorted(statuses(folder))
    sample = random.Random(seed).sample(names, min(count or len(names), len(names)))
    mutmut(folder, "run", "--max-children", str(processes), *sample)
    found = statuses(folder)
    alive = [name for name in sorted(sample) if found[name] not in NOTICED]
    for name in alive:
        print(mutmut(folder, "show", name, show=False))
    print(dict(Counter(found[name] for name in sample)))
    share = 100 * (1 - len(alive) / len(sample))
    print(f"{part}: {share:.1f} % of {len(sample)} of {len(names)} mutants noticed, seed {seed}")


def statuses(folder: Path) -> dict[str, str]:
    """What is known of each mutant, by its name."""
    shown = mutmut(folder, "results", "--all", "True", show=False)
    return dict(re.findall(r"^\s*(\S+__mutmut_\d+): (.+)$", shown, re.MULTILINE))


def mutmut(folder: Path, *arguments: str, show: bool = True, may_fail: bool = False) -> str:
    """Call mutmut in a folder; its standard output where it is not shown."""
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    # What the tests import is the copy, wherever this environment has the package from.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, check=not may_fail, text=True,
        stdout=None if show else subprocess.PIPE,
    )  # fmt: skip
    return done.stdout or ""


if __name__ == "__main__":
    main()
