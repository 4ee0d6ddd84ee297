"""Conversion of fields to their types, or an error that names the wrong row and field.

Lines of text count from 1, a header included, as an editor shows them; so do rows of Parquet.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import polars as pl

from nasrec_opt.data._derived import derive
from nasrec_opt.data._schema import Schema
from nasrec_opt.errors import DataError

SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}
INTEGER = re.compile(r"[+-]?[0-9]+")


def convert(
    source: Path | str, frame: pl.DataFrame, row: int, schema: Schema, *, has_label: bool = True
) -> pl.DataFrame:
    """Check the types of columns, and derive those that a model reads.

    Args:
        source: The log, for the error.
        frame: Its columns as text, or as a Parquet file types them.
        row: Lines, or rows of Parquet, before the frame.
        schema: The columns.
        has_label: Whether the label is read; rows that are to be predicted need none.

    Returns:
        What `derive` returns.

    Raises:
        DataError: A value has another type; the first such row is named.
    """
    columns, bad = {}, {}
    for name in schema.clicks(has_label=has_label):
        clicks = _clicks(frame[name])
        columns[name] = clicks.cast(pl.Int8, strict=False)
        bad[name] = ((clicks != 0) & (clicks != 1)).fill_null(True)
    for name in schema.numbers(has_label=has_label):
        given = frame[name]
        if given.dtype == pl.String:
            given = given.str.strip_chars(" ").replace("", None)
        is_integer = schema.has_integers and name in schema.dense
        columns[name] = numbers = _numbers(given, is_integer=is_integer)
        is_lost = numbers.is_null() & given.is_not_null()
        bad[name] = is_lost | numbers.is_infinite().fill_null(False)
    if any(mask.any() for mask in bad.values()):
        raise _explain_value(source, frame, row, bad, schema)
    columns |= {name: frame[name].cast(pl.String) for name in schema.texts(has_label=has_label)}
    return derive(source, pl.DataFrame(columns), row, schema, has_label=has_label)


def read_lines(
    source: Path, text: bytes, row: int, schema: Schema, columns: tuple[str, ...]
) -> pl.DataFrame:
    """Read lines one at a time as columns of text: slow, but with clear errors.

    Args:
        source: The log.
        text: Whole lines of it, each with its end.
        row: Lines before them.
        schema: How lines are separated.
        columns: Names of the fields of a line.

    Raises:
        DataError: A line is not a row of `columns`; the first such line is named.
    """
    table = []
    for number, line in enumerate(text.split(b"\n")[:-1], start=row + 1):
        where = f"{source}:{number}"
        if b"\0" in line:
            raise DataError(f"{where}: expected text, got a NUL byte")
        try:
            fields = split_fields(line.decode(), schema)
        except UnicodeDecodeError as error:
            at = f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
            raise DataError(f"{where}: expected UTF-8 text, got {at}") from None
        except csv.Error:
            raise DataError(
                f"{where}: expected quotes that close at the end of their field, got others"
            ) from None
        if len(fields) != len(columns):
            expected = f"{len(columns)} columns separated by {separator_name(schema.separator)}"
            found = len(fields) if line else "an empty line"
            hint = found_separator(line.decode(), schema, len(columns))
            raise DataError(f"{where}: expected {expected}, got {found}{hint}")
        table.append([field or None for field in fields])
    return pl.DataFrame(table, dict.fromkeys(columns, pl.String), orient="row")


def separator_name(separator: str) -> str:
    """`tab` for a tab, and so on."""
    return SEPARATORS.get(separator, repr(separator))


def found_separator(line: str, schema: Schema, num_columns: int | None = None) -> str:
    """` (separated by comma)` if a line seems to have another separator than the schema's.

    Args:
        line: A line of the log.
        schema: Has the expected separator.
        num_columns: Number of fields that a line should have; None means that it is not known.
    """
    others = {mark: line.count(mark) for mark in SEPARATORS if mark != schema.separator}
    mark = max(others, key=lambda m: others[m])
    fits = others[mark] == num_columns - 1 if num_columns else schema.separator not in line
    return f" (separated by {SEPARATORS[mark]})" if fits and others[mark] else ""


def split_fields(line: str, schema: Schema) -> list[str]:
    """Fields of a line, without the quotes around them.

    Raises:
        csv.Error: A quote does not close where its field ends.
    """
    if not schema.has_quotes or '"' not in line:
        return line.split(schema.separator)
    return next(csv.reader([line], delimiter=schema.separator, strict=True))


def _clicks(label: pl.Series) -> pl.Series:
    """Float64; null where a label is no number, `true` or `false`."""
    if label.dtype != pl.String:
        return label.cast(pl.Float64)
    label = label.str.strip_chars(" ")
    clicks = label.cast(pl.Float64, strict=False)
    if clicks.null_count():
        words = label.str.to_lowercase().replace_strict(
            ["true", "false"], [1.0, 0.0], default=None, return_dtype=pl.Float64
        )
        clicks = clicks.zip_with(clicks.is_not_null(), words)
    return clicks


def _numbers(values: pl.Series, *, is_integer: bool) -> pl.Series:
    """Float64; null where a value is missing or, in an integer column, not an integer."""
    if values.dtype == pl.String:
        values = values.cast(pl.Int64 if is_integer else pl.Float64, strict=False)
        return values.cast(pl.Float64).fill_nan(float("inf"))  # the text "nan" is not a number
    values = values.cast(pl.Float64)
    if is_integer:  # infinity marks a bad value; null would mean missing
        values = pl.select(
            pl.when(values != values.floor()).then(float("inf")).otherwise(values)
        ).to_series()
    return values


def _explain_value(
    source: Path | str, frame: pl.DataFrame, row: int, bad: dict[str, pl.Series], schema: Schema
) -> DataError:
    """The first bad row, and its first bad field."""
    firsts = {name: mask.arg_max() or 0 for name, mask in bad.items() if mask.any()}
    name = min(firsts, key=lambda n: firsts[n])
    value = frame[name][firsts[name]]
    shown = "nothing" if value is None else repr(value if len(str(value)) < 40 else str(value)[:40])
    if name == schema.label and schema.has_plain_label:
        expected = "0 or 1"
    elif not (schema.has_integers and name in schema.dense):
        expected = "a finite number or a missing value"
    elif isinstance(value, str) and INTEGER.fullmatch(value):
        expected = "an integer of 64 bits or a missing value"
    else:
        expected = "an integer or a missing value"
    return DataError(
        f"{source}:{row + firsts[name] + 1}: field {name}: expected {expected}, got {shown}"
    )
