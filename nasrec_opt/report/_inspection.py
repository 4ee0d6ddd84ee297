"""The tables and the page of an inspection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nasrec_opt._files import atomic_write
from nasrec_opt.inspection import (
    DenseFigures,
    Drift,
    Inspection,
    Signal,
    SparseFigures,
    SplitFigures,
    percent,
)
from nasrec_opt.report._html import Row, Table, render
from nasrec_opt.report._inspection_plots import curve, histogram, in_digits, rates

INSPECTION_NOTES = (
    "rate: clicked rows. copies: rows equal to a training row, label included; in train, to an "
    "earlier one. same inputs: the same whatever the label.",
    "missing, rare, top: training rows without a value, with a value that fewer than 10 of them "
    "have, with the most frequent value. effective: how many values there would be with this "
    "entropy if all were equally frequent. new: validation rows whose value has no id.",
    "drift: population stability index against the training rows, the larger of validation and "
    "test; 0.1 is moderate, 0.25 large, chance is what a random split of this size has as well.",
    "alone: by how much the column alone lowers the log loss of validation rows, if that is beyond "
    "two standard errors.",
)


def inspection_tables(found: Inspection) -> list[Table]:
    """Lay out the figures of splits, dense and sparse columns.

    Args:
        found: The figures.

    Returns:
        Two or three tables, none for dense columns where there are none.
    """
    heads = ["split", "rows", "clicks", "rate", "copies", "same inputs"]
    tables = [Table(heads, [Row(_split(split)) for split in found.splits])]
    if found.dense:
        heads = ["dense", "missing", "min", "1%", "median", "99%", "max", "drift", "alone"]
        tables.append(Table(heads, [Row(_dense(c), link=_link(c)) for c in found.dense]))
    heads = ["sparse", "values", "missing", "rare", "top", "effective", "new", "drift", "alone"]
    tables.append(Table(heads, [Row(_sparse(c), link=_link(c)) for c in found.sparse]))
    return tables


def write_inspection(path: Path | str, found: Inspection) -> None:
    """Write the page of an inspection: findings, tables, and plots of each column.

    Args:
        path: The HTML file; it appears whole or not at all, and loads nothing from elsewhere.
        found: The figures.
    """
    rate = found.click_rate
    page = render(
        "inspection.html",
        title=found.source,
        cards=[
            (f"{found.rows:,}", "rows"),
            (percent(rate), "of them clicked"),
            (f"{len(found.dense)} + {len(found.sparse)}", "dense and sparse columns"),
            (f"{len(found.warnings)}", "warning" if len(found.warnings) == 1 else "warnings"),
        ],
        findings=found.findings,
        tables=inspection_tables(found),
        notes=INSPECTION_NOTES,
        min_count=found.min_count,
        columns=[_panel(column, rate) for column in found.columns],
    )
    with atomic_write(path) as stream:
        stream.write(page)


def _panel(column: DenseFigures | SparseFigures, rate: float) -> dict[str, object]:
    """What the page says of one column."""
    if isinstance(column, DenseFigures):
        named = {"minimum": column.minimum, **column.quantiles, "maximum": column.maximum}
        facts = [f"{name} {in_digits(value)}" for name, value in named.items() if value is not None]
        plots = [rates(column.groups, column.missing, rate), histogram(column.histogram)]
    else:
        facts = [
            f"{column.num_values:,} values, as even as {column.effective_values:,.1f} of equal "
            "frequency",
            f"rare in {percent(column.rare_share)} of the training rows",
            f"new in {percent(column.unseen['validation'].share)} of the validation rows, by "
            f"chance {percent(column.unseen['validation'].expected)}",
        ]
        plots = [rates(column.top, column.missing, rate), curve(column.count_curve)]
    if column.missing is not None:
        facts.append(f"missing in {percent(column.missing_share or 0.0)}")
    facts.append(_drift_in_words(column.drift))
    gain = round(100 * column.signal.share, 1) + 0.0  # not -0.0
    error = 100 * column.signal.standard_error
    facts.append(f"alone it lowers the log loss of validation rows by {gain:.1f} ± {error:.1f} %")
    shown = {"name": column.name, "id": _link(column)[1:]}
    return shown | {"facts": "; ".join(facts), "plots": plots}


def _link(column: DenseFigures | SparseFigures) -> str:
    return f"#column-{column.name}"


def _split(split: SplitFigures) -> list[str]:
    shares = (split.click_rate, split.copies, split.known_inputs)
    return [split.name, f"{split.rows:,}", f"{split.clicks:,}", *map(_share, shares)]


def _dense(column: DenseFigures) -> list[str]:
    quantiles = [column.quantiles.get(name) for name in ("1%", "50%", "99%")]
    numbers = map(_number, (column.minimum, *quantiles, column.maximum))
    missing = "?" if column.missing_share is None else _share(column.missing_share)
    return [column.name, missing, *numbers, _drift(column.drift), _signal(column.signal)]


def _sparse(column: SparseFigures) -> list[str]:
    shares = (column.missing_share, column.rare_share, column.top_share)
    even, new = column.effective_values, column.unseen["validation"].share
    return [
        column.name,
        f"{column.num_values:,}",
        *map(_share, shares),
        f"{even:,.1f}" if even < 100 else f"{even:,.0f}",
        _share(new),
        _drift(column.drift),
        _signal(column.signal),
    ]


def _share(share: float) -> str:
    """A share in few characters, for a column of a table."""
    if share in (0, 1):
        return f"{share:.0%}"
    if share < 0.001 or share > 0.999:
        return "<0.1%" if share < 0.5 else ">99.9%"
    return f"{share:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else in_digits(value)


def _drift(drifts: Mapping[str, Drift]) -> str:
    found = [drift for drift in drifts.values() if drift.is_beyond_chance]
    return f"{max(drift.psi for drift in found):.3f}" if found else "chance"


def _signal(signal: Signal) -> str:
    is_noise = signal.share < 2 * signal.standard_error or signal.share < 1e-4
    return "-" if is_noise else _share(signal.share)


def _drift_in_words(drifts: Mapping[str, Drift]) -> str:
    beyond = [
        f"{split} {drift.psi:.3f}, by chance at most {drift.limit:.3f}"
        for split, drift in drifts.items()
        if drift.is_beyond_chance
    ]
    return f"drift of {' and of '.join(beyond)}" if beyond else "drift within chance"
