"""Rows that a program has in memory, or a file of rows without clicks, as columns to encode.

The checks are those that a log goes through when it is prepared. A number among categories is text
here as well, and libraries do not spell it alike: a column of integers with a missing value is one
of floats in pandas, so that 5 arrives as 5.0. Such a value is looked up in either spelling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from nasrec_opt.data._checking import convert
from nasrec_opt.data._derived import USER, derive
from nasrec_opt.data._encoding import Columns, stacked_numbers, stacked_texts
from nasrec_opt.data._few_rows import (
    LARGEST,
    MOST_ROWS,
    FewRows,
    LeftToTables,
    plain_numbers,
    plain_texts,
    values_of,
)
from nasrec_opt.data._frames import Frame, array_of, is_table
from nasrec_opt.data._lists import each_entry, entry_type
from nasrec_opt.data._parquet import arrow_frame, check_types, table_frames
from nasrec_opt.data._reading import column_names, read_chunks
from nasrec_opt.data._schema import Schema, check_once
from nasrec_opt.data._sources import Given, find_log
from nasrec_opt.errors import DataError, described

WHERE = "rows"  # what errors call rows in memory


def columns_of(rows: Any, schema: Schema, few: FewRows) -> Iterator[Columns]:
    """Yield rows in memory in pieces; at least one piece, which may have no row.

    Args:
        rows: A dict, a list of dicts, or a table of pandas, polars or Arrow.
        schema: The columns, resolved.
        few: Reads few rows of them.

    Raises:
        DataError: Something else was given, a column is missing, or a value has another type.
    """
    used = schema.used(has_label=False)
    if isinstance(rows, Mapping):
        rows = [rows]
    if isinstance(rows, (list, tuple)):
        _check_keys(rows, used)
    table = None if isinstance(rows, (list, tuple)) else _frame(rows, used)
    plain = _of_few(rows, schema, few)
    if plain is None and isinstance(rows, (list, tuple)):
        plain = _of_plain_values(rows, schema)
    if plain is not None:
        yield plain
        return
    table = table or _frame(rows, used)
    types = table.types(used)
    check_types(WHERE, types, schema, used)
    row = 0
    batches = (batch for batch, _ in table.batches(used)) if table.num_rows else [_empty(types)]
    for batch in batches:
        yield _columns(WHERE, arrow_frame(WHERE, batch, row, schema, used), row, schema)
        row += batch.num_rows


def columns_of_file(source: Given, schema: Schema) -> Iterator[Columns]:
    """Yield the rows of files in the layout of the log; the label may be missing.

    Args:
        source: A file, or several, as for `find_log`.
        schema: The columns, resolved.

    Raises:
        DataError: It names file, row, field, what was expected and what was found.
    """
    log = find_log(source)
    _check_names(log.name, column_names(log, schema, has_label=False), schema.used(has_label=False))
    if log.is_text:
        for frame in read_chunks(log, schema, has_label=False):
            yield _stacked(frame, schema)
        return
    for file in log.files:
        row = 0
        for frame, _ in table_frames(file, schema, has_label=False):
            yield _columns(file, frame, row, schema)
            row += len(frame)


def _columns(source: object, frame: pl.DataFrame, row: int, schema: Schema) -> Columns:
    """Columns of a frame that may have numbers among its categories."""
    found = _stacked(convert(source, frame, row, schema, has_label=False), schema)
    if all(entry_type(frame[name].dtype) in (pl.String, pl.Null) for name in schema.sparse):
        return found
    respelled = frame.with_columns(
        each_entry(frame[name], _other_spelling) for name in schema.sparse
    )
    others = convert(source, respelled, row, schema, has_label=False)
    return found._replace(others=stacked_texts(others, schema))


def _stacked(frame: pl.DataFrame, schema: Schema) -> Columns:
    users = frame[USER] if schema.users else None
    return Columns(stacked_numbers(frame, schema), stacked_texts(frame, schema), users=users)


def _other_spelling(values: pl.Series) -> pl.Series:
    """5.0 as 5, 5 as 5.0, true as True; text as it is."""
    text = values.cast(pl.String)
    if values.dtype == pl.Boolean:
        return text.str.to_titlecase()
    if values.dtype.is_integer():
        return text + ".0"
    if values.dtype.is_float():
        whole = ((values == values.floor()) & (values.abs() < LARGEST)).fill_null(False)
        integers = values.cast(pl.Float64).cast(pl.Int64, strict=False).cast(pl.String)
        return integers.zip_with(whole, text)
    return text


def _of_few(rows: Any, schema: Schema, few: FewRows) -> Columns | None:
    used = schema.used(has_label=False)
    with suppress(LeftToTables):
        if not isinstance(rows, (list, tuple)):
            return few.columns(values_of(rows, frozenset(schema.dense), used))
        if len(rows) <= MOST_ROWS:
            return few.columns({name: [row[name] for row in rows] for name in used})
    return None


def _of_plain_values(rows: Sequence[Mapping[str, Any]], schema: Schema) -> Columns | None:
    """Columns of values as JSON has them, without a table in between: one row takes no time.

    None if a value has another type or is wrong: the code that makes a table of them reports why.
    """
    numbers = [[row[name] for row in rows] for name in schema.dense]
    texts = [row[name] for name in schema.sparse for row in rows]
    if not set(map(type, texts)) <= {str, type(None)}:
        return None
    try:
        array = plain_numbers(numbers, len(rows), has_integers=schema.has_integers)
        series = plain_texts(texts)
    except LeftToTables:
        return None
    if not (schema.options or schema.users):
        return Columns(array, series)
    columns = dict(zip(schema.dense, map(pl.Series, array), strict=True))
    columns = {name: values.fill_nan(None) for name, values in columns.items()}
    for place, name in enumerate(schema.sparse):
        columns[name] = series.slice(place * len(rows), len(rows))
    frame = pl.DataFrame(columns)
    return _stacked(derive(WHERE, frame, 0, schema, has_label=False), schema)


def _frame(rows: Any, used: Sequence[str]) -> Frame:
    """A table with the columns that are used."""
    if isinstance(rows, (list, tuple)):
        columns = {name: array_of(WHERE, name, [row[name] for row in rows]) for name in used}
        return Frame(pa.table(columns), WHERE)
    if not is_table(rows):
        raise DataError(
            f"{WHERE}: expected a dict, a list of dicts, or a table of pandas, polars or Arrow, "
            f"got {described(rows)}"
        )
    frame = Frame(rows, WHERE)
    _check_names(WHERE, frame.names, used)
    return frame


def _empty(types: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=types)


def _check_keys(rows: Sequence[Any], used: Sequence[str]) -> None:
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise DataError(f"{WHERE}:{number}: expected a dict, got {described(row)}")
        for name in used:
            if name not in row:
                raise _missing(f"{WHERE}:{number}", name, row)


def _check_names(where: Path | str, names: Sequence[str], used: Sequence[str]) -> None:
    check_once(str(where), names)
    known = set(names)
    for name in used:
        if name not in known:
            raise _missing(where, name, names)


def _missing(where: Path | str, name: str, names: Any) -> DataError:
    found = ", ".join(map(str, names))
    return DataError(f"{where}: expected a column {name!r}, got {found[:200] or 'none'}")
