"""A schema TOML as the fields of a `Schema`, or one sentence with file and key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasrec_opt._files import read_toml
from nasrec_opt.data._columns import Column
from nasrec_opt.errors import DataError

RULE = ("above", "positive", "impressions", "count")  # of a label, which may be a table
NAMES = ("dense", "sparse", "dropped", "header")
TEXTS = ("impressions", "count", "weight", "time", "users", "separator")
KEYS = ("label", *RULE, *NAMES, *TEXTS, "columns", "has_integers", "min_count")


def schema_values(path: Path | str) -> dict[str, Any]:
    """Read a schema TOML.

    Args:
        path: The file.

    Returns:
        Fields of `Schema` by name.

    Raises:
        DataError: The file cannot be read, is not TOML, or has an unknown key or a wrong value.
    """
    given = read_toml(path, DataError)
    label = given.get("label")
    if isinstance(label, Mapping):
        given = _with_label(path, dict(given), label)
    for key, value in given.items():
        if key not in KEYS:
            near = difflib.get_close_matches(key, sorted(KEYS), n=1, cutoff=0.0)[0]
            raise DataError(f"{path}: unknown key {key!r}; did you mean {near!r}?")
        _check_type(f"{path}: {key}", key, value)
    if "label" not in given:
        raise DataError(f"{path}: expected a key 'label', got none")
    found = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    if "positive" in found:
        found["positive"] = tuple(_text(value) for value in found["positive"])
    columns = found.pop("columns", ())
    header = found.pop("header", ())
    if isinstance(columns, Mapping):
        try:
            found["options"] = tuple(Column.from_dict(k, v) for k, v in columns.items())
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        columns = ()
    if columns and header:
        raise DataError(f"{path}: expected the names of the columns once, got columns and header")
    return found | {"columns": columns or header}


def _with_label(path: Path | str, given: dict[str, Any], label: Mapping[str, Any]) -> Any:
    """The keys of the table `label` beside all others."""
    if "column" not in label:
        raise DataError(f"{path}: label: expected a key 'column', got none")
    for key in label:
        if key not in ("column", *RULE):
            near = difflib.get_close_matches(key, ("column", *RULE), n=1, cutoff=0.0)[0]
            raise DataError(f"{path}: label: unknown key {key!r}; did you mean {near!r}?")
        if key in given:
            raise DataError(f"{path}: expected {key!r} once, got it twice")
    rule = {key: value for key, value in label.items() if key != "column"}
    return given | rule | {"label": label["column"]}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_type(where: str, key: str, value: Any) -> None:
    if key == "columns" and isinstance(value, Mapping):
        return
    if key in NAMES or key == "columns":
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise DataError(f"{where}: expected a list of column names, got {value!r}")
    elif key == "positive":
        if not isinstance(value, list) or not all(isinstance(v, (str, int, float)) for v in value):
            raise DataError(f"{where}: expected a list of values, got {value!r}")
    elif key == "above":
        if type(value) not in (int, float):
            raise DataError(f"{where}: expected a number, got {value!r}")
    elif key == "has_integers":
        if not isinstance(value, bool):
            raise DataError(f"{where}: expected true or false, got {value!r}")
    elif key == "min_count":
        if type(value) is not int:
            raise DataError(f"{where}: expected an integer, got {value!r}")
    elif not isinstance(value, str):
        raise DataError(f"{where}: expected text, got {value!r}")
