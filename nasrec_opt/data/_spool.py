"""Rows on their way: kept on disk, column by column, between the passes over a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import pyarrow as pa


class Spool(ExitStack):
    """Frames of the same columns, written once and read in their order; a context manager.

    The file is removed at the end. Reading maps it into memory, so that no pass copies it.

    Args:
        path: The file; it is made.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._names: list[str] = []
        self._writer: pa.RecordBatchFileWriter | None = None
        self.callback(path.unlink, missing_ok=True)

    def append(self, frame: pl.DataFrame) -> None:
        """Write a frame of one row or more."""
        numbered = frame.rechunk().clone()
        numbered.columns = [
            str(place) for place in range(frame.width)
        ]  # not every name is one of Arrow's
        table = numbered.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._names = frame.columns
            self._writer = self.enter_context(pa.ipc.new_file(str(self._path), table.schema))
        self._writer.write_table(table)

    def frames(self, first: int = 0, step: int = 1) -> Iterator[pl.DataFrame]:
        """The frames, or each `step`th of them; nothing can be written from then on."""
        if self._writer is None:
            return
        self._writer.close()
        with pa.memory_map(str(self._path)) as source:
            reader = pa.ipc.open_file(source)
            for number in range(first, reader.num_record_batches, step):
                frame = pl.from_arrow(reader.get_batch(number), rechunk=False)
                assert isinstance(frame, pl.DataFrame)
                frame.columns = self._names
                yield frame
