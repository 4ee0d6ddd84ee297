"""What a user should know of a log, in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import sqrt

from nasrec_opt.inspection._figures import (
    DenseFigures,
    Drift,
    Finding,
    Inspection,
    SparseFigures,
    SplitFigures,
)
from nasrec_opt.inspection._words import listed, percent

LEAK, STRONG = 0.7, 0.3  # of the log loss: whole models of click logs explain 0.2 to 0.5 of it
COPIES = 0.01  # share of validation or test rows
AGREEMENT = 0.98  # of labels: impressions that merely look alike differ more often
LOWEST_RATE = 0.005  # of clicks, or of rows without one
FEWEST = 100  # clicks of a split, and rows without one
ID_SHARE = 0.9  # distinct values among rows
LEAST_ID_ROWS = 50
CONSTANT = 0.999
MISSING = 0.95
MODERATE, LARGE = 0.1, 0.25  # population stability index
RARE_SHARE = 0.5
COMMON_THRESHOLD = 5  # training rows of a value with an id, in published pipelines 5 or 10
USERS = re.compile(
    r"(^|[^a-z])(users?|uid|member|customer|client|visitor|cookie|session|account|device_?i[dp])"
    r"([^a-z]|$)|userid",
    re.IGNORECASE,
)
Column = SparseFigures | DenseFigures


def findings(found: Inspection, users: Sequence[str] | None) -> tuple[Finding, ...]:
    """Findings, the worst first.

    Args:
        found: The figures.
        users: Columns of users, or None for those whose names say so.
    """
    columns = found.columns
    useless = [finding for column in columns for finding in _useless(column)]
    useless_columns = {name for finding in useless for name in finding.columns}
    useful = [column for column in columns if column.name not in useless_columns]
    useful_sparse = [column for column in useful if isinstance(column, SparseFigures)]
    told = [finding for column in columns for finding in _leak(column)]
    told += [*_copies(found), *_click_rates(found), *useless]
    told += [finding for column in useful for finding in _drift(column)]
    told += _rare(useful_sparse, found.min_count)
    told += [_users(column) for column in useful_sparse if _is_user(column, users)]
    return tuple(sorted(told, key=lambda finding: finding.severity != "warning"))


def _warning(kind: str, column: Column | None, text: str) -> Finding:
    columns = () if column is None else (column.name,)
    return Finding(severity="warning", kind=kind, columns=columns, text=text)


def _note(kind: str, columns: Sequence[str], text: str) -> Finding:
    return Finding(severity="note", kind=kind, columns=tuple(columns), text=text)


def _click_rates(found: Inspection) -> Iterator[Finding]:
    rate = found.click_rate
    by = "" if found.weights is None else " by weight"
    if rate < LOWEST_RATE:
        yield _warning(
            "click_rate",
            None,
            f"Only {percent(rate)} of the rows are clicked{by} ({found.clicks:,} of "
            f"{found.rows:,}). "
            "Models learn mostly from clicks: keep only a part of the other rows, or take more "
            "rows.",
        )
    elif rate > 1 - LOWEST_RATE:
        yield _warning(
            "click_rate",
            None,
            f"{percent(rate)} of the rows are clicked{by}; {found.rows - found.clicks:,} of "
            f"{found.rows:,} are not. Is the label the wrong way round, or are rows without a "
            "click missing?",
        )
    for kind in ("with", "without"):
        counts = [s.clicks if kind == "with" else s.rows - s.clicks for s in found.splits]
        few = [
            f"{count:,} of the {_rows_of(split)}"
            for count, split in zip(counts, found.splits, strict=True)
            if count < FEWEST
        ]
        if few:
            yield _warning(
                "few_rows",
                None,
                f"Rows {kind} a click are few ({', '.join(few)}): figures are mostly noise.",
            )
    train = found.splits[0]
    for split in found.splits[1:]:
        error = sqrt(rate * (1 - rate) * (1 / max(split.rows, 1) + 1 / train.rows))
        difference = split.click_rate - train.click_rate
        if split.rows and abs(difference) > max(4 * error, 0.05 * train.click_rate):
            yield _warning(
                "drift",
                None,
                f"The click rate is {percent(split.click_rate)} of the {_rows_of(split)} and "
                f"{percent(train.click_rate)} of the training rows, a larger difference "
                "than chance explains: predictions will be too "
                f"{'low' if difference > 0 else 'high'}.",
            )


def _copies(found: Inspection) -> Iterator[Finding]:
    for split in found.splits[1:]:
        if split.copies < COPIES:
            continue
        start = (
            f"{percent(split.copies)} of the {_rows_of(split)} are equal to a training row, label "
            "included"
        )
        if split.agreement is not None and split.agreement >= AGREEMENT:
            yield _warning(
                "copies",
                None,
                f"{start}, and rows with the same inputs nearly always have the same label "
                f"({percent(split.agreement)}): the log repeats rows, and models are judged on "
                "rows that they have learned. Remove repeated rows before prepare.",
            )
        else:
            same = (
                ""
                if split.agreement is None
                else (f"; where inputs are the same, so is the label in {percent(split.agreement)}")
            )
            yield _note(
                "copies",
                (),
                f"{start}{same}. Impressions that look alike do that if the columns are few; rows "
                "that were written twice do it as well.",
            )


def _leak(column: Column) -> Iterator[Finding]:
    signal = column.signal
    share = signal.share - 3 * signal.standard_error
    start = (
        f"{column.name} alone lowers the log loss of validation rows by {percent(signal.share)}, "
        f"from {signal.constant_log_loss:.4f} to {signal.log_loss:.4f}"
    )
    if share > LEAK:
        text = f"{start}: it seems to give the label away. Drop it if it is known after the click."
        yield _warning("leak", column, text)
    elif share > STRONG:
        text = f"{start}, which is much for one column. Is it known before the click?"
        yield _note("leak", [column.name], text)


def _useless(column: Column) -> Iterator[Finding]:
    missing = column.missing_share or 0.0
    if missing >= 1:
        yield _warning(
            "missing", column, f"{column.name} is missing in all training rows: drop it."
        )
        return
    name, share = _most_frequent(column)
    if share >= CONSTANT:
        yield _warning(
            "constant",
            column,
            f"{column.name} is {name} in {percent(share)} of the training rows: it says next to "
            "nothing. Drop it.",
        )
    elif missing >= MISSING:
        yield _warning(
            "missing",
            column,
            f"{column.name} is missing in {percent(missing)} of the training rows.",
        )
    if not isinstance(column, SparseFigures):
        return
    there = column.rows - column.missing.rows
    if there < LEAST_ID_ROWS:
        return
    new = column.unseen["validation"].share / max(1 - missing, 1e-9)
    if column.num_values >= ID_SHARE * there or new >= ID_SHARE:
        values = (
            f"{column.num_values:,} values in {there:,} training rows"
            if column.num_values >= ID_SHARE * there
            else "hardly a value that occurs often enough for an id of its own"
        )
        yield _warning(
            "id",
            column,
            f"{column.name} has {values}, as a row number has; {percent(min(new, 1))} of its "
            "validation values are new. A model learns nothing from it for new rows. Drop it.",
        )


def _most_frequent(column: Column) -> tuple[str, float]:
    """The most frequent value in words, missing included, and its share of the training rows."""
    missing = column.missing_share or 0.0
    if isinstance(column, SparseFigures):
        name = repr(column.top[0].value) if column.top else ""
        return (name, column.top_share) if column.top_share > missing else ("missing", missing)
    bars = [bar for bar in column.groups if bar.low == bar.high]
    most = max(bars, key=lambda bar: bar.rows, default=None)
    if most is None or most.rows / column.rows <= missing:
        return "missing", missing
    return f"{most.low:g}", most.rows / column.rows


def _drift(column: Column) -> Iterator[Finding]:
    for split, drift in column.drift.items():
        if drift.psi >= MODERATE and drift.is_beyond_chance:
            size = "far from" if drift.psi >= LARGE else "not quite"
            yield _warning(
                "drift",
                column,
                f"The values of {column.name} in {split} rows are {size} those of the training "
                f"rows: {_psi(drift)}.",
            )
    if isinstance(column, SparseFigures):
        for split, new in column.unseen.items():
            if new.is_beyond_chance and new.share > 1.2 * new.expected + 0.01:
                yield _warning(
                    "new_values",
                    column,
                    f"{percent(new.share)} of the {split} rows have a value of {column.name} that "
                    f"is new or rare; by chance it would be {percent(new.expected)}.",
                )


def _psi(drift: Drift) -> str:
    return (
        f"population stability index {drift.psi:.3f}, by chance {drift.expected:.3f} and hardly "
        f"above {drift.limit:.3f}"
    )


def _rare(columns: Sequence[SparseFigures], min_count: int) -> Iterator[Finding]:
    rare = [column.name for column in columns if column.rare_share >= RARE_SHARE]
    if rare and min_count < COMMON_THRESHOLD:
        yield _note(
            "rare",
            rare,
            f"{listed(rare)}: most training rows have a value that fewer than 10 of them have. "
            "A min_count of 5 or 10 lets such values share an id.",
        )


def _users(column: SparseFigures) -> Finding:
    known = {
        split: max(1 - new.share - column.missing_share, 0.0)
        for split, new in column.unseen.items()
    }
    return _note(
        "users",
        [column.name],
        f"{percent(known['validation'])} of the validation rows and {percent(known['test'])} of "
        f"the test rows are of a {column.name} that training rows have too. For new ones a model "
        "will be worse than these rows suggest.",
    )


def _is_user(column: SparseFigures, users: Sequence[str] | None) -> bool:
    return column.name in users if users is not None else bool(USERS.search(column.name))


def _rows_of(split: SplitFigures) -> str:
    return f"{'training' if split.name == 'train' else split.name} rows"
