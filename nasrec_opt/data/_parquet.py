"""Parquet columns of any type as text or numbers, or an error that names an unsupported column.

Arrow has more types than polars reads correctly. So Arrow casts columns here to the few types that
the rest of the package supports: integers, floats, booleans, text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from nasrec_opt.data._schema import Schema
from nasrec_opt.errors import DataError

CHUNK_ROWS = 1 << 17
MAGIC = b"PAR1"


def is_parquet(source: Path) -> bool:
    """Whether a file is Parquet, by its name or its first bytes."""
    if source.suffix == ".parquet":
        return True
    try:
        with source.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False  # reading it as text then reports why it cannot be read


def parquet_columns(source: Path) -> tuple[str, ...]:
    """Names of the columns of a Parquet file."""
    return tuple(_open(source).schema_arrow.names)


def parquet_frames(
    source: Path, schema: Schema, *, has_label: bool = True
) -> Iterator[tuple[pl.DataFrame, int]]:
    """Yield frames of the columns that a schema uses, and the rows read so far.

    Args:
        source: The Parquet file.
        schema: Its columns, resolved.
        has_label: Whether the label is read.

    Raises:
        DataError: The file is damaged, or a column has a type that is neither text nor numbers.
    """
    table = _open(source)
    used = schema.used(has_label=has_label)
    check_types(source, table.schema_arrow, schema, used)
    rows = 0
    try:
        for batch in table.iter_batches(batch_size=CHUNK_ROWS, columns=list(used)):
            frame = arrow_frame(source, batch, rows, schema, used)
            rows += batch.num_rows
            yield frame, rows
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{source}: expected a whole Parquet file, got: {reason}") from error


def check_types(source: Path | str, given: pa.Schema, schema: Schema, used: Sequence[str]) -> None:
    """Check the types of columns.

    Raises:
        DataError: A column has a type that is neither text nor numbers.
    """
    texts = schema.texts()
    for name in used:
        _check_type(source, name, given.field(name).type, is_number=name not in texts)


def arrow_frame(
    source: Path | str, batch: pa.RecordBatch, row: int, schema: Schema, used: Sequence[str]
) -> pl.DataFrame:
    """Columns of Arrow as integers, floats, booleans or text; NaN and empty text are missing.

    Args:
        source: Where they are from, for the error.
        batch: The rows, of types that `check_types` accepts.
        row: Rows before them.
        schema: The columns.
        used: Names of the columns to take.

    Raises:
        DataError: Binary values are no UTF-8 text.
    """
    texts, columns = schema.texts(), {}
    for name in used:
        column = batch.column(name)
        _check_text(source, name, column, row)
        columns[name] = _plain(column, is_number=name not in texts)
    return _with_nulls(pl.DataFrame(pa.table(columns)))


def parquet_rows(source: Path) -> int:
    """Number of rows of a Parquet file."""
    return int(_open(source).metadata.num_rows)


def _open(source: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(source)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{source}: expected a Parquet file, got: {reason}") from error


def _check_type(source: Path | str, name: str, given: pa.DataType, *, is_number: bool) -> None:
    kind = _inner(given)
    is_plain = (
        types.is_null(kind)
        or types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or _is_text(kind)
    )
    if is_plain or (types.is_temporal(kind) and not types.is_interval(kind) and not is_number):
        return
    expected = "numbers" if is_number else "single values"
    raise DataError(f"{source}: field {name}: expected {expected}, got {given}")


def _inner(kind: pa.DataType) -> pa.DataType:
    """The type of single values: of a dictionary's entries, of an extension's storage."""
    if types.is_dictionary(kind):
        return _inner(kind.value_type)
    return _inner(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else kind


def _is_text(kind: pa.DataType) -> bool:
    return _is_bytes(kind) or (
        types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    )


def _is_bytes(kind: pa.DataType) -> bool:
    """Text that its writer, such as Hive or Impala, did not mark as text."""
    tests = (types.is_binary, types.is_large_binary, types.is_binary_view)
    return any(test(kind) for test in tests)


def _check_text(source: Path | str, name: str, column: pa.Array, rows: int) -> None:
    if not _is_bytes(_inner(column.type)):
        return
    for row, value in enumerate(_values(column).to_pylist(), start=rows + 1):
        try:
            (value or b"").decode("utf-8")
        except UnicodeDecodeError as error:
            found = f"byte 0x{value[error.start]:02x} at position {error.start + 1}"
            raise DataError(
                f"{source}:{row}: field {name}: expected UTF-8 text, got {found}"
            ) from None


def _values(column: pa.Array) -> pa.Array:
    """A column without dictionaries and extension types."""
    while True:
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        elif types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        else:
            return column


def _plain(column: pa.Array, *, is_number: bool) -> pa.Array:
    """A column as integers, floats of 32 or 64 bits, booleans, nulls or text."""
    column = _values(column)
    kind = column.type
    if types.is_float16(kind):
        return column.cast(pa.float32())
    if types.is_decimal(kind):
        return column.cast(pa.float64() if is_number else pa.string())
    if types.is_duration(kind):
        return column.cast(pa.int64())  # ticks of its unit: equal durations are equal categories
    if types.is_timestamp(kind) and kind.tz:
        column = column.cast(pa.timestamp(kind.unit))  # UTC: its zone may be unknown here
    if types.is_temporal(kind) or _is_bytes(kind):
        return column.cast(pa.large_string())
    return column


def _with_nulls(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame with nulls for the missing values of Parquet: NaN, empty text."""
    frame = frame.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
    return frame.with_columns(pl.col(pl.String).replace("", None))
