"""The figures of an inspection: plain values, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Weights = tuple[float, float] | None  # of all rows and of the clicked ones


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFigures:
    """Rows and clicks of a split.

    Args:
        name: `train`, `validation` or `test`.
        rows: Number of rows.
        clicks: Number of clicked rows.
        copies: Share of rows that are equal, label included, to a training row; among training
            rows, to an earlier one.
        known_inputs: Share of rows whose inputs are those of a training row, whatever the label;
            among training rows, of an earlier one.
        agreement: Share with the same label among the rows whose inputs have only one label in the
            training rows; None where there is no such row, and for the training rows.
        weights: Sums of the weights of the rows and of the clicked ones, or None where each counts
            once.
    """

    name: str
    rows: int
    clicks: int
    copies: float
    known_inputs: float
    agreement: float | None
    weights: Weights = None

    @property
    def click_rate(self) -> float:
        """Share of rows that are clicked, by weight where rows have one; 0 without rows."""
        return _click_rate(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueFigures:
    """Training rows that have one value.

    Args:
        value: The value as text, or the number of its id where the dataset does not keep values.
        rows: Number of training rows.
        clicks: Number of clicks among them.
        weights: Sums of the weights of the rows and of the clicked ones, or None where each counts
            once.
    """

    value: str
    rows: int
    clicks: int
    weights: Weights = None

    @property
    def click_rate(self) -> float:
        """Share of the rows that are clicked, by weight where rows have one; 0 without rows."""
        return _click_rate(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far the values of a split are from those of the training rows.

    Args:
        psi: Population stability index, the sum of (p - q) log(p / q) over groups of values;
            0 for equal shares, and 0.1 and 0.25 are usually called moderate and large.
        expected: What two random splits of these sizes have on average.
        limit: What two random splits exceed in one of 1,000 inspections.
        groups: Number of groups that were compared.
    """

    psi: float
    expected: float
    limit: float
    groups: int

    @property
    def is_beyond_chance(self) -> bool:
        """Whether random splits would hardly differ as much."""
        return self.psi > self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Rows of a split whose value has no id of its own, since too few training rows have it.

    Args:
        share: Their share of the rows.
        expected: The share in a random split of the same size, estimated from the counts of the
            training rows (Good-Turing).
        limit: The share that random splits hardly exceed (5 standard errors).
    """

    share: float
    expected: float
    limit: float

    @property
    def is_beyond_chance(self) -> bool:
        """Whether random splits would hardly have as many."""
        return self.share > self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What a column alone says about the click, on validation rows.

    Args:
        share: By which share the click rate of each value of the column, learned on the training
            rows, lowers the log loss of the overall click rate. 1 means that the column gives the
            label away; 0 or less, that it says nothing alone.
        standard_error: Of the share.
        log_loss: Of the click rate of each value, nats.
        constant_log_loss: Of the overall click rate, nats.
    """

    share: float
    standard_error: float
    log_loss: float
    constant_log_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseFigures:
    """A categorical column.

    Args:
        name: The column.
        num_values: Distinct values with an id of their own.
        missing: Training rows without a value.
        rare_share: Share of the training rows whose value fewer than 10 of them have.
        effective_values: Exponential of the entropy of the training rows: how many values there
            would be if all were equally frequent. Missing counts as a value.
        top: The most frequent values, at most 20.
        count_curve: Rank and number of training rows of some values, the most frequent first.
        drift: By split: validation and test against the training rows.
        unseen: By split: validation and test.
        signal: What the column alone says about the click.
        rows: Number of training rows.
    """

    name: str
    num_values: int
    missing: ValueFigures
    rare_share: float
    effective_values: float
    top: tuple[ValueFigures, ...]
    count_curve: tuple[tuple[int, int], ...]
    drift: Mapping[str, Drift]
    unseen: Mapping[str, Unseen]
    signal: Signal
    rows: int

    @property
    def missing_share(self) -> float:
        """Share of the training rows without a value."""
        return self.missing.rows / self.rows

    @property
    def top_share(self) -> float:
        """Share of the training rows that have the most frequent value."""
        return self.top[0].rows / self.rows if self.top else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Training rows whose number is in a range.

    Args:
        low: Smallest number.
        high: Largest number.
        rows: Number of rows.
        clicks: Number of clicks among them.
        weights: Sums of the weights of the rows and of the clicked ones, or None where each counts
            once.
    """

    low: float
    high: float
    rows: int
    clicks: int
    weights: Weights = None

    @property
    def click_rate(self) -> float:
        """Share of the rows that are clicked, by weight where rows have one; 0 without rows."""
        return _click_rate(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseFigures:
    """A numeric column; numbers are those of the log, turned back from what models read.

    Args:
        name: The column.
        missing: Training rows without a number, or None where the dataset does not say which.
        minimum: Smallest number of the training rows; None without any number.
        maximum: Largest number of the training rows; None without any number.
        quantiles: By name (`1%`, `25%`, `50%`, `75%`, `99%`), of up to 262,144 training rows, which
            are evenly spread. Empty without any number.
        groups: Ranges of numbers that have about as many rows each, ascending.
        histogram: Ranges of the same width on the scale that models read, ascending; from the same
            rows as the quantiles, without clicks.
        drift: By split: validation and test against the training rows.
        signal: What the column alone says about the click.
        rows: Number of training rows.
    """

    name: str
    missing: ValueFigures | None
    minimum: float | None
    maximum: float | None
    quantiles: Mapping[str, float]
    groups: tuple[Bar, ...]
    histogram: tuple[Bar, ...]
    drift: Mapping[str, Drift]
    signal: Signal
    rows: int

    @property
    def missing_share(self) -> float | None:
        """Share of the training rows without a number, or None where it is not known."""
        return self.missing.rows / self.rows if self.missing is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a log that a user should know.

    Args:
        severity: `warning` for what will hurt, `note` for what may be as it should be.
        kind: `leak`, `copies`, `click_rate`, `few_rows`, `id`, `constant`, `missing`, `drift`,
            `new_values`, `rare`, `users` or `weights`.
        columns: The columns that it is about; empty for the whole log.
        text: A sentence or two.
    """

    severity: Literal["warning", "note"]
    kind: str
    columns: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """All figures of a dataset.

    Args:
        source: Name of the log.
        min_count: Values of fewer training rows were read as rare.
        splits: Training, validation and test rows.
        dense: Numeric columns.
        sparse: Categorical columns.
        hashed_share: Share of the distinct rows that `copies` and `known_inputs` are estimated
            from; 1 means all of them.
        findings: What a user should know, the worst first.
    """

    source: str
    min_count: int
    splits: tuple[SplitFigures, ...]
    dense: tuple[DenseFigures, ...]
    sparse: tuple[SparseFigures, ...]
    hashed_share: float
    findings: tuple[Finding, ...] = ()

    @property
    def columns(self) -> tuple[DenseFigures | SparseFigures, ...]:
        """The dense columns, then the sparse ones."""
        return (*self.dense, *self.sparse)

    @property
    def rows(self) -> int:
        """Number of rows of all splits."""
        return sum(split.rows for split in self.splits)

    @property
    def clicks(self) -> int:
        """Number of clicks of all splits."""
        return sum(split.clicks for split in self.splits)

    @property
    def weights(self) -> Weights:
        """Sums of the weights of all rows and of the clicked ones, None where each counts once."""
        return sum_of_weights([split.weights for split in self.splits])

    @property
    def click_rate(self) -> float:
        """Share of all rows that are clicked, by weight where rows have one."""
        return _click_rate(self)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that will hurt."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            The fields by name.
        """
        return asdict(self, dict_factory=_without_missing_weights)


def sum_of_weights(parts: Sequence[Weights]) -> Weights:
    """Add up the weights of several groups of rows.

    Args:
        parts: Of each group, the sums of the weights of its rows and of the clicked ones.

    Returns:
        The sums over all groups; None where rows have no weights.
    """
    known = [part for part in parts if part is not None]
    return (sum(part[0] for part in known), sum(part[1] for part in known)) if known else None


def _click_rate(counted: SplitFigures | ValueFigures | Bar | Inspection) -> float:
    rows, clicks = counted.weights or (counted.rows, counted.clicks)
    return clicks / rows if rows else 0.0


def _without_missing_weights(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in pairs if name != "weights" or value is not None}
