"""What the columns of a log are: Criteo's layout, or a schema TOML for any CSV or Parquet table."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nasrec_opt.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Columns of a table.

    Args:
        label: Column of clicks, 0 or 1.
        dense: Numeric columns; empty = missing.
        sparse: Categorical columns; empty = missing.
        columns: All columns in order, for a file without a header line; nothing = it has one.
        separator: Between fields of a text file.
        has_integers: Whether dense columns hold integers only.

    Raises:
        DataError: A column is named twice, or there is no sparse column.
    """

    label: str
    dense: tuple[str, ...] = ()
    sparse: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    separator: str = ","
    has_integers: bool = False

    def __post_init__(self) -> None:
        used = (self.label, *self.dense, *self.sparse)
        twice = sorted({name for name in used if used.count(name) > 1})
        if twice:
            raise DataError(f"column {twice[0]!r}: expected one use, got {used.count(twice[0])}")
        if not self.sparse:
            raise DataError("sparse: expected at least one categorical column, got none")
        unknown = [name for name in used if self.columns and name not in self.columns]
        if unknown:
            raise DataError(f"columns: expected {unknown[0]!r} among them, got none")
        if len(self.separator) != 1:
            raise DataError(f"separator: expected one character, got {self.separator!r}")

    @classmethod
    def criteo(cls) -> Schema:
        """Criteo Kaggle 2014: tab-separated, label, I1 to I13, C1 to C26, no header."""
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
        """A schema from a TOML file with the fields of this class as keys.

        Raises:
            DataError: The file cannot be read, is not TOML, or has an unknown key or a wrong value.
        """
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{path}: expected a schema TOML, got: {error.strerror}") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise DataError(f"{path}: expected TOML, got: {error}") from error
        known = {field.name for field in fields(cls)}
        for key, value in values.items():
            if key not in known:
                near = difflib.get_close_matches(key, sorted(known), n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {sorted(known)}"
                raise DataError(f"{path}: unknown key {key!r}; {hint}")
            _check_type(f"{path}: {key}", key, value)
        if "label" not in values:
            raise DataError(f"{path}: expected a key 'label', got none")
        try:
            return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def _check_type(where: str, key: str, value: Any) -> None:
    if key in ("dense", "sparse", "columns"):
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise DataError(f"{where}: expected a list of column names, got {value!r}")
    elif key == "has_integers":
        if not isinstance(value, bool):
            raise DataError(f"{where}: expected true or false, got {value!r}")
    elif not isinstance(value, str):
        raise DataError(f"{where}: expected text, got {value!r}")
