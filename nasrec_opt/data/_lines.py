"""Lines of text as rows, one at a time: slow, but with clear errors.

Text is parsed by polars, many lines at a time. This is for what does not parse, and for quotes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._schema import Schema
from nasrec_opt.data._sources import LogFile
from nasrec_opt.errors import DataError

SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}
QUOTE, LINE_FEED = ord('"'), ord("\n")
COUNTED_BYTES = 1 << 18  # at a time, so that they stay in a processor's cache


class LayoutError(DataError):
    """A log is laid out in another way than its schema says."""


class Quoted:
    """Quoted text in which each quote is at the edge of its field, or doubled.

    So each quote opens or closes, in turn, and no parser is needed to find the ends of rows.

    Args:
        text: Whole lines.
        separator: What is between fields.
    """

    def __init__(self, text: bytes, separator: str) -> None:
        data = np.frombuffer(b"\n" + text, np.uint8)
        is_quote = data == QUOTE
        quotes = np.flatnonzero(is_quote)
        edges = (QUOTE, LINE_FEED, ord(separator))
        self.is_regular = bool(
            np.isin(data[quotes[::2] - 1], edges).all()
            and np.isin(data[quotes[1::2] + 1], edges).all()
        )
        is_outside = (np.cumsum(is_quote, dtype=np.uint8) & 1) == 0
        self._line_ends = np.flatnonzero(data == LINE_FEED)
        self._is_row_end = is_outside[self._line_ends]
        self.num_rows = int(self._is_row_end.sum()) - 1
        self.num_separators = int((is_outside & (data == ord(separator))).sum())

    @property
    def end(self) -> int:
        """Bytes up to the end of the last row that ends."""
        return int(self._line_ends[self._is_row_end][-1])

    def lines(self, before: int) -> npt.NDArray[np.int64]:
        """The line on which each row begins.

        Args:
            before: Lines before the text.

        Returns:
            `[num_rows]`.
        """
        return np.flatnonzero(self._is_row_end)[:-1] + before + 1


def count_bytes(text: bytes, byte: str) -> int:
    """How often a byte occurs; `bytes.count` is slow where there are many."""
    data = np.frombuffer(text, np.uint8)
    starts = range(0, len(data), COUNTED_BYTES)
    return sum(
        int(np.count_nonzero(data[start : start + COUNTED_BYTES] == ord(byte))) for start in starts
    )


def end_of_rows(text: bytes, schema: Schema) -> int:
    """Bytes up to the end of the last row that ends: lines may end inside quotes.

    Args:
        text: Whole lines.
        schema: How they are separated.
    """
    if not schema.has_quotes or b'"' not in text:
        return len(text)
    quoted = Quoted(text, schema.separator)
    if quoted.is_regular:
        return quoted.end
    # Only separators and quotes matter here, so each byte may be a character.
    lines = io.StringIO(text.decode("latin-1"), newline="\n").readlines()
    reader = csv.reader(lines, delimiter=schema.separator, strict=True)
    ended = 0
    try:
        for _ in reader:
            ended = reader.line_num
    except csv.Error:
        if reader.line_num < len(lines):
            return len(text)  # what is wrong is reported by the one who reads the lines
    return sum(map(len, lines[:ended]))


def read_lines(
    source: LogFile, text: bytes, before: int, schema: Schema, columns: tuple[str, ...]
) -> tuple[pl.DataFrame, list[int]]:
    """Read lines one at a time as columns of text.

    Args:
        source: The file.
        text: Whole lines of it, each with its end.
        before: Lines before them.
        schema: How lines are separated.
        columns: Names of the fields of a line.

    Returns:
        The rows, and the line on which each begins.

    Raises:
        DataError: A line is not a row of `columns`; the first such line is named.
    """
    table, begins = [], []
    for number, fields, line in _rows(source, text, before, schema):
        if len(fields) != len(columns):
            expected = f"{len(columns)} columns separated by {separator_name(schema.separator)}"
            found = _found(fields, line, schema)
            error = LayoutError if number == 1 else DataError
            raise error(f"{source}:{number}: expected {expected}, got {found}")
        table.append([field or None for field in fields])
        begins.append(number)
    return pl.DataFrame(table, dict.fromkeys(columns, pl.String), orient="row"), begins


def separator_name(separator: str) -> str:
    """`tab` for a tab, and so on."""
    return SEPARATORS.get(separator, repr(separator))


def other_separator(line: str, schema: Schema) -> str:
    """The separator that a line has if it has none of the schema's; else the empty string."""
    if schema.separator in line:
        return ""
    return max(SEPARATORS, key=line.count) if any(mark in line for mark in SEPARATORS) else ""


def split_fields(line: str, schema: Schema) -> list[str]:
    """Fields of a line, without the quotes around them.

    Raises:
        csv.Error: A quote does not close where its field ends.
    """
    return _fields(line, iter(()), schema)


def _fields(line: str, following: Iterator[str], schema: Schema) -> list[str]:
    """Fields of a line, and of those that follow where a quote is open at its end."""
    if not schema.has_quotes or '"' not in line:
        return line.split(schema.separator)
    lines = chain([f"{line}\n"], (f"{other}\n" for other in following))
    return next(csv.reader(lines, delimiter=schema.separator, strict=True))


def _rows(
    source: LogFile, text: bytes, before: int, schema: Schema
) -> Iterator[tuple[int, list[str], str]]:
    """The first line of each row, its fields, and its text."""
    number = before

    def decoded() -> Iterator[str]:
        nonlocal number
        for line in text.split(b"\n")[:-1]:
            number += 1
            where = f"{source}:{number}"
            if b"\0" in line:
                raise DataError(f"{where}: expected text, got a NUL byte")
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                at = f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
                raise DataError(f"{where}: expected UTF-8 text, got {at}") from None

    lines = decoded()
    for line in lines:
        first = number
        try:
            fields = _fields(line, lines, schema)
        except csv.Error as error:
            raise DataError(f"{source}:{first}: expected {_explained(error, line)}") from None
        yield first, fields, line


def _explained(error: csv.Error, line: str) -> str:
    if "field larger" in str(error):
        return f"fields of at most {csv.field_size_limit():,} characters, got a longer one"
    if "unexpected end" in str(error):
        return "quotes that close, got one that does not"
    if "\r" in line:
        return "lines that end in a line feed, got a carriage return in one"
    return "quotes that close at the end of their field, got others"


def _found(fields: list[str], line: str, schema: Schema) -> str:
    if not line:
        return "an empty line"
    other = other_separator(line, schema)
    if other:
        return f"{line.count(other) + 1} separated by {SEPARATORS[other]}"
    return f"{len(fields)}{', with a carriage return among them' if chr(13) in line else ''}"
