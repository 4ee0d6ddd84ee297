"""Reads a log in chunks of checked columns: memory never holds more than a chunk of it.

Parsing is vectorised. Only a chunk that does not parse is read line by line, to find the bad field.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

import polars as pl

from nasrec_opt._files import BYTE_ORDER_MARK, other_encoding
from nasrec_opt.data._checking import convert, found_separator, read_lines, split_fields
from nasrec_opt.data._derived import derive
from nasrec_opt.data._parquet import is_parquet, parquet_columns, parquet_frames, parquet_rows
from nasrec_opt.data._schema import Schema
from nasrec_opt.errors import DataError

CHUNK_BYTES = 32 << 20
LONGEST_LINE = 16 << 20  # bytes; more is no table
PACKED = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
Progress = Callable[[int, int | None], None]


def read_chunks(
    source: Path,
    schema: Schema,
    *,
    chunk_bytes: int = CHUNK_BYTES,
    progress: Progress | None = None,
    has_label: bool = True,
) -> Iterator[pl.DataFrame]:
    """Yield a log as frames of the columns that a model reads, as `derive` makes them.

    Args:
        source: A text file, plain or .gz, or a .parquet file.
        schema: Its columns, resolved.
        chunk_bytes: Text read at a time.
        progress: Called with (bytes read, bytes of the file).
        has_label: Whether the label is read; without it, lines may lack it.

    Raises:
        DataError: A field is bad; the message names file, row, field, what was expected and found.
    """
    reader = _read_parquet(source, schema, has_label) if is_parquet(source) else None
    size, rows = source.stat().st_size, 0
    for frame, done in reader or _read_text(source, schema, chunk_bytes, has_label):
        rows += len(frame)
        yield frame
        if progress:
            progress(done, size)
    if not rows:
        found = "an empty file" if schema.columns or reader else "no row below the header"
        raise DataError(f"{source}: expected a click log, got {found}")


def column_names(source: Path, schema: Schema, *, has_label: bool = True) -> tuple[str, ...]:
    """Names of all columns of a log, in order: those of its schema, or of its header.

    Args:
        source: The log.
        schema: Its columns.
        has_label: Whether the label has to be there; otherwise lines without a header may lack it.

    Raises:
        DataError: There is no readable log.
    """
    if source.is_dir():
        raise DataError(f"{source}: expected a click log, found a folder")
    if not source.exists():
        raise DataError(f"{source}: expected a click log, found nothing there")
    if not source.is_file():
        raise DataError(
            f"{source}: expected a regular file, which is read twice, found a pipe or device"
        )
    if is_parquet(source):
        return parquet_columns(source)
    if schema.columns and has_label:
        return schema.columns
    with _open_text(source) as stream:
        line = next(_lines(source, stream, 1 << 16), b"").split(b"\n")[0]
    if schema.columns:
        return _without_label(line, schema)
    if not line.strip():
        raise DataError(f"{source}: expected a header line, got an empty file")
    try:
        text = line.decode()
        names = tuple(name.strip() for name in split_fields(text, schema))
    except UnicodeDecodeError:
        raise DataError(f"{source}: header: expected UTF-8 text, got bytes that are not") from None
    except csv.Error:
        raise DataError(
            f"{source}: header: expected quotes that close, got one that does not"
        ) from None
    if has_label and schema.label not in names:
        hint = found_separator(text, schema)
        raise DataError(
            f"{source}: header: expected a column {schema.label!r}, got "
            f"{', '.join(names)[:200]}{hint}"
        )
    return names


def _without_label(line: bytes, schema: Schema) -> tuple[str, ...]:
    """Columns of lines without a header; one field less than the schema has is the label."""
    others = tuple(name for name in schema.columns if name != schema.label)
    try:
        return others if len(split_fields(line.decode(), schema)) == len(others) else schema.columns
    except (UnicodeDecodeError, csv.Error):
        return schema.columns  # the parser of the line reports what is wrong with it


def _read_text(
    source: Path, schema: Schema, chunk_bytes: int, has_label: bool
) -> Iterator[tuple[pl.DataFrame, int]]:
    columns = column_names(source, schema, has_label=has_label)
    has_header = not schema.columns
    row = 0  # rows before the chunk
    with _open_text(source) as stream:
        raw = stream.fileobj if isinstance(stream, gzip.GzipFile) else stream
        for number, text in enumerate(_up_to_blank_end(_lines(source, stream, chunk_bytes))):
            if has_header and number == 0:
                text = text.partition(b"\n")[2]
            if text:
                frame = _parse(source, text, row + has_header, schema, columns, has_label)
                row += len(frame)
                yield frame, raw.tell()


def _open_text(source: Path) -> IO[bytes]:
    try:
        with source.open("rb") as stream:
            is_gzip = source.suffix == ".gz" or stream.read(2) == b"\x1f\x8b"
        return gzip.open(source) if is_gzip else source.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise DataError(f"{source}: expected a readable file, got: {error.strerror}") from error


def _lines(source: Path, stream: IO[bytes], chunk_bytes: int) -> Iterator[bytes]:
    """Whole lines, about `chunk_bytes` at a time, each ended by a line feed."""
    rest: list[bytes] = []  # pieces of a line that has not ended
    is_first = True
    while piece := _read(source, stream, chunk_bytes):
        cut = piece.rfind(b"\n") + 1
        if not cut:
            rest.append(piece)
            if len(rest) * chunk_bytes > LONGEST_LINE and sum(map(len, rest)) > LONGEST_LINE:
                raise DataError(
                    f"{source}: expected lines of at most {LONGEST_LINE >> 20} MiB, got a longer"
                    " one"
                )
            continue
        text = b"".join([*rest, piece[:cut]])
        rest = [piece[cut:]] if cut < len(piece) else []
        yield _clean(source, text, is_first)
        is_first = False
    if rest:
        yield _clean(source, b"".join(rest).rstrip(b"\r") + b"\n", is_first)


def _up_to_blank_end(texts: Iterator[bytes]) -> Iterator[bytes]:
    """The same lines without the blank ones that many exports end with."""
    blank = b""  # blank lines that may turn out not to be the end
    for text in texts:
        text = blank + text
        kept = text.rstrip(b"\n")
        blank = text[len(kept) + 1 :] if kept else text
        if kept:
            yield kept + b"\n"


def _clean(source: Path, text: bytes, is_first: bool) -> bytes:
    if is_first:
        if encoding := other_encoding(text[:4]):
            raise DataError(f"{source}: expected UTF-8 text, got {encoding} text; save it as UTF-8")
        for head, name in PACKED.items():
            if text.startswith(head):
                raise DataError(f"{source}: expected text, plain or gzip, got a {name} file")
        text = text.removeprefix(BYTE_ORDER_MARK.encode())
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text


def _read(source: Path, stream: IO[bytes], size: int) -> bytes:
    try:
        return stream.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{source}: expected a whole gzip file, got: {error}") from error
    except OSError as error:
        raise DataError(f"{source}: expected a readable file, got: {error.strerror}") from error


def _parse(
    source: Path,
    text: bytes,
    row: int,
    schema: Schema,
    columns: tuple[str, ...],
    has_label: bool,
) -> pl.DataFrame:
    """Lines as a frame: parsed with types, or else as text, to find the values of another type."""
    label = schema.clicks(has_label=has_label)
    numbers = schema.numbers(has_label=has_label)
    texts = schema.texts(has_label=has_label)
    rows = text.count(b"\n")
    is_quoted = schema.has_quotes and b'"' in text
    separators = rows * (len(columns) - 1)
    is_table = b"\0" not in text and (
        is_quoted or text.count(schema.separator.encode()) == separators
    )
    types: dict[str, type[pl.DataType]] = dict.fromkeys(columns, pl.String)
    typed = types | dict.fromkeys(label, pl.Int8) | dict.fromkeys(numbers, pl.Float64)
    if schema.has_integers:
        typed |= dict.fromkeys(schema.dense, pl.Int64)
    if is_table and not is_quoted:
        frame = _read_csv(text, schema, typed, is_quoted=False)
        if frame is not None and len(frame) == rows and _is_clean(frame, schema, has_label):
            frame = frame.select(*label, pl.col(numbers).cast(pl.Float64), *texts)
            return derive(source, frame, row, schema, has_label=has_label)
    frame = _read_csv(text, schema, types, is_quoted=is_quoted) if is_table else None
    if is_quoted and frame is not None and frame[columns[-1]].null_count():
        frame = None  # a line that ends early reads as missing values
    if frame is None or len(frame) != rows:
        frame = read_lines(source, text, row, schema, columns)
    if is_quoted:
        frame = frame.with_columns(pl.all().replace("", None))
    return convert(source, frame, row, schema, has_label=has_label)


def _read_csv(
    text: bytes, schema: Schema, types: Mapping[str, type[pl.DataType]], *, is_quoted: bool
) -> pl.DataFrame | None:
    try:
        return pl.read_csv(
            io.BytesIO(text),
            separator=schema.separator,
            has_header=False,
            schema=types,
            quote_char='"' if is_quoted else None,
        )
    except pl.exceptions.PolarsError:
        return None


def _is_clean(frame: pl.DataFrame, schema: Schema, has_label: bool) -> bool:
    for name in schema.clicks(has_label=has_label):
        label = frame[name]
        if label.null_count() or not 0 <= label.min() <= label.max() <= 1:  # type: ignore[operator]
            return False
    numbers = [frame[name] for name in schema.numbers(has_label=has_label)]
    return all(values.is_finite().all() for values in numbers if values.dtype == pl.Float64)


def _read_parquet(
    source: Path, schema: Schema, has_label: bool
) -> Iterator[tuple[pl.DataFrame, int]]:
    size, rows = source.stat().st_size, max(parquet_rows(source), 1)
    before = 0
    for frame, row in parquet_frames(source, schema, has_label=has_label):
        yield convert(source, frame, before, schema, has_label=has_label), size * row // rows
        before = row
