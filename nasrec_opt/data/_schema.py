"""The columns of a log: Criteo's layout, or a schema TOML for any CSV or Parquet table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from nasrec_opt.data._columns import Column
from nasrec_opt.data._schema_file import schema_values
from nasrec_opt.errors import DataError

# Names that pandas gives to an index without a name, in Parquet and for an empty header field.
PANDAS_INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+(\.\d+)*")
PROFILE = ("gender", "age")  # what is joined to a user
# Fields of a description of any version; later ones are stored only where they are used.
FIRST_FIELDS = (
    "label", "dense", "sparse", "dropped", "columns", "separator", "has_integers", "min_count",
)  # fmt: skip

Count = Literal["line", "impression", "weight"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Columns of a table.

    Args:
        label: Column of clicks: 0 or 1, `false` or `true`.
        above: A row is clicked where the number in `label` is greater than this.
        positive: A row is clicked where `label` has one of these values.
        impressions: Where a line counts several shows: the column of their number; `label` is the
            number of clicks among them.
        count: What becomes of such a line: a row (`line`), which is clicked where there was a
            click; a row for each show (`impression`); or a row for all clicks and one for all
            others, each with its number as weight (`weight`).
        weight: Column of the weights of the rows, 0 or more; empty for none.
        time: Column by which the rows are split: the oldest 80 % train; empty for a random split.
        users: Column of user ids to which gender and age are joined from a file; empty for none.
        dense: Numeric columns; an empty field is a missing value.
        sparse: Categorical columns; an empty field is a missing value. If none is named, they are
            all columns of the table except those that are mentioned otherwise.
        dropped: Columns that are not read.
        columns: All columns in order, for a file without a header line; empty for one that has it.
        options: How single columns are read, where that is not the default.
        separator: Character between the fields of a text file. Fields may be in quotes, unless it
            is a tab.
        has_integers: Whether dense columns hold integers only.
        min_count: Values with fewer training rows get no id of their own, unless `prepare` is given
            another number. Published pipelines take 10 for Criteo and KDD and 5 for Avazu; 1 keeps
            all values, and lets each reader of the dataset choose.

    Raises:
        DataError: A column is named twice, or a setting is out of range.
    """

    label: str
    above: float | None = None
    positive: tuple[str, ...] = ()
    impressions: str = ""
    count: Count = "line"
    weight: str = ""
    time: str = ""
    users: str = ""
    dense: tuple[str, ...] = ()
    sparse: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    options: tuple[Column, ...] = ()
    separator: str = ","
    has_integers: bool = False
    min_count: int = 1

    def __post_init__(self) -> None:
        numeric = [c.name for c in self.options if c.is_dense and c.name not in self.dense]
        object.__setattr__(self, "dense", (*self.dense, *numeric))
        if self.sparse:  # otherwise the columns of the table say which there are
            known = {*self.sparse, *self.dense}
            others = [c.name for c in self.options if c.is_category and c.name not in known]
            object.__setattr__(self, "sparse", (*self.sparse, *others))
        check_once("columns", self.columns)
        check_once("options", [column.name for column in self.options])
        check_once("schema", (self.label, *self.dense, *self.sparse, *self.dropped))
        if len(self.separator.encode()) != 1 or self.separator in '"\r\n\0':
            raise DataError(f"separator: expected one ASCII character, got {self.separator!r}")
        if self.min_count < 1:
            raise DataError(f"min_count: expected 1 or more, got {self.min_count}")
        _check_label(self)
        _check_roles(self)
        if self.columns:
            self.resolve(self.columns)

    @property
    def has_quotes(self) -> bool:
        """Whether quotes enclose fields; in tab-separated logs they are ordinary characters."""
        return self.separator != "\t"

    @property
    def has_plain_label(self) -> bool:
        """Whether the label is read as 0 or 1, without a rule."""
        return self.above is None and not self.positive and not self.impressions

    @property
    def counts_shows(self) -> bool:
        """Whether a line becomes the rows of its shows."""
        return self.count != "line"

    @property
    def is_weighted(self) -> bool:
        """Whether rows have weights."""
        return bool(self.weight) or self.count == "weight"

    def clicks(self, *, has_label: bool = True) -> tuple[str, ...]:
        """List the columns that a reader reads as 0 or 1.

        Args:
            has_label: Whether the label is read.

        Returns:
            The label, unless a rule says what a click is.
        """
        return (self.label,) if has_label and self.has_plain_label else ()

    def numbers(self, *, has_label: bool = True) -> tuple[str, ...]:
        """List the columns that a reader reads as numbers.

        Args:
            has_label: Whether what says how a row was clicked is read, and how much it weighs.

        Returns:
            The dense columns, and then those that only training needs.
        """
        others = []
        if has_label:
            is_number = self.above is not None or self.impressions
            others = [self.label if is_number else "", self.weight]
            others += [self.impressions] if self.counts_shows else []
        return (*self.dense, *(name for name in others if name))

    def texts(self, *, has_label: bool = True) -> tuple[str, ...]:
        """List the columns that a reader reads as text.

        Args:
            has_label: As for `numbers`; then also the time of a row is read.

        Returns:
            The sparse columns, and then those that only training needs.
        """
        others = []
        if has_label:
            others = [self.label if self.positive else "", self.time]
        return (*self.sparse, *(name for name in others if name and name not in self.sparse))

    def used(self, *, has_label: bool = True) -> tuple[str, ...]:
        """List the columns that are read of a table.

        Args:
            has_label: Whether the label is read, and what else only training needs.

        Returns:
            Names of columns of a resolved schema.
        """
        return (
            *self.clicks(has_label=has_label),
            *self.numbers(has_label=has_label),
            *self.texts(has_label=has_label),
        )

    def option(self, name: str) -> Column:
        """Look up how a column is read.

        Args:
            name: The column.

        Returns:
            Its settings.
        """
        return next((c for c in self.options if c.name == name), None) or Column(name=name)

    @property
    def dense_features(self) -> tuple[str, ...]:
        """Names of the numbers that a model reads."""
        if not self.options:
            return self.dense
        return tuple(name for name in self.dense if not self.option(name).bins)

    @property
    def quantile_features(self) -> tuple[str, ...]:
        """Dense columns that a model reads as categories of quantile bins."""
        if not self.options:
            return ()
        return tuple(name for name in self.dense if self.option(name).bins)

    @property
    def text_features(self) -> tuple[str, ...]:
        """Names of the categories that the sparse columns become."""
        if not self.options:
            return self.sparse
        return tuple(n for name in self.sparse for n in self.option(name).feature_names)

    @property
    def sparse_features(self) -> tuple[str, ...]:
        """Names of the categories that a model reads, without those of `binned_dense`."""
        joined = PROFILE if self.users else ()
        return (*self.text_features, *joined, *self.quantile_features)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of known ids of the categories that have no vocabulary of values."""
        columns = [column for column in self.options if column.size]
        return {name: column.size for column in columns for name in column.feature_names}

    @property
    def fixed_features(self) -> tuple[str, ...]:
        """Those of `sparse_features` whose ids follow from the value: no vocabulary is kept."""
        fixed = {*self.sizes, *self.quantile_features}
        return tuple(name for name in self.sparse_features if name in fixed)

    @property
    def named(self) -> frozenset[str]:
        """Columns of a table that the schema mentions."""
        others = {self.label, self.weight, self.impressions, self.time, self.users} - {""}
        return frozenset(
            others.union(self.dense, self.sparse, self.dropped, (c.name for c in self.options))
        )

    def resolve(self, names: Sequence[str]) -> Schema:
        """Fit the schema to a table: the result names every sparse column.

        Args:
            names: Column names of the table, in order.

        Returns:
            The same schema; if it names no sparse columns, all columns that it does not mention
            are sparse, but for those in which pandas has written row numbers.

        Raises:
            DataError: A column is named twice or missing, or no sparse column is left.
        """
        nameless = [str(place) for place, name in enumerate(names, start=1) if not name]
        if len(nameless) > 1:
            raise DataError(
                f"columns: expected a name for each, got none for columns {', '.join(nameless)}"
            )
        check_once("columns", names)
        others = {self.label, *self.dense, *self.dropped}
        others |= {name for name in (self.weight, self.impressions) if name}
        optional = (self.weight, self.impressions, self.time, self.users)
        options = (column.name for column in self.options)
        for name in (self.label, *self.dense, *self.sparse, *self.dropped, *options, *optional):
            if name not in names and (name or name in self.dropped):
                raise DataError(f"columns: expected {name!r}, got {', '.join(names)[:200]}")
        if self.time and not self.option(self.time).is_category:
            others.add(self.time)
        if not self.columns:  # row numbers that pandas has written
            others |= {name for name in names if PANDAS_INDEX.fullmatch(name)}
            others |= {""} if names[0] == "" else set()
        sparse = self.sparse or tuple(name for name in names if name not in others)
        if "" in sparse and not self.sparse and not self.columns:
            raise DataError(
                f"columns: expected a name for each, got none for column {names.index('') + 1}, "
                'which a separator at the end of lines makes; add "" to dropped'
            )
        if not sparse and not self.quantile_features:
            raise DataError("sparse: expected at least one categorical column, got none")
        found = replace(self, sparse=sparse) if sparse != self.sparse else self
        if self.users and self.users not in found.sparse:
            raise DataError(f"users: expected a categorical column, got {self.users!r}")
        check_once("features", (found.label, *found.dense_features, *found.sparse_features))
        return found

    @classmethod
    def criteo(cls) -> Schema:
        """Describe Criteo Kaggle 2014: tab-separated, label, I1 to I13, C1 to C26, no header.

        Returns:
            The schema that `prepare(..., schema="criteo")` uses.
        """
        dense = tuple(f"I{i}" for i in range(1, 14))
        sparse = tuple(f"C{i}" for i in range(1, 27))
        return cls(
            label="label",
            dense=dense,
            sparse=sparse,
            columns=("label", *dense, *sparse),
            separator="\t",
            has_integers=True,
        )

    @classmethod
    def from_toml(cls, path: Path | str) -> Schema:
        """Read a schema from a TOML file.

        Its keys are the fields of this class. `label` may also be a table with `column` and the
        rule, `[columns.NAME]` has the settings of a column, and `header` names the columns of a
        file without a header line.

        Args:
            path: The file.

        Returns:
            The schema.

        Raises:
            DataError: The file cannot be read, is not TOML, or has an unknown key or a wrong value.
        """
        values = schema_values(path)
        try:
            return cls(**values)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Schema:
        """Inverse of `to_dict`.

        Args:
            values: What `to_dict` gave, in this version or an earlier one.

        Returns:
            The schema.

        Raises:
            DataError: A column is named twice, or a setting is out of range.
            KeyError: A field is missing.
        """
        later = {f.name: f.default for f in fields(cls) if f.name not in FIRST_FIELDS}
        given = {name: values[name] for name in FIRST_FIELDS}
        given |= {name: values.get(name, default) for name, default in later.items()}
        found: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in given.items()
        }
        found["options"] = tuple(
            Column.from_dict(column["name"], {k: v for k, v in column.items() if k != "name"})
            for column in found["options"]
        )
        return cls(**found)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            The fields by name, without most of those at their default; tuples become lists.
        """
        values = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name in FIRST_FIELDS or getattr(self, field.name) != field.default
        }
        if self.options:
            values["options"] = [{"name": c.name, **c.to_dict()} for c in self.options]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def check_once(where: str, names: Sequence[str]) -> None:
    """Refuse names of columns of which one is there twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{where}: expected column {twice[0]!r} once, got it twice")


def _check_label(schema: Schema) -> None:
    """Refuse rules of the label that do not fit together."""
    if schema.count not in get_args(Count):
        expected = ", ".join(get_args(Count))
        raise DataError(f"count: expected one of {expected}, got {schema.count!r}")
    rules = {"above": schema.above is not None, "positive": bool(schema.positive)}
    rules["impressions"] = bool(schema.impressions)
    found = [name for name, is_given in rules.items() if is_given]
    if len(found) > 1:
        raise DataError(f"label: expected one rule, got {' and '.join(found)}")
    if schema.counts_shows and not schema.impressions:
        raise DataError(f"count: expected a column of impressions for {schema.count}, got none")
    if schema.counts_shows and schema.weight:
        raise DataError(f"weight: expected none beside count = {schema.count!r}, got a column")


def _check_roles(schema: Schema) -> None:
    """Refuse columns that have two uses which exclude each other."""
    features = (*schema.dense, *schema.sparse)
    alone = {"weight": schema.weight, "label": schema.label}
    if schema.counts_shows:
        alone["impressions"] = schema.impressions
    for role, name in alone.items():
        if name and name in features:
            raise DataError(f"{role}: expected a column that is no feature, got {name!r}")
    others = [schema.label, schema.weight, schema.impressions]
    check_once("schema", [name for name in others if name])
    if schema.time and schema.time in (schema.label, schema.weight, *schema.dense):
        raise DataError(f"time: expected a column of dates, got {schema.time!r}")
    for column in schema.options:
        name = column.name
        if name == schema.label or name in schema.dropped:
            raise DataError(f"columns: expected settings of a feature, got those of {name!r}")
        if column.is_dense and name in schema.sparse:
            raise DataError(f"columns: expected {name!r} under dense, got it under sparse")
        if column.is_category and name in schema.dense:
            raise DataError(f"columns: expected {name!r} under sparse, got it under dense")
        if column.format and not column.parts and name != schema.time:
            raise DataError(f"columns: {name}: expected parts beside format, got none")
