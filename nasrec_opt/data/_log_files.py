"""The files of a generated log: text, compressed text or Parquet, and its users."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nasrec_opt.data._log_layout import Draw, GeneratedRows, Layout, Users

IntArray = npt.NDArray[np.int64]
FileFormat = Literal["text", "gz", "zst", "parquet"]

GZIP_LEVEL = 1  # higher ones would be the slowest part of all
USER_LINES = 1 << 20


def file_name(layout: Layout, file_format: FileFormat) -> str:
    if file_format == "parquet":
        return f"{Path(layout.file).stem}.parquet"
    return layout.file if file_format == "text" else f"{layout.file}.{file_format}"


@contextmanager
def open_log(
    path: Path, layout: Layout, file_format: FileFormat
) -> Iterator[Callable[[Any], None]]:
    """Open the log's file; yields what appends a chunk."""
    if file_format == "parquet":
        with ExitStack() as stack:
            opened: list[pq.ParquetWriter] = []

            def write_table(table: pa.Table) -> None:
                if not opened:
                    opened.append(stack.enter_context(pq.ParquetWriter(path, table.schema)))
                opened[0].write_table(table)

            yield write_table
        return
    with path.open("wb") as stream, _compressed(stream, file_format) as target:
        if layout.has_header:
            target.write(_header(layout))
        yield target.write


def _compressed(stream: IO[bytes], file_format: FileFormat) -> Any:
    if file_format == "gz":
        return gzip.GzipFile("", "wb", GZIP_LEVEL, stream, mtime=0)
    if file_format == "zst":
        return pa.CompressedOutputStream(stream, "zstd")
    return stream


def _header(layout: Layout) -> bytes:
    none = np.arange(0)
    width = (len(layout.columns), 0)
    rows = GeneratedRows(
        none, none.astype(np.float64), np.empty((len(layout.dense), 0)),
        np.empty((len(layout.dense), 0)), np.empty(width, np.int64),
    )  # fmt: skip
    names = layout.frame(0, rows, none).columns
    return (layout.separator.join(names) + "\n").encode()


class SeenUsers:
    """Which users a log has.

    Args:
        users: Their file.
        draw: Of the log.
    """

    def __init__(self, users: Users, draw: Draw) -> None:
        self._users, self._draw = users, draw
        self._is_there = np.zeros(draw.num_values(users.column), np.bool_)

    def add(self, ranks: IntArray) -> None:
        """Add the users of rows, -1 where there is none."""
        self._is_there[ranks[ranks >= 0]] = True

    def write(self, folder: Path) -> None:
        """Write the file of all users that were added."""
        with (folder / self._users.file).open("wb") as stream:
            for first in range(0, len(self._is_there), USER_LINES):
                found = first + np.flatnonzero(self._is_there[first : first + USER_LINES])
                frame = self._users.frame(self._draw, found)
                frame.write_csv(stream, separator="\t", include_header=False)
