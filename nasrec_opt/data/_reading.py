"""Reads a log in chunks of checked columns: memory never holds more than a chunk of it.

Parsing is vectorised. Only a chunk that does not parse is read line by line, to find the bad field.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping

import polars as pl

from nasrec_opt._files import BYTE_ORDER_MARK, other_encoding
from nasrec_opt.data._checking import convert
from nasrec_opt.data._derived import derive
from nasrec_opt.data._in_order import in_order
from nasrec_opt.data._lines import (
    SEPARATORS,
    LayoutError,
    Quoted,
    count_bytes,
    end_of_rows,
    other_separator,
    read_lines,
    split_fields,
)
from nasrec_opt.data._parquet import (
    require_same_types,
    table_columns,
    table_frames,
)
from nasrec_opt.data._schema import Schema
from nasrec_opt.data._sources import Given, Log, LogFile, TextStream, find_log, printable
from nasrec_opt.errors import DataError

CHUNK_BYTES = 32 << 20
LONGEST_LINE = 16 << 20  # bytes; more is no table
Progress = Callable[[int, int | None], None]


def read_chunks(
    source: Given | Log,
    schema: Schema,
    *,
    chunk_bytes: int = CHUNK_BYTES,
    progress: Progress | None = None,
    has_label: bool = True,
) -> Iterator[pl.DataFrame]:
    """Yield a log as frames of the columns that a model reads, as `derive` makes them.

    Args:
        source: The log.
        schema: Its columns, resolved.
        chunk_bytes: Text read at a time.
        progress: Called with (bytes read, bytes of all files), as they are on the disk.
        has_label: Whether the label is read; without it, lines may lack it.

    Raises:
        DataError: A field is bad; the message names file, row, field, what was expected and found.
    """
    log = find_log(source)
    before = rows = 0
    if not log.is_text:
        require_same_types(log, schema)
    for file in log.files:
        if file.kind == "text":
            frames = _read_text(file, schema, chunk_bytes, has_label)
        else:
            frames = _read_table(file, schema, has_label)
        for frame, done in frames:
            rows += len(frame)
            yield frame
            if progress:
                progress(before + done, log.size)
        before += file.size
    if not rows:
        has_header = log.is_text and not schema.columns
        found = "no row below the header" if has_header else "an empty file"
        if log.in_memory:
            found = "no rows"
        raise DataError(f"{log}: expected a click log, got {found}")


def column_names(source: Given | Log, schema: Schema, *, has_label: bool = True) -> tuple[str, ...]:
    """Names of all columns of a log, in the order of its first file.

    Args:
        source: The log.
        schema: Its columns.
        has_label: Whether the label has to be there; otherwise lines without a header may lack it.

    Raises:
        DataError: There is no readable log, or its files have different columns.
    """
    log = find_log(source)
    names = _names(log.files[0], schema, has_label)
    for file in log.files[1:]:
        found = _names(file, schema, has_label)
        if missing := [name for name in names if name not in found]:
            raise DataError(
                f"{file}: expected the columns of {log.files[0]}, got none called {missing[0]!r}"
            )
        if added := [name for name in found if name not in names]:
            raise DataError(
                f"{file}: expected the columns of {log.files[0]}, got another, {added[0]!r}"
            )
    return names


def resolved(log: Log, schema: Schema) -> Schema:
    """The schema with every column of a log, as `Schema.resolve` makes it.

    Raises:
        DataError: There is no readable log, or its columns do not fit the schema.
    """
    names = column_names(log, schema)
    try:
        return schema.resolve(names)
    except DataError as error:
        raise LayoutError(printable(f"{log}: {error}")) from None


def _names(file: LogFile, schema: Schema, has_label: bool) -> tuple[str, ...]:
    if file.kind != "text":
        return table_columns(file, schema)
    if schema.columns and has_label:
        return schema.columns
    with TextStream(file) as stream:
        line = next(_lines(file, stream, 1 << 16), b"").split(b"\n")[0]
        return (
            _without_label(line, schema)
            if schema.columns
            else _header(file, line, schema, has_label)
        )


def _header(file: LogFile, line: bytes, schema: Schema, has_label: bool) -> tuple[str, ...]:
    """Names of columns in the first line."""
    if not line.strip():
        raise DataError(f"{file}: expected a header line, got an empty file")
    try:
        text = line.decode()
        names = tuple(name.strip() for name in split_fields(text, schema))
    except UnicodeDecodeError:
        raise DataError(f"{file}: header: expected UTF-8 text, got bytes that are not") from None
    except csv.Error:
        raise DataError(
            f"{file}: header: expected quotes that close, got one that does not"
        ) from None
    if has_label and schema.label not in names:
        raise DataError(
            f"{file}: header: expected a column {schema.label!r}, got "
            f"{printable(', '.join(names))[:200]}{_header_hint(text, names, schema)}"
        )
    return names


def _header_hint(line: str, names: tuple[str, ...], schema: Schema) -> str:
    if other := other_separator(line, schema):
        return f" (separated by {SEPARATORS[other]})"
    if any(name.removeprefix("-").replace(".", "", 1).isdecimal() for name in names):
        return "; if this is the first row, name all columns in order under columns"
    return ""


def _without_label(line: bytes, schema: Schema) -> tuple[str, ...]:
    """Columns of lines without a header; one field less than the schema has is the label."""
    others = tuple(name for name in schema.columns if name != schema.label)
    try:
        return others if len(split_fields(line.decode(), schema)) == len(others) else schema.columns
    except (UnicodeDecodeError, csv.Error):
        return schema.columns  # the parser of the line reports what is wrong with it


def _read_text(
    file: LogFile, schema: Schema, chunk_bytes: int, has_label: bool
) -> Iterator[tuple[pl.DataFrame, int]]:
    columns = _names(file, schema, has_label)
    has_header = not schema.columns
    with TextStream(file) as stream:
        lines = _lines(file, stream, chunk_bytes)
        if has_header:
            lines = _below_header(lines)
        texts = _whole_rows(file, _up_to_blank_end(lines), schema)
        yield from in_order(
            lambda part: (_parse(file, part[0], part[1], schema, columns, has_label), part[2]),
            _numbered(texts, int(has_header), stream),
        )


def _numbered(
    texts: Iterator[bytes], before: int, stream: TextStream
) -> Iterator[tuple[bytes, int, int]]:
    """Texts, the lines before each, and the bytes of the file read so far."""
    for text in texts:
        yield text, before, stream.done
        before += count_bytes(text, "\n")


def _lines(file: LogFile, stream: TextStream, chunk_bytes: int) -> Iterator[bytes]:
    """Whole lines, about `chunk_bytes` at a time, each ended by a line feed."""
    rest: list[bytes] = []  # pieces of a line that has not ended
    is_first = True
    while piece := stream.read(chunk_bytes):
        cut = piece.rfind(b"\n") + 1
        if not cut:
            rest.append(piece)
            if len(rest) * chunk_bytes > LONGEST_LINE and sum(map(len, rest)) > LONGEST_LINE:
                raise DataError(
                    f"{file}: expected lines of at most {LONGEST_LINE >> 20} MiB, got a longer one"
                )
            continue
        text = b"".join([*rest, memoryview(piece)[:cut]])
        rest = [piece[cut:]] if cut < len(piece) else []
        yield _clean(file, text, is_first)
        is_first = False
    if rest:
        yield _clean(file, b"".join(rest).rstrip(b"\r") + b"\n", is_first)


def _below_header(texts: Iterator[bytes]) -> Iterator[bytes]:
    for number, text in enumerate(texts):
        below = text if number else text.partition(b"\n")[2]
        if below:
            yield below


def _up_to_blank_end(texts: Iterator[bytes]) -> Iterator[bytes]:
    """The same lines without the blank ones that many exports end with."""
    blank = b""  # blank lines that may turn out not to be the end
    for text in texts:
        if not blank and text[-2:-1] not in (b"", b"\n"):
            yield text
            continue
        text = blank + text
        kept = text.rstrip(b"\n")
        blank = text[len(kept) + 1 :] if kept else text
        if kept:
            yield kept + b"\n"


def _whole_rows(file: LogFile, texts: Iterator[bytes], schema: Schema) -> Iterator[bytes]:
    """The same lines, cut where no quote is open: a quoted field may have line feeds in it."""
    rest = b""
    for text in texts:
        text = rest + text
        end = end_of_rows(text, schema)
        if end:
            yield text[:end]
        rest = text[end:]
        if len(rest) > LONGEST_LINE:
            break
    if rest:
        yield rest  # whoever reads the lines says on which one a quote does not close


def _clean(file: LogFile, text: bytes, is_first: bool) -> bytes:
    if is_first:
        if encoding := other_encoding(text[:4]):
            raise DataError(f"{file}: expected UTF-8 text, got {encoding} text; save it as UTF-8")
        text = text.removeprefix(BYTE_ORDER_MARK.encode())
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text


def _parse(
    file: LogFile,
    text: bytes,
    before: int,
    schema: Schema,
    columns: tuple[str, ...],
    has_label: bool,
) -> pl.DataFrame:
    """Lines as a frame: parsed with types, or else as text, to find the values of another type."""
    label = schema.clicks(has_label=has_label)
    numbers = schema.numbers(has_label=has_label)
    texts = schema.texts(has_label=has_label)
    is_quoted = schema.has_quotes and b'"' in text
    quoted = Quoted(text, schema.separator) if is_quoted else None
    lines = None  # those on which rows begin, where they are not consecutive
    if quoted and quoted.is_regular:
        rows, separators = quoted.num_rows, quoted.num_separators
        if rows < text.count(b"\n"):
            lines = quoted.lines(before).tolist()
    else:
        rows, separators = count_bytes(text, "\n"), count_bytes(text, schema.separator)
    is_table = b"\0" not in text and separators == rows * (len(columns) - 1)
    types: dict[str, type[pl.DataType]] = dict.fromkeys(columns, pl.String)
    typed = types | dict.fromkeys(label, pl.Int8) | dict.fromkeys(numbers, pl.Float64)
    if schema.has_integers:
        typed |= dict.fromkeys(schema.dense, pl.Int64)
    if is_table and not is_quoted:
        frame = _read_csv(text, schema, typed, is_quoted=False)
        if frame is not None and len(frame) == rows and _is_clean(frame, schema, has_label):
            frame = frame.select(*label, pl.col(numbers).cast(pl.Float64), *texts)
            return derive(file, frame, before, schema, has_label=has_label)
    frame = None
    if is_table and (quoted is None or quoted.is_regular):
        frame = _read_csv(text, schema, types, is_quoted=is_quoted)
    if frame is None or len(frame) != rows:
        frame, lines = read_lines(file, text, before, schema, columns)
    if is_quoted:
        frame = frame.with_columns(pl.all().replace("", None))
    try:
        return convert(file, frame, before, schema, has_label=has_label, lines=lines)
    except DataError as error:
        first = text.partition(b"\n")[0].decode(errors="replace")
        if before == 0 and schema.columns and _is_header(first, schema):
            raise DataError(
                f"{error}; line 1 looks like a header: remove it, or name no columns in the schema"
            ) from None
        raise


def _is_header(line: str, schema: Schema) -> bool:
    """Whether a line has names of columns of the schema."""
    try:
        names = {name.strip() for name in split_fields(line, schema)}
    except csv.Error:
        return False
    return schema.label in names or len(names & set(schema.columns)) > 1


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


def _read_table(
    file: LogFile, schema: Schema, has_label: bool
) -> Iterator[tuple[pl.DataFrame, int]]:
    def numbered() -> Iterator[tuple[pl.DataFrame, int, int]]:
        row = 0
        for frame, done in table_frames(file, schema, has_label=has_label):
            yield frame, row, done
            row += len(frame)

    yield from in_order(
        lambda part: (convert(file, part[0], part[1], schema, has_label=has_label), part[2]),
        numbered(),
    )
