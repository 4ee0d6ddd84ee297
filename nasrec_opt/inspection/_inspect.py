"""The inspection of a dataset: one pass over its rows, then figures and findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data import Dataset
from nasrec_opt.errors import DataError
from nasrec_opt.inspection._drift import common_groups, drift, unseen
from nasrec_opt.inspection._figures import (
    DenseFigures,
    Drift,
    Finding,
    Inspection,
    SparseFigures,
    SplitFigures,
    Unseen,
    ValueFigures,
    Weights,
)
from nasrec_opt.inspection._findings import findings
from nasrec_opt.inspection._tally import (
    COMMON,
    FIRST,
    MISSING,
    RARE,
    SPLITS,
    IntArray,
    Progress,
    Tally,
)

TOP = 20  # values that are shown
RARE_ROWS = 10  # values of fewer training rows are rare
CURVE_POINTS = 40


def inspect_dataset(
    dataset: Dataset, *, users: Sequence[str] | None = None, progress: Progress | None = None
) -> Inspection:
    """Look at a prepared log: what its columns hold, how its splits differ, what will hurt.

    One pass over the rows; memory holds the training clicks of each value of the vocabularies and a
    hash for each row, never the rows.

    Args:
        dataset: The dataset. Values that its view reads as rare count as one value.
        users: Categorical columns that tell who saw the impression; None means those whose names
            say so, such as `user_id`.
        progress: Called with (rows done, all rows).

    Returns:
        Figures of splits and columns, and findings in plain words.

    Raises:
        DataError: The dataset is damaged, has no training row, or has no such column of users.

    Example:
        >>> from nasrec_opt.data import generate_synthetic
        >>> found = inspect_dataset(generate_synthetic("log", rows=5000))
        >>> found.rows, found.sparse[0].name, found.sparse[0].missing_share
        (5000, 'C1', 0.0)
        >>> [finding.text for finding in found.warnings]
        []
    """
    sparse_names = dataset.column_names[1][: dataset.meta["num_sparse"]]
    for name in users or ():
        if name not in sparse_names:
            raise DataError(
                f"users: expected a categorical column, got {name!r}; there are "
                f"{', '.join(sparse_names)[:200]}"
            )
    found = _inspection(dataset, Tally(dataset, progress))
    told = findings(found, users)
    if dataset.is_weighted:
        told += (_OF_WEIGHTS,)
    return replace(found, findings=told)


def dataset_warnings(dataset: Dataset, *, most_rows: int = 200_000) -> tuple[Finding, ...]:
    """Warn of what will hurt, at a cost that hardly grows with the log.

    The warnings are those of `inspect_dataset`. Of a longer dataset, evenly spread rows are read;
    rows, clicks and numbers of values are still those of all. Repeated rows and new values cannot
    be judged by a part of the rows, so there are no warnings of them then.

    Args:
        dataset: The dataset.
        most_rows: About how many rows of a split are read at most, 64 or more.

    Returns:
        The warnings; without training rows, none.

    Raises:
        DataError: The dataset is damaged.

    Example:
        >>> from nasrec_opt.data import generate_synthetic
        >>> {warning.kind for warning in dataset_warnings(generate_synthetic("log", rows=500))}
        {'few_rows'}
    """
    labels = {name: dataset.split(name).labels for name in SPLITS}
    rows = {name: len(values) for name, values in labels.items()}
    if max(rows.values()) <= most_rows:
        return inspect_dataset(dataset).warnings if rows["train"] else ()
    found = _inspection(dataset, Tally(dataset, most_rows=most_rows))
    clicks = {name: int(np.count_nonzero(values)) for name, values in labels.items()}
    splits = tuple(
        replace(s, rows=rows[s.name], clicks=clicks[s.name], copies=0.0) for s in found.splits
    )
    sizes = zip(found.sparse, dataset.features.cardinalities, strict=False)
    sparse = tuple(_of_all(column, rows["train"], size - FIRST) for column, size in sizes)
    told = findings(replace(found, splits=splits, sparse=sparse), users=())
    return tuple(t for t in told if t.severity == "warning" and t.kind != "new_values")


def _of_all(column: SparseFigures, rows: int, num_values: int) -> SparseFigures:
    """Figures of a part of the training rows, as those of all."""

    def scaled(value: ValueFigures) -> ValueFigures:
        share = rows / column.rows
        return replace(value, rows=round(share * value.rows), clicks=round(share * value.clicks))

    top, missing = tuple(map(scaled, column.top)), scaled(column.missing)
    return replace(column, rows=rows, num_values=num_values, missing=missing, top=top)


def _inspection(dataset: Dataset, tally: Tally) -> Inspection:
    """The figures, without findings."""
    names, sparse_names = dataset.column_names
    sparse_names = sparse_names[: dataset.meta["num_sparse"]]
    return Inspection(
        source=str(dataset.meta.get("source", dataset.path.name)),
        min_count=_min_count(dataset),
        splits=tuple(_split(tally, name) for name in SPLITS),
        dense=tuple(_dense(tally, place, name) for place, name in enumerate(names)),
        sparse=tuple(_sparse(tally, dataset, i, name) for i, name in enumerate(sparse_names)),
        hashed_share=tally.hashed_share,
    )


_OF_WEIGHTS = Finding(
    severity="note",
    kind="weights",
    columns=(),
    text="The rows have weights, which count in click rates. Numbers of rows and clicks, shares, "
    "and what columns say alone count each row once.",
)


def _min_count(dataset: Dataset) -> int:
    """Training rows that a value needs for an id: `prepare` may have dropped rarer ones."""
    return max(dataset.view["min_count"], int(dataset.meta.get("min_count", 1)))


def _split(tally: Tally, name: str) -> SplitFigures:
    copies = tally.copies[name]
    return SplitFigures(
        name=name,
        rows=tally.rows[name],
        clicks=tally.clicks[name],
        weights=_weights(tally, tally.weights[name]),
        **copies._asdict(),
    )


def _weights(tally: Tally, sums: npt.NDArray[np.float64]) -> Weights:
    """From sums without and with a click."""
    return (float(sums.sum()), float(sums[1])) if tally.is_weighted else None


def _sparse(tally: Tally, dataset: Dataset, column: int, name: str) -> SparseFigures:
    rows, clicks = tally.value_rows[column], tally.value_clicks[column]
    counts = rows[FIRST:]
    order = np.argsort(-counts, kind="stable")
    top = order[:TOP] + FIRST
    texts = _texts(dataset, column, top)
    rare = int(counts[counts < RARE_ROWS].sum()) + int(rows[RARE])

    def value_figures(text: str, place: int) -> ValueFigures:
        weights = _weights(tally, tally.value_weights[column][place]) if tally.is_weighted else None
        return ValueFigures(
            value=text, rows=int(rows[place]), clicks=int(clicks[place]), weights=weights
        )

    return SparseFigures(
        name=name,
        num_values=int(np.count_nonzero(counts)),
        missing=value_figures("", MISSING),
        rare_share=rare / int(rows.sum()),
        effective_values=_effective(rows),
        top=tuple(
            value_figures(text, place)
            for text, place in zip(texts, top.tolist(), strict=True)
            if rows[place]
        ),
        count_curve=_curve(counts[order[: np.count_nonzero(counts)]]),
        drift={s: _sparse_drift(tally, dataset, column, s, rows) for s in SPLITS[1:]},
        unseen={split: _unseen(tally, dataset, column, split, rows) for split in SPLITS[1:]},
        signal=tally.signals[column],
        rows=tally.rows["train"],
    )


def _sparse_drift(tally: Tally, dataset: Dataset, column: int, split: str, rows: IntArray) -> Drift:
    common = tally.common[split][column]
    missing = int(rows[MISSING]), int(common[MISSING])
    rest = (
        int(rows[RARE]) + int(rows[len(common) :].sum()),
        tally.rows[split] - int(common[MISSING:].sum()),
    )
    groups = common_groups(
        rows[FIRST : len(common)],
        common[FIRST:],
        missing,
        rest,
        max(int(rows[COMMON:].max(initial=0)), _min_count(dataset) - 1),
    )
    return drift(*groups, num_comparisons=_num_comparisons(tally))


def _unseen(tally: Tally, dataset: Dataset, column: int, split: str, rows: IntArray) -> Unseen:
    return unseen(
        tally.rows[split],
        int(tally.common[split][column][RARE]),
        train_rows=int(rows.sum()),
        train_rare=int(rows[RARE]),
        counts=rows[FIRST:],
        min_count=_min_count(dataset),
    )


def _dense(tally: Tally, column: int, name: str) -> DenseFigures:
    numbers = tally.numbers[column]
    groups = {split: tally.groups[split][column] for split in SPLITS}
    train = groups["train"]
    ends: list[float | None] = [None, None]
    if tally.least[column] <= tally.most[column]:
        ends = list(numbers.restored(np.array([tally.least[column], tally.most[column]])))
    weights = [_weights(tally, sums) for sums in tally.group_weights[column]]
    missing = ValueFigures(
        value="", rows=int(train[-1].sum()), clicks=int(train[-1, 1]), weights=weights[-1]
    )
    return DenseFigures(
        name=name,
        missing=missing if tally.has_missing else None,
        minimum=ends[0],
        maximum=ends[1],
        quantiles=numbers.quantiles(),
        groups=numbers.bars(train[:-1].sum(axis=1), train[:-1, 1], weights[:-1]),
        histogram=numbers.histogram(),
        drift={
            split: drift(
                train.sum(axis=1),
                groups[split].sum(axis=1),
                num_comparisons=_num_comparisons(tally),
            )
            for split in SPLITS[1:]
        },
        signal=tally.dense_signals[column],
        rows=tally.rows["train"],
    )


def _num_comparisons(tally: Tally) -> int:
    return 2 * (tally.num_sparse + len(tally.numbers))


def _effective(rows: IntArray) -> float:
    """How many values of equal frequency have the same entropy."""
    shares = rows[rows > 0] / rows.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _curve(counts: npt.NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    """Some ranks, evenly spread on a logarithmic scale, with the rows of their values."""
    if not len(counts):
        return ()
    ranks = np.unique(np.geomspace(1, len(counts), CURVE_POINTS).round().astype(np.int64))
    return tuple(zip(ranks.tolist(), counts[ranks - 1].tolist(), strict=True))


def _texts(dataset: Dataset, column: int, ids: npt.NDArray[np.int64]) -> list[str]:
    """Values of some ids; a number for each where the dataset does not keep values."""
    if dataset.meta["sparse_columns"][column] in dataset.meta.get("fixed_columns", ()):
        return [str(place - FIRST) for place in ids.tolist()]  # a hash, a remainder or a bin
    file = dataset.path / "vocabularies" / f"{column:03d}.parquet"
    try:
        most = int(ids.max(initial=FIRST)) - FIRST + 1
        values = pl.read_parquet(file, columns=["value"], n_rows=most)["value"].to_list()
        return [str(values[place - FIRST]) for place in ids.tolist()]
    except (OSError, IndexError, pl.exceptions.PolarsError):
        return [f"id {place}" for place in ids.tolist()]
