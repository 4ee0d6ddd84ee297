"""Motifs of a Pareto front as a table, beside those of random models (paper, section 6.1)."""

from __future__ import annotations

import optuna

from nasrec_opt.motifs import MotifRow, compare_with_random
from nasrec_opt.report._html import Row, Table
from nasrec_opt.report._records import StudyRecord
from nasrec_opt.space import SearchSpace

SPACE = "space"  # user attribute of a study: what is searched


def space_of(study: optuna.Study) -> SearchSpace | None:
    """Read the search space that a study names.

    Args:
        study: Any study.

    Returns:
        The space, or None for a study that names none.

    Raises:
        GenotypeError: The study names something else.
    """
    values = study.user_attrs.get(SPACE)
    where = f"study {study.study_name!r}: space"
    return None if values is None else SearchSpace.from_dict(values, where)


def motif_table(record: StudyRecord, space: SearchSpace | None) -> Table | None:
    """Tabulate the motifs of the models on the front.

    Args:
        record: The study.
        space: What is searched, or None if it is not known.

    Returns:
        A table, or None without a space or a model.
    """
    models = {t.genotype.canonical() for t in record.front_trials if t.genotype is not None}
    if space is None or not models:
        return None
    ordered = sorted(models, key=lambda genotype: genotype.to_json())  # sets have no order
    rows = [
        Row([row.label, *motif_cells(row)], "best" if row.side else "")
        for row in compare_with_random(ordered, space)
        if not row.is_constant
    ]
    return Table(["", "front", "random", "95 % of random", "than random"], rows)


def motif_cells(row: MotifRow, *, with_models: bool = False) -> list[str]:
    """Format a motif for a table.

    Args:
        row: The motif.
        with_models: Whether to begin with the figure of each model.

    Returns:
        Mean, mean of random models, their interval, and on which side of it the mean is.
    """
    shown = [*(row.models if with_models else ()), row.mean, row.random]
    interval = f"{_figure(row, row.low)} to {_figure(row, row.high)}"
    return [*(_figure(row, value) for value in shown), interval, row.side]


def _figure(row: MotifRow, value: float) -> str:
    return f"{value:.0%}" if row.kind == "share" else f"{value:.3g}"
