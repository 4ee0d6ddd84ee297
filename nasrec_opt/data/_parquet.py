"""Tables of Parquet and Arrow as text or numbers, or an error that names an unsupported column.

Arrow has more types than polars reads correctly. So Arrow casts columns here to the few types that
the rest of the package supports: integers, floats, booleans, text. As a number, a date is the days
since 1970, a time the seconds since midnight, a timestamp the seconds since 1970 in UTC, and a
duration its seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import compute, types

from nasrec_opt.data._frames import CHUNK_ROWS, ColumnError, Frame, index_of
from nasrec_opt.data._lists import each_entry, entries_of, is_list, lengths_of, lists_of
from nasrec_opt.data._schema import PANDAS_INDEX, Schema
from nasrec_opt.data._sources import DAMAGE, Log, LogFile, damage
from nasrec_opt.errors import DataError

DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}  # of a second, by unit


def table_columns(file: LogFile, schema: Schema) -> tuple[str, ...]:
    """Names of the columns of a table, without an index of pandas that the schema does not name."""
    table, named = _table(file), schema.named
    return tuple(
        name
        for name in table.names
        if name in named or not (name in table.index or PANDAS_INDEX.fullmatch(name))
    )


def table_frames(
    file: LogFile, schema: Schema, *, has_label: bool = True
) -> Iterator[tuple[pl.DataFrame, int]]:
    """Yield frames of the columns that a schema uses, and the bytes of the file read so far.

    Args:
        file: The table.
        schema: Its columns, resolved.
        has_label: Whether the label is read.

    Raises:
        DataError: The file is damaged, or a column has a type that is neither text nor numbers.
    """
    table = _table(file)
    used = schema.used(has_label=has_label)
    check_types(file, table.types(used), schema, used)
    row = 0
    with _named_damage(file):
        for batch, done in table.batches(used):
            yield arrow_frame(file, batch, row, schema, used), done
            row += batch.num_rows


def require_same_types(log: Log, schema: Schema) -> None:
    """Refuse a category that another file of the log spells in another way: 5 here, 5.0 there.

    Args:
        log: Tables.
        schema: Their columns, resolved.

    Raises:
        DataError: It names the file and the column.
    """
    if len(log.files) == 1:
        return
    texts = schema.texts()
    tables = [(file, _table(file).types(texts)) for file in log.files]
    for name in texts:
        known: tuple[LogFile, pa.DataType] | None = None
        for file, table in tables:
            kind = _entry(table.field(name).type)
            if types.is_null(kind):
                continue
            if known and _spelling(kind) != _spelling(known[1]):
                raise DataError(
                    f"{file}: field {name}: expected {known[1]} as in {known[0]}, got {kind}"
                )
            known = known or (file, kind)


def content_stamp(log: Log, schema: Schema) -> str:
    """Identify the rows of tables by all that is read of them.

    Args:
        log: Tables.
        schema: Their columns, resolved.

    Returns:
        Sixteen hexadecimal digits; equal rows have equal ones, whatever library holds them.

    Raises:
        DataError: A column cannot be read.
    """
    found = hashlib.sha256()
    for file in log.files:
        for frame, _ in table_frames(file, schema):
            for values in frame.get_columns():
                found.update(f"{values.name}\0{values.dtype}\0{len(values)}\0".encode())
                for part in _parts(values):
                    found.update(part.tobytes())
    return found.hexdigest()[:16]


def _parts(values: pl.Series) -> list[npt.NDArray[Any]]:
    """All bytes of a column of text, numbers or lists, with nulls as empty text or 0."""
    is_null = np.packbits(values.is_null().to_numpy())
    if values.dtype == pl.Null:
        return [is_null]
    if isinstance(values.dtype, pl.List):
        lengths = values.list.len().to_numpy()
        return [is_null, lengths, *_parts(entries_of(values))]
    if values.dtype == pl.Boolean:
        values = values.cast(pl.UInt8)
    if values.dtype != pl.String:
        return [is_null, values.fill_null(value=0).to_numpy()]
    array = values.fill_null("").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    text = np.frombuffer(data or b"", np.uint8)
    return [is_null, np.diff(ends), text[ends[0] : ends[-1]]]


def _table(file: LogFile) -> _Table | Frame:
    return _Table(file) if file.frame is None else file.frame


class _Table:
    """A file of Parquet or Arrow, opened."""

    def __init__(self, file: LogFile) -> None:
        self._file = file
        with _named_damage(file):
            if file.kind == "Parquet":
                self._opened = pq.ParquetFile(file.path, page_checksum_verification=True)
                self._schema = self._opened.schema_arrow
            else:
                opens = pa.ipc.open_file if file.kind == "Arrow" else pa.ipc.open_stream
                # Not mapped: a damaged file that says it is longer would end the process.
                self._stream = pa.OSFile(str(file.path))
                self._opened = opens(self._stream)
                self._schema = self._opened.schema
            self.names = tuple(self._schema.names)  # raises where they are no UTF-8
        self.index = index_of(self._schema)

    def types(self, columns: Sequence[str]) -> pa.Schema:
        """Types of columns."""
        return pa.schema([self._schema.field(name) for name in columns])

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, int]]:
        """Batches of at most `CHUNK_ROWS` rows with some of the columns, and the bytes read."""
        size, row = self._file.size, 0
        if self._file.kind == "Parquet":
            rows = max(self._opened.metadata.num_rows, 1)
            for batch in self._opened.iter_batches(batch_size=CHUNK_ROWS, columns=list(columns)):
                row += batch.num_rows
                yield batch, size * row // rows
            return
        for batch, done in self._stored():
            for start in range(0, batch.num_rows, CHUNK_ROWS):
                yield batch.slice(start, CHUNK_ROWS), done

    def _stored(self) -> Iterator[tuple[pa.RecordBatch, int]]:
        if self._file.kind == "Arrow stream":
            for batch in self._opened:
                yield batch, self._stream.tell()
            return
        count = self._opened.num_record_batches
        for number in range(count):
            yield self._opened.get_batch(number), self._file.size * (number + 1) // count


@contextmanager
def _named_damage(file: LogFile) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise damage(file, file.kind, error) from error


def check_types(source: object, given: pa.Schema, schema: Schema, used: Sequence[str]) -> None:
    """Check the types of columns.

    Raises:
        DataError: A column has a type that is neither text nor numbers, nor lists of them where
            the schema reads lists.
    """
    texts, clicks = schema.texts(), schema.clicks()
    for name in used:
        kind = given.field(name).type
        if is_list(_inner(kind)) and name in schema.sparse:
            if schema.option(name).last and name not in (schema.time, schema.users):
                kind = _inner(kind).value_type
            elif not schema.option(name).last:
                raise ColumnError(
                    f"{source}: field {name}: expected single values, got {kind}; "
                    f"last = 5 under [columns.{name}] reads the last five of each list"
                )
        is_time = types.is_temporal(_inner(kind)) and not types.is_interval(_inner(kind))
        if not _is_plain(_inner(kind)) and (name in clicks or not is_time):
            expected = "single values" if name in texts else "numbers"
            found = given.field(name).type
            raise ColumnError(f"{source}: field {name}: expected {expected}, got {found}")


def arrow_frame(
    source: object, batch: pa.RecordBatch, row: int, schema: Schema, used: Sequence[str]
) -> pl.DataFrame:
    """Columns of Arrow as integers, floats, booleans, text or lists; NaN and "" are missing.

    Args:
        source: Where they are from, for the error.
        batch: The rows, of types that `check_types` accepts.
        row: Rows before them.
        schema: The columns.
        used: Names of the columns to take.

    Raises:
        DataError: Text is not UTF-8, or the column is damaged.
    """
    texts, columns = schema.texts(), {}
    for name in used:
        column = batch.column(name)
        rows = range(row + 1, row + 1 + len(column))
        columns[name] = _plain(source, name, column, rows, is_number=name not in texts)
    return _with_nulls(pl.DataFrame(pa.table(columns)))


def _is_plain(kind: pa.DataType) -> bool:
    """Whether values are numbers, booleans or text."""
    return (
        types.is_null(kind)
        or types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or _is_text(kind)
    )


def _inner(kind: pa.DataType) -> pa.DataType:
    """The type of single values: of a dictionary's entries, of an extension's storage."""
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return _inner(kind.value_type)
    return _inner(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else kind


def _entry(kind: pa.DataType) -> pa.DataType:
    """The type of single values, or of the entries of lists."""
    kind = _inner(kind)
    return _inner(kind.value_type) if is_list(kind) else kind


def _spelling(kind: pa.DataType) -> str:
    """Equal for types whose equal values are equal text."""
    for name in ("integer", "floating", "boolean", "decimal", "date", "time", "duration"):
        if getattr(types, f"is_{name}")(kind):
            return name
    if types.is_timestamp(kind):
        return "timestamp in a zone" if kind.tz else "timestamp"
    return "text" if _is_text(kind) else str(kind)


def _is_text(kind: pa.DataType) -> bool:
    return _is_bytes(kind) or (
        types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    )


def _is_bytes(kind: pa.DataType) -> bool:
    """Text that its writer, such as Hive or Impala, did not mark as text."""
    tests = (types.is_binary, types.is_large_binary, types.is_binary_view)
    return any(test(kind) for test in tests)


def _values(column: pa.Array) -> pa.Array:
    """A column without dictionaries, runs and extension types.

    Raises:
        ArrowException: The column is damaged.
    """
    while True:
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        elif types.is_dictionary(column.type):
            _validate(column.dictionary)
            entries = column.dictionary
            if types.is_string_view(entries.type) or types.is_binary_view(entries.type):
                is_text = types.is_string_view(entries.type)
                entries = entries.cast(pa.large_string() if is_text else pa.large_binary())
            column = entries.take(column.indices)  # unlike a cast, it checks bounds; not of views
        elif types.is_run_end_encoded(column.type):
            column.validate(full=True)
            column = compute.run_end_decode(column)
        else:
            return column


def _plain(
    source: object, name: str, column: pa.Array, rows: Iterable[int], *, is_number: bool
) -> pa.Array:
    """A column as integers, floats of 32 or 64 bits, booleans, nulls or text, or lists of these."""
    column = _values(column)
    kind = column.type
    if is_list(kind):
        _validate(column)
        lengths = lengths_of(column)
        rows = np.repeat(np.fromiter(rows, np.int64), lengths).tolist()
        entries = _plain(source, name, column.flatten(), rows, is_number=is_number)
        return lists_of(lengths, entries)
    if _is_text(kind):
        return _text(source, name, column, rows)
    column.validate(full=True)
    if types.is_float16(kind):
        return column.cast(pa.float32())
    if types.is_temporal(kind):
        return _time_number(column) if is_number else _time_text(column)
    if types.is_decimal(kind):
        return column.cast(pa.float64()) if is_number else _decimal_text(column)
    return column


def _time_number(column: pa.Array) -> pa.Array:
    """Days since 1970 of dates; seconds of all others: since 1970, since midnight, that last."""
    kind = column.type
    if types.is_date(kind):
        return column.cast(pa.date32()).cast(pa.int32())
    ticks = column.cast(pa.int32() if types.is_time32(kind) else pa.int64())
    return compute.divide(ticks.cast(pa.float64(), safe=False), float(10 ** DIGITS[kind.unit]))


def _time_text(column: pa.Array) -> pa.Array:
    """Dates and times as in ISO 8601, UTC, and durations in seconds: in each unit the same text."""
    kind = column.type
    if types.is_duration(kind):
        ticks = column.cast(pa.int64())
        return _each(ticks, lambda tick: Decimal(tick).scaleb(-DIGITS[kind.unit]))
    if types.is_timestamp(kind) and kind.tz:
        column = column.cast(pa.timestamp(kind.unit))  # UTC: its zone may be unknown here
    texts = column.cast(pa.large_string())
    if types.is_date(kind) or kind.unit == "s":
        return texts
    texts = compute.replace_substring_regex(texts, r"\.0+$", "")
    return compute.replace_substring_regex(texts, r"(\.\d*[1-9])0+$", r"\1")


def _decimal_text(column: pa.Array) -> pa.Array:
    """Decimals in digits: in each scale the same text."""
    if not column.type.scale:
        return column.cast(pa.large_string())
    is_short = column.type.bit_width < 128  # for which Arrow has fewer functions
    return _each(column.cast(pa.decimal128(38, column.type.scale)) if is_short else column, Decimal)


def _each(column: pa.Array, number: Callable[[Any], Decimal]) -> pa.Array:
    """The text of a number for each value, without zeros at its end."""
    coded = column.dictionary_encode()
    values = (f"{number(value):f}" for value in coded.dictionary.to_pylist())
    texts = [text.rstrip("0").rstrip(".") if "." in text else text for text in values]
    return pa.array(texts, pa.large_string()).take(coded.indices)


def _validate(column: pa.Array) -> None:
    """Refuse a column that cannot be read at all; text may still be no UTF-8.

    Raises:
        ArrowInvalid: It is damaged.
    """
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF" not in str(error).upper():
            raise


def _text(source: object, name: str, column: pa.Array, rows: Iterable[int]) -> pa.Array:
    """Text or bytes as text: whatever reads it later trusts that it is UTF-8."""
    _validate(column)
    with suppress(pa.ArrowInvalid):
        column.validate(full=True)
        return column.cast(pa.large_string())
    for number, value in zip(rows, column.cast(pa.large_binary()).to_pylist(), strict=True):
        try:
            (value or b"").decode()
        except UnicodeDecodeError as error:
            found = f"byte 0x{value[error.start]:02x} at position {error.start + 1}"
            raise ColumnError(
                f"{source}:{number}: field {name}: expected UTF-8 text, got {found}"
            ) from None
    raise ColumnError(f"{source}: field {name}: expected UTF-8 text, got other bytes")


def _with_nulls(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame with nulls for the missing values of Parquet: NaN, empty text."""
    frame = frame.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
    frame = frame.with_columns(pl.col(pl.String).replace("", None))
    lists = [values for values in frame.get_columns() if isinstance(values.dtype, pl.List)]
    return frame.with_columns(each_entry(values, _entries_with_nulls) for values in lists)


def _entries_with_nulls(entries: pl.Series) -> pl.Series:
    return _with_nulls(entries.to_frame()).to_series()
