"""Results that survive a kill: a Parquet file that gains a row with every finished task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from nasrec_opt._files import atomic_write
from nasrec_opt.errors import StudyError


class Ledger:
    """A table of results, a row for each task.

    Args:
        path: The Parquet file; read where it exists, replaced as a whole with every new row.
        keys: Columns that name a task.
        later: Columns that an older file lacks, and what its rows count as there.
        is_done: Whether a row is the last word on its task; the task of any other is still missing,
            and its next row replaces this one. None = every row is.

    Raises:
        StudyError: The file is no table with these columns.
    """

    def __init__(
        self,
        path: Path,
        keys: Sequence[str],
        *,
        later: Mapping[str, Any] | None = None,
        is_done: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> None:
        self._path = path
        self._is_done = is_done or (lambda row: True)
        self._keys = tuple(keys)
        self._rows: list[dict[str, Any]] = []
        if path.exists():
            try:
                frame = pl.read_parquet(path)
                missing = {k: v for k, v in (later or {}).items() if k not in frame.columns}
                frame = frame.with_columns(**{k: pl.lit(v) for k, v in missing.items()})
                self._rows = frame.select(*self._keys, pl.exclude(self._keys)).to_dicts()
            except (OSError, pl.exceptions.PolarsError) as error:
                reason = str(error).splitlines()[0]
                raise StudyError(
                    f"{path}: expected results of this study, got: {reason}; remove it to begin "
                    "anew"
                ) from error
        self._done = {self._key(row) for row in self._rows if self._is_done(row)}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All results so far, in the order they came."""
        return list(self._rows)

    def missing(self, tasks: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The tasks without a result."""
        return [task for task in tasks if self._key(task) not in self._done]

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a result down; it holds the task's columns."""
        key = self._key(row)
        self._rows = [
            known for known in self._rows if self._is_done(known) or self._key(known) != key
        ]
        self._rows.append(dict(row))
        if self._is_done(row):
            self._done.add(key)
        frame = pl.DataFrame(self._rows, infer_schema_length=None)
        with atomic_write(self._path, "wb") as stream:
            frame.write_parquet(stream)

    def _key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[key] for key in self._keys)
