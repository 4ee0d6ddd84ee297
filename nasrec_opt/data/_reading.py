"""A log in chunks of checked columns, and the sentence that says where a bad one is bad.

Parsing is vectorised; only when something does not add up is the chunk walked line by line, to name
the row and the field. Rows count from 1, a header line apart.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from nasrec_opt.data._schema import Schema
from nasrec_opt.errors import DataError

CHUNK_BYTES = 32 << 20
CHUNK_ROWS = 1 << 18
SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}
Progress = Callable[[int, int | None], None]


def read_chunks(
    source: Path,
    schema: Schema,
    *,
    chunk_bytes: int = CHUNK_BYTES,
    progress: Progress | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield a log as frames: label Int8, dense Float64 with nulls, sparse String with nulls.

    Args:
        source: A text file, plain or .gz, or a .parquet file.
        schema: Its columns.
        chunk_bytes: Text read at a time.
        progress: Called with (bytes read, bytes of the file).

    Raises:
        DataError: It names file, row, field, what was expected and what was found.
    """
    if source.is_dir():
        raise DataError(f"{source}: expected a click log, found a folder")
    if not source.exists():
        raise DataError(f"{source}: expected a click log, found nothing there")
    if source.suffix == ".parquet":
        yield from _read_parquet(source, schema, progress)
    else:
        yield from _read_text(source, schema, chunk_bytes, progress)


def _read_text(
    source: Path, schema: Schema, chunk_bytes: int, progress: Progress | None
) -> Iterator[pl.DataFrame]:
    size = source.stat().st_size
    columns = schema.columns
    row = 0  # rows before the chunk
    with source.open("rb") as raw:
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if source.suffix == ".gz" else raw
        for text in _lines(source, stream, chunk_bytes):
            if not columns:
                head, _, text = text.partition(b"\n")
                columns = _header(source, head, schema)
            if text:
                frame = _parse(source, text, row, schema, columns)
                row += len(frame)
                yield frame
            if progress:
                progress(raw.tell(), size)
    if row == 0:
        raise DataError(f"{source}: expected a click log, got an empty file")


def _lines(source: Path, stream: IO[bytes], chunk_bytes: int) -> Iterator[bytes]:
    """Whole lines, about `chunk_bytes` at a time."""
    rest = b""
    while True:
        try:
            piece = stream.read(chunk_bytes)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{source}: expected a whole gzip file, got: {error}") from error
        if not piece:
            break
        rest += piece
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield rest[:cut].replace(b"\r\n", b"\n")
            rest = rest[cut:]
    if rest:
        yield rest.replace(b"\r\n", b"\n").rstrip(b"\r") + b"\n"


def _header(source: Path, line: bytes, schema: Schema) -> tuple[str, ...]:
    try:
        names = tuple(line.decode().removeprefix("\ufeff").split(schema.separator))
    except UnicodeDecodeError:
        raise DataError(f"{source}: header: expected UTF-8 text, got other bytes") from None
    names = tuple(name.strip().strip('"') for name in names)
    for name in (schema.label, *schema.dense, *schema.sparse):
        if name not in names:
            raise DataError(f"{source}: header: expected a column {name!r}, got {', '.join(names)}")
    return names


def _parse(
    source: Path, text: bytes, row: int, schema: Schema, columns: tuple[str, ...]
) -> pl.DataFrame:
    separator = schema.separator.encode()
    fields = len(columns)
    rows = text.count(b"\n")
    has_quotes = b'"' in text
    suspicious = b"\0" in text or (not has_quotes and text.count(separator) != rows * (fields - 1))
    frame = None
    if not suspicious:
        try:
            frame = pl.read_csv(
                io.BytesIO(text),
                separator=schema.separator,
                has_header=False,
                new_columns=list(columns),
                infer_schema=False,
                quote_char='"' if has_quotes else None,
            )
        except pl.exceptions.PolarsError:
            frame = None
    if frame is None or frame.width != fields or len(frame) != rows:
        raise _explain(source, text, row, schema, columns)
    typed = _typed(frame, schema)
    if typed is None:
        raise _explain(source, text, row, schema, columns)
    return typed


def _typed(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame | None:
    """Columns in their types, or nothing where a value has another."""
    used = [schema.label, *schema.dense, *schema.sparse]
    frame = frame.select(used)
    number = pl.Int64 if schema.has_integers else pl.Float64
    typed = frame.with_columns(
        pl.col(schema.label).cast(pl.Int64, strict=False),
        *(pl.col(name).cast(number, strict=False).cast(pl.Float64) for name in schema.dense),
        *(pl.col(name).cast(pl.String) for name in schema.sparse),
    )
    label = typed[schema.label]
    if label.null_count() or not label.is_in([0, 1]).all():
        return None
    for name in schema.dense:
        values = typed[name]
        if values.null_count() != frame[name].null_count() or not values.is_finite().all():
            return None
    return typed.with_columns(pl.col(schema.label).cast(pl.Int8))


def _read_parquet(
    source: Path, schema: Schema, progress: Progress | None
) -> Iterator[pl.DataFrame]:
    try:
        table = pq.ParquetFile(source)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{source}: expected a Parquet file, got: {error}") from error
    used = [schema.label, *schema.dense, *schema.sparse]
    for name in used:
        if name not in table.schema_arrow.names:
            names = ", ".join(table.schema_arrow.names)
            raise DataError(f"{source}: expected a column {name!r}, got {names}")
    row = 0
    for batch in table.iter_batches(batch_size=CHUNK_ROWS, columns=used):
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)
        typed = _typed(frame, schema)
        if typed is None:
            raise _explain_frame(source, frame, row, schema)
        row += len(frame)
        yield typed
        if progress:
            progress(row, table.metadata.num_rows)
    if row == 0:
        raise DataError(f"{source}: expected a click log, got an empty file")


def _explain(
    source: Path, text: bytes, row: int, schema: Schema, columns: tuple[str, ...]
) -> DataError:
    """The first thing that is wrong in a chunk."""
    for number, line in enumerate(text.split(b"\n")[:-1], start=row + 1):
        where = f"{source}:{number}"
        if b"\0" in line:
            return DataError(f"{where}: expected text, got a NUL byte")
        try:
            decoded = line.decode()
        except UnicodeDecodeError as error:
            return DataError(f"{where}: expected UTF-8 text, got {error.reason}")
        fields = decoded.split(schema.separator)
        if len(fields) != len(columns) and '"' not in decoded:
            expected = SEPARATORS.get(schema.separator, repr(schema.separator))
            other = [
                name
                for mark, name in SEPARATORS.items()
                if mark != schema.separator and decoded.count(mark) == len(columns) - 1
            ]
            hint = f" (the separator seems to be {other[0]})" if other else ""
            return DataError(
                f"{where}: expected {len(columns)} columns separated by {expected}, got "
                f"{len(fields)}{hint}"
            )
        values = dict(zip(columns, fields, strict=False))
        wrong = _wrong_value(values, schema)
        if wrong:
            return DataError(f"{where}: {wrong}")
    return DataError(
        f"{source}: rows {row + 1} and on: expected a table, got quotes that do not close"
    )


def _explain_frame(source: Path, frame: pl.DataFrame, row: int, schema: Schema) -> DataError:
    for number, values in enumerate(frame.iter_rows(named=True), start=row + 1):
        texts = {name: "" if value is None else str(value) for name, value in values.items()}
        wrong = _wrong_value(texts, schema)
        if wrong:
            return DataError(f"{source}:{number}: {wrong}")
    return DataError(f"{source}: expected numbers in {', '.join(schema.dense)}, got another type")


def _wrong_value(values: dict[str, str], schema: Schema) -> str | None:
    """What is wrong with the label and the dense fields of one row."""
    label = values.get(schema.label, "").strip('"')
    if label not in ("0", "1"):
        return f"field {schema.label}: expected 0 or 1, got {label!r}"
    for name in schema.dense:
        value = values.get(name, "").strip('"')
        if not value:
            continue
        expected = "an integer" if schema.has_integers else "a number"
        try:
            number = int(value) if schema.has_integers else float(value)
        except ValueError:
            return f"field {name}: expected {expected} or nothing, got {value!r}"
        if schema.has_integers and not -(2**63) <= number < 2**63:
            return f"field {name}: expected an integer of 64 bits or nothing, got {value!r}"
        if number != number or number in (float("inf"), float("-inf")):
            return f"field {name}: expected a finite number or nothing, got {value!r}"
    return None
