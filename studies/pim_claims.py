"""Section 5.2 of the paper: a searched design against a handcrafted one, RecNMP and a CPU.

    python -m studies.pim_claims --out runs/pim_claims          two searches, then compare
    python -m studies.pim_claims --run runs/criteo_codesign     what another run found
    python -m studies.pim_claims --designs studies/pim_claims.jsonl --write docs/pim_claims.md

The paper reports 1.5 and 1.1 times the speed and 1.8 and 5.2 times less energy than a handcrafted
ReRAM design and RecNMP. The tables say what our model gives on ISAAC's figures and on those of
MNSIM 2.0, which the paper names, and by how much each assumption that it leaves open moves it. The
searched design is of the Pareto front of a run: of those whose log loss is within `--slack` of the
lowest, the one with the least energy times latency.

The searches are of 4 and of 7 blocks; several runs may be named as well, each of other blocks. The
folder gets a run for each search, `designs.jsonl` (of each search the design, then the rest of its
front), `pim_claims.md` and `pim_claims.svg`; an interrupted search continues when it is started
again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import optuna

from nasrec_opt._files import atomic_write
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.pipeline import Reporter, RunFolder, StudyConfig, run_study
from nasrec_opt.space import Genotype
from studies._command import execute
from studies._page import fill
from studies._pim_report import plot, tables

STUDIES = tuple(Path(__file__).with_name(name) for name in ("pim_claims.toml", "pim_claims_7.toml"))
SLACK = 0.002


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    return execute("pim_claims", run, _parser().parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Find the designs, compare them, write what was found."""
    out: Path = options.out
    if options.designs:
        fronts = read_designs(options.designs)
    else:
        runs = options.run or _search(options.study, out, reporter)
        fronts = [found_designs(run, options.slack) for run in runs]
    _check_blocks([front[0].num_blocks for front in fronts])
    reporter.begin("compare")
    out.mkdir(parents=True, exist_ok=True)
    found = tables(fronts)
    designs = [design for front in fronts for design in front]
    _write(out / "designs.jsonl", "".join(design.to_json() + "\n" for design in designs))
    _write(out / "pim_claims.md", "\n".join(found.values()))
    plot(designs[0], out / "pim_claims.svg")
    if options.write:
        _write(options.write, fill(options.write.read_text(encoding="utf-8"), found))
        plot(designs[0], options.write.with_suffix(".svg"))
    reporter.end(f"{out / 'pim_claims.md'}, {out / 'pim_claims.svg'}")


def _search(studies: Sequence[Path], out: Path, reporter: Reporter) -> list[Path]:
    """Run the searches of study files; their folders."""
    configs = [StudyConfig.from_toml(study) for study in studies]
    _check_blocks([config.space.build().num_blocks for config in configs])  # now, not after hours
    for config in configs:
        run_study(config, out / config.name, until="search", reporter=reporter)
    return [out / config.name for config in configs]


def _check_blocks(blocks: Sequence[int]) -> None:
    """Designs of several searches are told apart by their numbers of blocks."""
    if len(set(blocks)) < len(blocks):
        raise StudyError(f"runs: expected a different number of blocks in each, got {list(blocks)}")


def found_designs(folder: Path, slack: float) -> list[Genotype]:
    """The searched design, then the other members of its front, those that predict best first.

    The searched design is, of the members that predict well, the one with the least energy times
    latency.

    Args:
        folder: A run with log loss, latency and energy among its metrics.
        slack: How far above the lowest log loss of the front a design may be.

    Raises:
        StudyError: There is no such run, or its front is empty.
    """
    path = RunFolder(folder).study_db
    if not path.exists():
        raise StudyError(f"{folder}: expected a run with a search, found no {path.name}")
    storage = f"sqlite:///{path}"
    *_, name = optuna.get_all_study_names(storage)
    study = optuna.load_study(study_name=name, storage=storage)
    names = study.metric_names or []
    wanted = ("log_loss", "latency_us", "energy_uj")
    if not set(wanted) <= set(names):
        raise StudyError(f"{folder}: expected the objectives {', '.join(wanted)}, got {names}")
    front = []
    for trial in study.best_trials:
        values = dict(zip(names, trial.values, strict=True))
        front.append((*(values[name] for name in wanted), trial.number, trial))
    if not front:
        raise StudyError(f"{folder}: expected a trial that meets the constraints, got none")
    lowest = min(member[0] for member in front)
    good = [member for member in front if member[0] <= lowest + slack]
    best = min(good, key=lambda member: (member[1] * member[2], member[3]))
    others = [member for member in sorted(front, key=lambda m: m[:4]) if member is not best]
    return [
        Genotype.from_json(trial.user_attrs["genotype"], f"{folder}: trial {trial.number}")
        for *_, trial in (best, *others)
    ]


def read_designs(path: Path) -> list[list[Genotype]]:
    """Fronts from a file of genotypes, one a line; the first of each front is the searched design.

    Genotypes of as many blocks are of one front.

    Raises:
        GenotypeError: It cannot be read, or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GenotypeError(f"{path}: expected genotypes in JSON, got: {error}") from error
    if not lines:
        raise GenotypeError(f"{path}: expected genotypes in JSON, one a line, got none")
    fronts: dict[int, list[Genotype]] = {}
    for number, line in enumerate(lines, start=1):
        genotype = Genotype.from_json(line, f"{path}:{number}")
        fronts.setdefault(genotype.num_blocks, []).append(genotype)
    return list(fronts.values())


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as stream:
        stream.write(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="studies.pim_claims",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("runs/pim_claims"), help="folder")
    parser.add_argument(
        "--study", type=Path, nargs="+", default=STUDIES, help="study files of the searches"
    )
    parser.add_argument(
        "--run", type=Path, nargs="+", help="runs whose fronts are taken, instead of searches"
    )
    parser.add_argument("--designs", type=Path, help="genotypes, one a line, instead of a search")
    parser.add_argument(
        "--slack", type=float, default=SLACK, help="log loss above the front's lowest"
    )
    parser.add_argument("--write", type=Path, help="page whose tables to regenerate")
    return parser


if __name__ == "__main__":
    sys.exit(main())
