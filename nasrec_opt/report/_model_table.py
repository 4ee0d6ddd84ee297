"""The table of all trained models of a run, as the paper's Tables 4 and 5 show them.

A column is stated once, in `COLUMNS`. Markdown and the page show the same texts, and CSV has the
numbers behind them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from nasrec_opt._metrics import LABELS
from nasrec_opt.report._html import Row, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model of the table.

    Args:
        name: What it is.
        seeds: Number of trained models behind the means; the other figures are of the one that is
            best on validation rows.
        validation_log_loss: Mean over the seeds, nats.
        test_log_loss: Mean over the seeds, nats.
        test_log_loss_deviation: Standard deviation over the seeds, or None for one seed.
        test_auc: Mean over the seeds, or None where it is not defined.
        test_auc_deviation: Standard deviation over the seeds, or None.
        mflops: Millions of multiply-accumulates of one sample, without padding; None for a model
            that is no network.
        mflops_paper: The same by the rule of the paper's Table 5.
        parameters: Weights without embedding tables.
        latency_us: Of one sample on the run's accelerator, us; None where it cannot run there.
        energy_uj: Of one sample on the run's accelerator, uJ.
        search_seconds: Wall time of the search that found it, s, with the training of what the
            search needs; None for a model that no search has found.
        search_trials: Number of trials of that search.
        training_seconds: Wall time of training the models of all seeds, s, or None where it is not
            known.
        difference: Test log loss minus that of the best model, row by row, nats; None for the best.
        standard_error: Of that difference, nats.
        is_worse_by_0001: `yes` if the difference is beyond 0.001 with 95 % confidence, `no` if it
            is below with the same confidence, else `open`; empty for the best.
    """

    name: str
    seeds: int
    validation_log_loss: float
    test_log_loss: float
    test_log_loss_deviation: float | None = None
    test_auc: float | None = None
    test_auc_deviation: float | None = None
    mflops: float | None = None
    mflops_paper: float | None = None
    parameters: int | None = None
    latency_us: float | None = None
    energy_uj: float | None = None
    search_seconds: float | None = None
    search_trials: int | None = None
    training_seconds: float | None = None
    difference: float | None = None
    standard_error: float | None = None
    is_worse_by_0001: str = ""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelRow:
        """Inverse of `dataclasses.asdict`.

        Args:
            values: Fields by name; others are ignored.

        Returns:
            The row.

        Raises:
            TypeError: A field is missing.
        """
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table.

    Args:
        head: Its heading.
        cell: Formats the figures of a row.
    """

    head: str
    cell: Callable[[ModelRow], str]


COLUMNS = (
    Column("model", lambda row: row.name),
    Column("seeds", lambda row: str(row.seeds)),
    Column("validation log loss", lambda row: f"{row.validation_log_loss:.5f}"),
    Column("test log loss", lambda row: _spread(row.test_log_loss, row.test_log_loss_deviation)),
    Column("test AUC", lambda row: _spread(row.test_auc, row.test_auc_deviation)),
    Column(
        "difference from the best", lambda row: _spread(row.difference, row.standard_error, "+")
    ),
    Column("worse by 0.001", lambda row: row.is_worse_by_0001 or "-"),
    Column(LABELS["mflops"], lambda row: _short(row.mflops)),
    Column(LABELS["mflops_paper"], lambda row: _short(row.mflops_paper)),
    Column(LABELS["parameters"], lambda row: _short(row.parameters)),
    Column(LABELS["latency_us"], lambda row: _short(row.latency_us)),
    Column(LABELS["energy_uj"], lambda row: _short(row.energy_uj)),
    Column("search (s)", lambda row: _whole(row.search_seconds)),
    Column("trials", lambda row: _short(row.search_trials)),
    Column("training (s)", lambda row: _whole(row.training_seconds)),
)
NOTE = (
    "The first row is the best on validation rows. Log loss and AUC are means ± standard "
    "deviations over the seeds. The difference from the best is that of the test log losses, row "
    "by row, ± its standard error; it and the costs are those of the seed that is best on "
    'validation rows. "Worse by 0.001" says yes or no where the 95 % interval of the difference '
    "does, and else open. Parameters are without embedding tables. Search is the wall time of "
    "everything that chose the models of a search (probes, supernet, trials, ladder), which they "
    "share; training is that of all seeds."
)


def to_markdown(rows: Sequence[ModelRow]) -> str:
    """Lay the table out as Markdown.

    Args:
        rows: The models.

    Returns:
        Text.
    """
    lines = [
        [column.head for column in COLUMNS],
        ["---", *["---:"] * (len(COLUMNS) - 1)],
        *([column.cell(row).replace("|", "\\|") for column in COLUMNS] for row in rows),
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{NOTE}\n"


def to_csv(rows: Sequence[ModelRow]) -> str:
    """Lay the table out as CSV, a column for each field of `ModelRow`.

    Args:
        rows: The models.

    Returns:
        Text.
    """
    stream = io.StringIO()
    names = [field.name for field in fields(ModelRow)]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return stream.getvalue()


def model_table(rows: Sequence[ModelRow]) -> Table:
    """Lay the table out for a page, with the texts that Markdown has.

    Args:
        rows: The models, the best first.
    """
    return Table(
        [column.head for column in COLUMNS],
        [
            Row([column.cell(row) for column in COLUMNS], "" if place else "best")
            for place, row in enumerate(rows)
        ],
    )


def _spread(value: float | None, around: float | None, sign: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:{sign}.5f}" + ("" if around is None else f" ± {around:.5f}")


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _whole(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.2g}"
