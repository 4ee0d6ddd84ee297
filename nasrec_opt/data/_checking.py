"""Conversion of fields to their types, or an error that names the wrong row and field.

Lines of text count from 1, a header included, as an editor shows them; so do rows of Parquet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from nasrec_opt.data._derived import derive, wrong_value
from nasrec_opt.data._lists import each_entry
from nasrec_opt.data._schema import Schema
from nasrec_opt.errors import DataError

INTEGER = re.compile(r"[+-]?[0-9]+")


def convert(
    source: object,
    frame: pl.DataFrame,
    row: int,
    schema: Schema,
    *,
    has_label: bool = True,
    lines: Sequence[int] | None = None,
) -> pl.DataFrame:
    """Check the types of columns, and derive those that a model reads.

    Args:
        source: The log, for the error.
        frame: Its columns as text, or as a Parquet file types them.
        row: Lines, or rows of Parquet, before the frame.
        schema: The columns.
        has_label: Whether the label is read; rows that are to be predicted need none.
        lines: Line of each row of the frame, or None where they follow `row` one by one.

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
        lines = range(row + 1, row + 1 + len(frame)) if lines is None else lines
        raise _explain_value(source, frame, lines, bad, schema)
    for name in schema.texts(has_label=has_label):
        columns[name] = each_entry(frame[name], lambda values: values.cast(pl.String))
    found = pl.DataFrame(columns)
    return derive(source, found, row, schema, has_label=has_label, lines=lines)


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
    source: object,
    frame: pl.DataFrame,
    lines: Sequence[int],
    bad: dict[str, pl.Series],
    schema: Schema,
) -> DataError:
    """The first bad row, and its first bad field."""
    firsts = {name: mask.arg_max() or 0 for name, mask in bad.items() if mask.any()}
    name = min(firsts, key=lambda n: firsts[n])
    value = frame[name][firsts[name]]
    if name == schema.label and schema.has_plain_label:
        expected = "0 or 1"
    elif not (schema.has_integers and name in schema.dense):
        expected = "a finite number or a missing value"
    elif isinstance(value, str) and INTEGER.fullmatch(value):
        expected = "an integer of 64 bits or a missing value"
    else:
        expected = "an integer or a missing value"
    return wrong_value(f"{source}:{lines[firsts[name]]}: field {name}", expected, value)
