"""The columns of a log: Criteo's layout, or a schema TOML for any CSV or Parquet table."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from nasrec_opt._files import read_toml
from nasrec_opt.errors import DataError

# Names that pandas gives to an index without a name, in Parquet and for an empty header field.
PANDAS_INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+(\.\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Columns of a table.

    Args:
        label: Column of clicks, 0 or 1.
        dense: Numeric columns; an empty field is a missing value.
        sparse: Categorical columns; an empty field is a missing value. If none is named, they are
            all columns of the table except the label, the dense and the dropped ones.
        dropped: Columns that are not read.
        columns: All columns in order, for a file without a header line; empty for one that has it.
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
    dense: tuple[str, ...] = ()
    sparse: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    separator: str = ","
    has_integers: bool = False
    min_count: int = 1

    def __post_init__(self) -> None:
        check_once("columns", self.columns)
        check_once("schema", (self.label, *self.dense, *self.sparse, *self.dropped))
        if len(self.separator.encode()) != 1 or self.separator in '"\r\n\0':
            raise DataError(f"separator: expected one ASCII character, got {self.separator!r}")
        if self.min_count < 1:
            raise DataError(f"min_count: expected 1 or more, got {self.min_count}")
        if self.columns:
            self.resolve(self.columns)

    @property
    def has_quotes(self) -> bool:
        """Whether quotes enclose fields; in tab-separated logs they are ordinary characters."""
        return self.separator != "\t"

    def used(self, *, has_label: bool = True) -> tuple[str, ...]:
        """List the columns that are read of a table.

        Args:
            has_label: Whether the label is read.

        Returns:
            The label, if it is read, the dense and the sparse columns of a resolved schema.
        """
        return (*((self.label,) if has_label else ()), *self.dense, *self.sparse)

    def resolve(self, names: Sequence[str]) -> Schema:
        """Fit the schema to a table: the result names every sparse column.

        Args:
            names: Column names of the table, in order.

        Returns:
            The same schema; if it names no sparse columns, all columns that it does not mention
            are sparse.

        Raises:
            DataError: A column is named twice or missing, or no sparse column is left.
        """
        nameless = [str(place) for place, name in enumerate(names, start=1) if not name]
        if len(nameless) > 1:
            raise DataError(
                f"columns: expected a name for each, got none for columns {', '.join(nameless)}"
            )
        check_once("columns", names)
        for name in (self.label, *self.dense, *self.sparse, *self.dropped):
            if name not in names:
                raise DataError(f"columns: expected {name!r}, got {', '.join(names)[:200]}")
        others = {self.label, *self.dense, *self.dropped}
        sparse = self.sparse or tuple(name for name in names if name not in others)
        if not self.sparse and not self.columns:
            _check_no_index(names, sparse)
        if not sparse:
            raise DataError("sparse: expected at least one categorical column, got none")
        return replace(self, sparse=sparse) if sparse != self.sparse else self

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
        """Read a schema from a TOML file that has the fields of this class as keys.

        Args:
            path: The file.

        Returns:
            The schema.

        Raises:
            DataError: The file cannot be read, is not TOML, or has an unknown key or a wrong value.
        """
        values = read_toml(path, DataError)
        known = {field.name for field in fields(cls)}
        for key, value in values.items():
            if key not in known:
                near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.0)[0]
                raise DataError(f"{path}: unknown key {key!r}; did you mean {near!r}?")
            _check_type(f"{path}: {key}", key, value)
        if "label" not in values:
            raise DataError(f"{path}: expected a key 'label', got none")
        try:
            return cls(**_with_tuples(values))
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Schema:
        """Inverse of `to_dict`.

        Args:
            values: What `to_dict` gave.

        Returns:
            The schema.

        Raises:
            DataError: A column is named twice, or a setting is out of range.
            KeyError: A field is missing.
        """
        return cls(**_with_tuples({field.name: values[field.name] for field in fields(cls)}))

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            The fields by name; tuples become lists.
        """
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a JSON or TOML file as fields of a schema: arrays become tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def check_once(where: str, names: Sequence[str]) -> None:
    """Refuse names of columns of which one is there twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{where}: expected column {twice[0]!r} once, got it twice")


def _check_no_index(names: Sequence[str], sparse: Sequence[str]) -> None:
    """Refuse unintended columns: row numbers that pandas writes, and columns without a name."""
    for name in sparse:
        if not name:
            raise DataError(
                f"columns: expected a name for each, got none for column {names.index(name) + 1}, "
                'which pandas\' index or a separator at the end of lines makes; add "" to dropped'
            )
        if PANDAS_INDEX.fullmatch(name):
            raise DataError(
                f"columns: expected categories, got {name!r}, which is a row number of pandas; add "
                "it to dropped, or name all categorical columns under sparse"
            )


def _check_type(where: str, key: str, value: Any) -> None:
    if key in ("dense", "sparse", "dropped", "columns"):
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise DataError(f"{where}: expected a list of column names, got {value!r}")
    elif key == "has_integers":
        if not isinstance(value, bool):
            raise DataError(f"{where}: expected true or false, got {value!r}")
    elif key == "min_count":
        if type(value) is not int:
            raise DataError(f"{where}: expected an integer, got {value!r}")
    elif not isinstance(value, str):
        raise DataError(f"{where}: expected text, got {value!r}")
