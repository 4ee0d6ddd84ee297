"""Few rows, such as the one that a server is asked about, as columns to encode: value by value.

One call of polars takes as long as all values of a row take in Python. The result is that of a
table, bit for bit. What is rare in a row, such as a wrong value, is left to the code for tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pyarrow import types

from nasrec_opt.data._columns import Column
from nasrec_opt.data._dates import part_of, seconds_of
from nasrec_opt.data._encoding import Columns
from nasrec_opt.data._frames import is_pandas
from nasrec_opt.data._hashing import hashed_text, remainder
from nasrec_opt.data._schema import Schema

MOST_ROWS = 32  # with more, tables are faster
LARGEST = 2.0**63  # beyond the integers of a log
LARGEST_SHOWN = 1e15  # floats below are spelled by Python as by polars
DATES = 1 << 14  # of which the parts are kept
WHOLE = re.compile(r"([+-]?[0-9]+)\.0")
FLAGS = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}
POLARS = (
    pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Float64, pl.Null,
    pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64,
)  # fmt: skip
PANDAS = ("object", "str", "int64", "int32", "bool", "float64")

Values = Mapping[str, Sequence[Any]]  # of a column, by its name


class LeftToTables(Exception):  # noqa: N818 - it is no error
    """A value is not one of those that are read here."""


class FewRows:
    """Makes columns of few rows as `derive` does of a table.

    Args:
        schema: The columns, resolved.
    """

    def __init__(self, schema: Schema) -> None:
        self._has_integers, self._users = schema.has_integers, schema.users
        self._numbers = (*schema.dense_features, *schema.quantile_features)
        clips = [schema.option(name).clip for name in self._numbers]
        self._clips = [(place, clip) for place, clip in enumerate(clips) if clip]
        options = [schema.option(name) for name in schema.sparse]
        self._is_text = not (schema.options or schema.users)
        self._texts = [(o.name, o if o.is_category else None) for o in options]
        self._lists = {o.name for o in options if o.last} - {schema.users, schema.time}

    def columns(self, values: Values) -> Columns:
        """Make columns to encode.

        Args:
            values: All columns that the schema uses, of as many rows each.

        Raises:
            LeftToTables: A value is wrong, or of a type that is rare in rows.
        """
        rows = len(next(iter(values.values())))
        numbers = self._of_numbers([values[name] for name in self._numbers], rows)
        if self._is_text:
            flat = [value for name, _ in self._texts for value in values[name]]
            if set(map(type, flat)) <= {str, type(None)}:
                return Columns(numbers, plain_texts(flat))
        texts: list[str | None] = []
        others: list[str | None] = []
        users, is_text = None, True
        for name, column in self._texts:
            spell = _spelled_lists if name in self._lists else _spelled
            spelled, respelled = spell(values[name])
            is_text = is_text and respelled is None
            found = _features(column, spelled)
            texts += found
            others += found if respelled is None else _features(column, respelled)
            if name == self._users:
                users = pl.Series(
                    [None if text is None else plain_text(text) for text in spelled],
                    dtype=pl.String,
                )
        return Columns(numbers, plain_texts(texts), None if is_text else plain_texts(others), users)

    def _of_numbers(self, columns: Sequence[Sequence[Any]], rows: int) -> npt.NDArray[np.float64]:
        found = plain_numbers(columns, rows, has_integers=self._has_integers)
        for place, (low, high) in self._clips:
            found[place] = np.where(found[place] < low, low, found[place])
            found[place] = np.where(found[place] > high, high, found[place])
        return found


def plain_numbers(
    columns: Sequence[Sequence[Any]], rows: int, *, has_integers: bool
) -> npt.NDArray[np.float64]:
    """Numbers of dense columns, NaN for missing, `[columns, rows]`.

    Args:
        columns: Values of each column.
        rows: Number of values of each.
        has_integers: Whether the log has integers only.

    Raises:
        LeftToTables: A value is wrong, or of a type that is rare in rows.
    """
    if not all(set(map(type, values)) <= {float, int, type(None)} for values in columns):
        raise LeftToTables
    try:
        found = np.array(columns, np.float64).reshape(len(columns), rows)
    except OverflowError:
        raise LeftToTables from None
    known = found[~np.isnan(found)]
    if (np.abs(known) >= (LARGEST if has_integers else np.inf)).any():
        raise LeftToTables
    if has_integers and (np.floor(known) != known).any():
        raise LeftToTables
    return found


def plain_texts(texts: Sequence[str | None]) -> pl.Series:
    """Texts as a column; empty ones are missing.

    Raises:
        LeftToTables: One has half of a surrogate pair.
    """
    try:
        return pl.Series([text or None for text in texts], dtype=pl.String)
    except UnicodeError:
        raise LeftToTables from None


def values_of(given: Any, dense: frozenset[str], used: Sequence[str]) -> Values:
    """Columns of a table as values of Python.

    Args:
        given: A table of pandas, polars or Arrow, which has the columns.
        dense: Columns that are read as numbers.
        used: The columns to take.

    Raises:
        LeftToTables: It has more than `MOST_ROWS` rows, or a column of another type.
    """
    values: dict[str, Sequence[Any]] = {}
    if is_pandas(given) and len(given) <= MOST_ROWS:
        kinds = dict(zip(given.columns, map(str, given.dtypes), strict=True))
        for name in used:  # one that is not there is an index, or a name that is no text
            kind = kinds.get(name, "")
            if kind not in PANDAS and not (kind == "float32" and name in dense):
                raise LeftToTables
        columns = dict(zip(kinds, given.to_numpy(object).T.tolist(), strict=True))
        return {name: columns[name] for name in used}
    if isinstance(given, pl.DataFrame) and given.height <= MOST_ROWS:
        for name in used:
            series = given.get_column(name)
            own = series.dtype.base_type()
            is_short = own == pl.Float32 and name in dense
            if own not in POLARS and not is_short:
                raise LeftToTables
            values[name] = series.to_list()
        return values
    if isinstance(given, (pa.Table, pa.RecordBatch)) and given.num_rows <= MOST_ROWS:
        for name in used:
            array = given.column(name)
            if not _is_plain(array.type, name in dense):
                raise LeftToTables
            values[name] = array.to_pylist()
        return values
    raise LeftToTables


def _is_plain(kind: pa.DataType, is_number: bool) -> bool:
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_integer)
    others = (types.is_boolean, types.is_float64, types.is_null)
    return any(test(kind) for test in tests + others) or (is_number and types.is_float32(kind))


def plain_text(text: str) -> str:
    """`_derived.plain` of one text."""
    if text.endswith(".0") and (whole := WHOLE.fullmatch(text)):
        return whole[1]
    return FLAGS.get(text, text)


def _spelled(
    values: Sequence[Any],
) -> tuple[list[str | None], list[str | None] | None]:
    """Categories as text, and the other spelling where they are no text."""
    kinds = {type(value) for value in values}
    kinds.discard(type(None))
    if not kinds or kinds == {str}:
        return [value or None for value in values], None
    if kinds == {str, float}:  # text, and NaN as pandas has it where there is none
        if any(type(value) is float and value == value for value in values):
            raise LeftToTables
        return [None if type(value) is float else value or None for value in values], None
    if len(kinds) > 1:  # how a table spells them depends on all of its rows
        raise LeftToTables
    [kind] = kinds
    if kind is float:
        return [_real(value) for value in values], [_whole(value) for value in values]
    if kind is int:
        if any(value is not None and abs(value) >= LARGEST for value in values):
            raise LeftToTables
        texts = [None if value is None else str(value) for value in values]
        return texts, [None if text is None else f"{text}.0" for text in texts]
    if kind is bool:
        words = [None if value is None else str(value) for value in values]
        return [None if word is None else word.lower() for word in words], words
    raise LeftToTables


def _spelled_lists(values: Sequence[Any]) -> tuple[list[Any], list[Any] | None]:
    """The same for lists, if there are any."""
    if list not in set(map(type, values)):
        return _spelled(values)
    if any(type(value) is not list and value is not None for value in values):
        raise LeftToTables
    lists = [value or [] for value in values]
    spelled, respelled = _spelled([entry for value in lists for entry in value])
    ends = list(accumulate(map(len, lists), initial=0))
    found = [
        None if texts is None else [texts[first:last] for first, last in pairwise(ends)]
        for texts in (spelled, respelled)
    ]
    return found[0] or [], found[1]


def _real(value: float | None) -> str | None:
    if value is None or value != value:
        return None
    text = str(value)
    if "e" in text or abs(value) > LARGEST_SHOWN:  # infinity is one as well
        raise LeftToTables
    return text


def _whole(value: float | None) -> str | None:
    if value is None or value != value:
        return None
    return str(int(value)) if value.is_integer() else str(value)


def _features(column: Column | None, texts: Sequence[Any]) -> list[str | None]:
    """What a column becomes, feature after feature."""
    if column is None:
        return list(texts)
    width = len(column.feature_names)
    rows = [(None,) * width if text is None else _derived(column, text) for text in texts]
    return [text for feature in zip(*rows, strict=True) for text in feature]


def _derived(column: Column, value: str | list[str | None]) -> tuple[str | None, ...]:
    """The text of each feature of a category, or of a list of them."""
    if isinstance(value, list):
        found = _last(value, column.last)
    elif column.parts:
        return _date_parts(value, column.format, column.parts)
    elif not column.last:
        found = [value]
    elif column.separator:
        found = _last(value.split(column.separator), column.last)
    else:
        raise LeftToTables
    if column.hashed:
        return tuple(t if t is None else hashed_text(plain_text(t), column.hashed) for t in found)
    if column.modulo:
        return tuple(t if t is None else _remainder(plain_text(t), column) for t in found)
    return tuple(found)


def _last(entries: Sequence[str | None], count: int) -> list[str | None]:
    """The last entries, from the end."""
    found = [(entry or "").strip(" ") or None for entry in entries[: -count - 1 : -1]]
    return found + [None] * (count - len(found))


def _remainder(text: str, column: Column) -> str:
    left = remainder(text, column.modulo, column.base)
    if left is None:
        raise LeftToTables
    return left


@lru_cache(DATES)
def _date_parts(text: str, form: str, parts: tuple[str, ...]) -> tuple[str | None, ...]:
    """Parts of a date, by the code for tables: parsers of dates differ in what they accept."""
    seconds = seconds_of(pl.Series([text]), form)
    if seconds.null_count():
        raise LeftToTables
    return tuple(part_of(seconds, part)[0] for part in parts)
