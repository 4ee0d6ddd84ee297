"""Section 5.2 of the paper: a searched design against a handcrafted one, RecNMP and a CPU.

    python -m studies.pim_claims --out runs/pim_claims          search, a few minutes, then compare
    python -m studies.pim_claims --run runs/criteo_codesign     what another run found
    python -m studies.pim_claims --design studies/pim_claims.json --write docs/pim_claims.md

The paper reports 1.5 and 1.1 times the speed and 1.8 and 5.2 times less energy than a handcrafted
ReRAM design and RecNMP. The tables say what our model gives, and by how much each assumption that
the paper leaves open moves it. The searched design is of the Pareto front of a run: of those whose
log loss is within `--slack` of the lowest, the one with the least energy times latency.

The folder gets the run, `design.json`, `pim_claims.md` and `pim_claims.svg`; an interrupted search
goes on where it was when it is started again.
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

STUDY = Path(__file__).with_name("pim_claims.toml")
SLACK = 0.002


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    return execute("pim_claims", run, _parser().parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Find the design, compare it, write what was found."""
    out: Path = options.out
    if options.design:
        design = read_design(options.design)
    else:
        if options.run is None:
            config = StudyConfig.from_toml(options.study)
            run_study(config, out, until="search", reporter=reporter)
        design = chosen(options.run or out, options.slack)
    reporter.begin("compare")
    out.mkdir(parents=True, exist_ok=True)
    found = tables(design)
    _write(out / "design.json", design.to_json() + "\n")
    _write(out / "pim_claims.md", "\n".join(found.values()))
    plot(design, out / "pim_claims.svg")
    if options.write:
        _write(options.write, fill(options.write.read_text(encoding="utf-8"), found))
        plot(design, options.write.with_suffix(".svg"))
    reporter.end(f"{out / 'pim_claims.md'}, {out / 'pim_claims.svg'}")


def chosen(folder: Path, slack: float) -> Genotype:
    """The searched design: of the front's members that predict well, the least energy x latency.

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
        raise StudyError(f"{folder}: expected a trial that keeps the constraints, got none")
    lowest = min(member[0] for member in front)
    good = [member for member in front if member[0] <= lowest + slack]
    *_, trial = min(good, key=lambda member: (member[1] * member[2], member[3]))
    return Genotype.from_json(trial.user_attrs["genotype"], f"{folder}: trial {trial.number}")


def read_design(path: Path) -> Genotype:
    """A genotype from its file.

    Raises:
        GenotypeError: It cannot be read.
    """
    try:
        return Genotype.from_json(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise GenotypeError(f"{path}: expected a genotype in JSON, got: {error}") from error


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
    parser.add_argument("--study", type=Path, default=STUDY, help="the search's study file")
    parser.add_argument("--run", type=Path, help="a run whose front is taken, instead of a search")
    parser.add_argument("--design", type=Path, help="a genotype, instead of a search")
    parser.add_argument(
        "--slack", type=float, default=SLACK, help="log loss above the front's lowest"
    )
    parser.add_argument("--write", type=Path, help="page whose tables are made anew")
    return parser


if __name__ == "__main__":
    sys.exit(main())
