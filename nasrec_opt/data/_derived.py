"""From the columns of a file to those of a model: the one step that log and served rows share.

Dense columns stay numbers, with nulls for missing ones. Sparse columns become text: as it is in
the file, or parts of a date, values of a list, or the number of an id. The label becomes 0 or 1,
or the number of clicks where a line counts several shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from nasrec_opt.data._columns import Column
from nasrec_opt.data._dates import example_of, part_of, seconds_of
from nasrec_opt.data._hashing import hashed, remainders
from nasrec_opt.data._schema import Schema
from nasrec_opt.errors import DataError

# Columns beside those of the model; no column of a file has such a name.
WEIGHT, TIME, SHOWS, USER = "\0weight", "\0time", "\0shows", "\0user"


def derive(
    source: object,
    frame: pl.DataFrame,
    row: int,
    schema: Schema,
    *,
    has_label: bool = True,
    lines: Sequence[int] | None = None,
) -> pl.DataFrame:
    """Make the columns that a model reads of those of a file.

    Args:
        source: Where the frame is from, for the error.
        frame: The columns `schema.used()`: clicks as Int8, numbers as Float64, texts as String or
            lists of it.
        row: Lines, or rows of Parquet, before the frame.
        schema: The columns, resolved.
        has_label: Whether the label is among them, and what else only training needs.
        lines: Line of each row of the frame, or None where they follow `row` one by one.

    Returns:
        The label, if it is read, the dense columns as Float64, the text features as String; and
        where the schema has them, `WEIGHT`, `TIME` (seconds since 1970), `SHOWS` and `USER`.

    Raises:
        DataError: A value is not as its column says; the first such row is named.
    """
    where = _Where(source, range(row + 1, row + 1 + len(frame)) if lines is None else lines)
    columns = _label(where, frame, schema) if has_label else {}
    for name in schema.dense:
        clip = schema.option(name).clip if schema.options else None
        columns[name] = frame[name].clip(*clip) if clip else frame[name]
    if has_label and schema.time:
        columns[TIME] = _times(where, frame[schema.time], schema.option(schema.time))
    for name in schema.sparse:
        if not schema.options:
            columns[name] = frame[name]
            continue
        seconds = columns.get(TIME) if name == schema.time else None
        columns |= _texts(where, frame[name], schema.option(name), seconds)
    if schema.users:
        columns[USER] = plain(frame[schema.users])
    return pl.DataFrame(columns)


class _Where:
    """Names the first bad row of a column."""

    def __init__(self, source: object, lines: Sequence[int]) -> None:
        self._source = source
        self._lines = lines

    def check(self, values: pl.Series, is_bad: pl.Series, expected: str, name: str = "") -> None:
        """Refuse values.

        Raises:
            DataError: One is bad.
        """
        is_bad = is_bad.fill_null(True)
        if is_bad.any():
            first = is_bad.arg_max() or 0
            where = f"{self._source}:{self._lines[first]}: field {name or values.name}"
            raise wrong_value(where, expected, values[first])


def wrong_value(where: str, expected: str, value: Any) -> DataError:
    """The error of a value that is not what was expected."""
    text = repr(value if len(str(value)) < 40 else str(value)[:40])
    return DataError(f"{where}: expected {expected}, got {'nothing' if value is None else text}")


def _label(where: _Where, frame: pl.DataFrame, schema: Schema) -> dict[str, pl.Series]:
    """The label, and what a row weighs or counts."""
    given, columns = frame[schema.label], {}
    if schema.above is not None:
        where.check(given, given.is_null(), "a number")
        columns[schema.label] = (given > schema.above).cast(pl.Int8)
    elif schema.positive:
        where.check(given, given.is_null(), "a value")
        columns[schema.label] = (
            plain(given).is_in(plain(pl.Series(schema.positive)).to_list()).cast(pl.Int8)
        )
    elif schema.impressions:
        is_bad = given.is_null() | (given < 0) | (given != given.floor())
        where.check(given, is_bad, "a number of clicks")
        columns[schema.label] = (given > 0).cast(pl.Int8)
        if schema.counts_shows:
            shows = frame[schema.impressions]
            is_bad = shows.is_null() | (shows < 1) | (shows != shows.floor()) | (shows > 2**31)
            where.check(shows, is_bad, "a number of impressions, 1 to 2147483648")
            where.check(given, given > shows, "at most as many clicks as impressions")
            columns |= {schema.label: given.cast(pl.Int64), SHOWS: shows.cast(pl.Int64)}
    else:
        columns[schema.label] = given
    if schema.weight:
        weight = frame[schema.weight]
        is_bad = weight.is_null() | (weight < 0) | (weight > np.finfo(np.float32).max)
        where.check(weight, is_bad, "a weight, 0 or more")
        columns[WEIGHT] = weight
    return columns


def _times(where: _Where, texts: pl.Series, column: Column) -> pl.Series:
    seconds = seconds_of(texts, column.format)
    where.check(texts, seconds.is_null(), _date(column))
    return seconds


def _texts(
    where: _Where, texts: pl.Series, column: Column, seconds: pl.Series | None
) -> dict[str, pl.Series]:
    """The categories that a sparse column becomes, by name; `seconds` of dates that are parsed."""
    if column.parts:
        seconds = seconds_of(texts, column.format) if seconds is None else seconds
        is_lost = seconds.is_null() & texts.is_not_null()
        where.check(texts, is_lost, f"{_date(column)} or a missing value")
        return {
            name: part_of(seconds, part)
            for name, part in zip(column.feature_names, column.parts, strict=True)
        }
    values = {column.name: texts}
    if column.last:
        lists = texts
        if not isinstance(texts.dtype, pl.List):
            if not column.separator:
                expected = f"a list; for text, separator under [columns.{column.name}]"
                where.check(texts, texts.is_not_null(), expected)
            lists = texts.str.split(column.separator)
        values = {
            name: lists.list.get(-place, null_on_oob=True).str.strip_chars(" ").replace("", None)
            for place, name in enumerate(column.feature_names, start=1)
        }
    if column.hashed:
        return {name: hashed(plain(text), column.hashed) for name, text in values.items()}
    if column.modulo:
        found = {
            name: remainders(plain(text), column.modulo, column.base)
            for name, text in values.items()
        }
        digits = "hexadecimal" if column.base == 16 else "decimal or hexadecimal"
        for name, text in values.items():
            is_lost = found[name].is_null() & text.is_not_null()
            where.check(
                text, is_lost, f"an integer in {digits} digits or a missing value", column.name
            )
        return found
    return values


def plain(texts: pl.Series) -> pl.Series:
    """One spelling for values that libraries spell in two: 5.0 as 5, True as true."""
    if texts.str.ends_with(".0").any():
        texts = texts.str.replace(r"^([+-]?[0-9]+)\.0$", "$1")
    return texts.replace(["True", "TRUE", "False", "FALSE"], ["true", "true", "false", "false"])


def _date(column: Column) -> str:
    form = "" if column.format else f"; [columns.{column.name}] format names another one"
    return f"a date such as {example_of(column.format)!r}{form}"
