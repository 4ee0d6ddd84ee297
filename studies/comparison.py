"""What a search finds, beside random search, the paper's models and hand-made ones, by log.

    python -m studies.comparison synthetic=runs/synthetic criteo=runs/criteo --write PAGE.md

Puts the tables of `nasrec-opt compare` into a page, docs/comparison.md: for each log one with the
best model of each kind, and one with all models. Each run is finished, and `nasrec-opt compare` has
trained what it is compared with. A log's tables go between its marks, `<!-- synthetic -->` and
`<!-- end -->`. It takes seconds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from nasrec_opt._files import atomic_write
from nasrec_opt.baselines import BASELINES
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import Reporter, RunFolder, compare_models
from nasrec_opt.report import ModelRow, to_markdown
from nasrec_opt.serving import find_results
from studies._command import execute
from studies._page import fill, markdown

SEARCHED = "searched"
KINDS = {  # beginnings of names
    "model ": SEARCHED,
    "ensemble of ": "searched, averaged",
    "probe (": "probe",
    "random search: ensemble of ": "random search, averaged",
    "random search: ": "random search",
    "published:": "published",
    "like:": "hand-made, our operators",
    "constant": "click rate",
    "logistic regression": "logistic regression",
    **{spec.label: "hand-made" for spec in BASELINES.values() if spec.build is not None},
}
OTHER = "other"
SPLITS = ("train", "validation", "test")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    parser = argparse.ArgumentParser(prog="studies.comparison", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("runs", nargs="+", metavar="NAME=RUN", help="name of a log, and the run on it")
    add("--write", type=Path, metavar="PAGE.md", help="page whose tables to regenerate")
    return execute("comparison", run, parser.parse_args(arguments))


def run(options: argparse.Namespace, reporter: Reporter) -> None:
    """Make the tables of all logs."""
    runs = dict(_named(text) for text in options.runs)
    page = _page(options.write, runs)
    tables = {}
    for name, path in runs.items():
        reporter.begin(name, str(path))
        tables[name] = section(path)
        reporter.end("compared")
    if options.write:
        with atomic_write(options.write) as stream:
            stream.write(fill(page, tables))
    print("\n\n".join(f"{name}\n\n{table}" for name, table in tables.items()))


def section(path: Path) -> str:
    """The tables of a run, with the size of its log."""
    rows = compare_models(path)
    dataset = Dataset.open(RunFolder(find_results(path)[1]).dataset)
    sizes = [f"{dataset.split(name).num_rows:,} {name}" for name in SPLITS]
    return f"\nRows: {', '.join(sizes)}.\n\n{kinds_table(rows)}\n{to_markdown(rows)}\n"


def kinds_table(rows: Iterable[ModelRow]) -> str:
    """The best model of each kind on validation rows, the best kind first.

    Args:
        rows: As `compare_models` gives them.
    """
    best: dict[str, ModelRow] = {}
    for row in rows:
        best.setdefault(kind_of(row), row)
    ours = best.get(SEARCHED)
    head = ["kind", "its best model on validation rows", "test log loss", "test AUC", "MFLOPs"]
    lines = [
        [
            kind,
            row.name.removeprefix("random search: "),
            _spread(row.test_log_loss, row.test_log_loss_deviation),
            _spread(row.test_auc, row.test_auc_deviation),
            "-" if row.mflops is None else f"{row.mflops:.3g}",
            _times(row, ours),
        ]
        for kind, row in best.items()
    ]
    return markdown([*head, "MFLOPs beside the searched one"], lines)


def kind_of(row: ModelRow) -> str:
    """Who made a model."""
    return next((kind for start, kind in KINDS.items() if row.name.startswith(start)), OTHER)


def _times(row: ModelRow, ours: ModelRow | None) -> str:
    if row.mflops is None or ours is None or not ours.mflops:
        return "-"
    return f"{row.mflops / ours.mflops:.2g} x"


def _spread(value: float | None, deviation: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def _named(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise StudyError(f"runs: expected NAME=RUN, such as criteo=runs/criteo, got {text!r}")
    return name, Path(path)


def _page(file: Path | None, names: Iterable[str]) -> str:
    """The page to fill; empty without one."""
    if file is None:
        return ""
    if not file.is_file():
        raise StudyError(f"write: expected a page that exists, got {file}")
    page = file.read_text(encoding="utf-8")
    for name in names:
        if f"<!-- {name} -->\n" not in page:
            raise StudyError(f"{file}: expected the mark <!-- {name} -->, found none")
    return page


if __name__ == "__main__":
    sys.exit(main())
