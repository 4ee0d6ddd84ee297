"""Tables in memory: data frames of pandas and polars, tables of Arrow, and what gives one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from numbers import Number
from typing import Any, Protocol

import numpy as np
import polars as pl
import pyarrow as pa

from nasrec_opt.errors import DataError, described

CHUNK_ROWS = 1 << 17
LISTS = (list, tuple, np.ndarray)


class ColumnError(DataError):
    """A column of a table cannot be read; others may be."""


class Tabular(Protocol):
    """A table in memory: of pandas, polars, Arrow, or of a library that exports Arrow's streams."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export the table, as Arrow's PyCapsule interface says."""
        ...


class Frame:
    """A table in memory, each column of which becomes one of Arrow when it is read.

    Args:
        given: The table.
        where: What errors call it.

    Raises:
        DataError: It is no table.
    """

    def __init__(self, given: Any, where: str) -> None:
        self._where = where
        self._read: dict[str, pa.ChunkedArray] = {}
        self.index: frozenset[str] = frozenset()
        if is_pandas(given):
            self.num_rows = len(given)
            self.names, getters = self._of_pandas(given)
        elif isinstance(given, pl.DataFrame):
            self.num_rows, self.names = given.height, tuple(given.columns)
            getters = [partial(self._of_polars, column) for column in given.get_columns()]
        else:
            table = _table_of(given, where)
            self.num_rows, self.names = table.num_rows, tuple(table.column_names)
            self.index = index_of(table.schema)
            getters = [partial(table.column, place) for place in range(table.num_columns)]
        self._columns = dict(zip(self.names, getters, strict=True))

    def types(self, columns: Sequence[str]) -> pa.Schema:
        """Types of columns.

        Raises:
            DataError: One has a value that is no single value.
        """
        return pa.schema([(name, self._column(name).type) for name in columns])

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, int]]:
        """Batches of at most `CHUNK_ROWS` rows with some of the columns, and the rows so far."""
        table = pa.table({name: self._column(name) for name in columns})
        for start in range(0, self.num_rows, CHUNK_ROWS):
            piece = table.slice(start, CHUNK_ROWS)
            done = start + piece.num_rows
            for batch in piece.combine_chunks().to_batches():
                yield batch, done

    def _column(self, name: str) -> pa.ChunkedArray:
        if name not in self._read:
            values = self._columns[name]()
            chunks = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
            self._read[name] = chunks
        return self._read[name]

    def _of_pandas(self, given: Any) -> tuple[tuple[str, ...], list[Callable[[], Any]]]:
        names = [str(name) for name in given.columns]
        columns = [partial(_column_of, given, place) for place in range(len(names))]
        if type(given.index).__name__ != "RangeIndex":  # which no file has as a column either
            for level in range(given.index.nlevels):
                name = given.index.names[level]
                is_named = name is not None and str(name) not in names
                names.append(str(name) if is_named else f"__index_level_{level}__")
                columns.append(partial(given.index.get_level_values, level))
            self.index = frozenset(names[len(given.columns) :])
        return tuple(names), [
            partial(self._of_values, name, values)
            for name, values in zip(names, columns, strict=True)
        ]

    def _of_values(self, name: str, values: Callable[[], Any]) -> Any:
        return array_of(self._where, name, values())

    def _of_polars(self, values: pl.Series) -> Any:
        if values.dtype == pl.Object:
            return array_of(self._where, values.name, values.to_list())
        if values.dtype in (pl.Int128, getattr(pl, "UInt128", None)):
            values = values.cast(pl.String)  # Arrow has no such integers
        return values.to_arrow()


def is_table(given: Any) -> bool:
    """Whether something in memory is to be read as a table."""
    return hasattr(given, "__arrow_c_stream__") or is_pandas(given)


def index_of(given: pa.Schema) -> frozenset[str]:
    """Columns of a table that pandas wrote as its index."""
    try:
        index = json.loads((given.metadata or {})[b"pandas"])["index_columns"]
    except (KeyError, TypeError, ValueError):
        return frozenset()
    return frozenset(name for name in index if isinstance(name, str))  # others are not stored


def array_of(where: str, name: str, values: Any) -> pa.Array | pa.ChunkedArray:
    """Python's values of a column; those of several types as text.

    Args:
        where: The table, for the error.
        name: The column.
        values: A list, or a series of pandas.

    Raises:
        DataError: A value is neither a single value nor, as all others, a list of these.
    """
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        first = next((v for v in values if isinstance(v, LISTS) or not _is_missing(v)), None)
        has_lists = isinstance(first, LISTS)
        text = _list_of_texts if has_lists else _text
        texts = [text(f"{where}:{row}: field {name}", v) for row, v in enumerate(values, start=1)]
        return pa.array(texts, pa.large_list(pa.large_string()) if has_lists else pa.large_string())


def is_pandas(given: Any) -> bool:
    """Whether a table is a data frame of pandas."""
    pandas = sys.modules.get("pandas")  # only who has imported it has a frame of it
    return pandas is not None and isinstance(given, pandas.DataFrame)


def _column_of(given: Any, place: int) -> Any:
    return given.iloc[:, place]


def _table_of(given: Any, where: str) -> pa.Table:
    try:
        return given if isinstance(given, pa.Table) else pa.table(given)
    except (pa.ArrowException, TypeError, ValueError):
        raise DataError(
            f"{where}: expected a table of pandas, polars or Arrow, got {described(given)}"
        ) from None


def _list_of_texts(where: str, value: Any) -> list[str | None] | None:
    if isinstance(value, LISTS):
        return [_text(where, entry) for entry in value]
    if not _is_missing(value):
        raise ColumnError(f"{where}: expected a list as in rows before, got {described(value)}")
    return None


def _text(where: str, value: Any) -> str | None:
    """A value beside which there are values of other types."""
    if _is_missing(value):
        return None
    if isinstance(value, str):
        if any("\ud800" <= mark <= "\udfff" for mark in value):
            raise ColumnError(f"{where}: expected text, got half of a surrogate pair in {value!a}")
        return value
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    if isinstance(value, (Number, np.generic)):
        return str(value)
    raise ColumnError(f"{where}: expected a single value, got {described(value)}")


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)  # NaN is not itself
    except (TypeError, ValueError, ArithmeticError):  # pandas' NA, an array, a signalling NaN
        return type(value).__name__ == "NAType" or isinstance(value, Number)
