"""The passes of a preparation: text becomes codes, codes are counted, ids are written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._arrays import ArrayFile
from nasrec_opt.data._codes import Book, CodedIds
from nasrec_opt.data._dataset import ARRAYS, VERSION, WEIGHTS
from nasrec_opt.data._derived import TIME, USER, WEIGHT
from nasrec_opt.data._encoding import Encoder, bin_integers, stacked_numbers
from nasrec_opt.data._in_order import in_order
from nasrec_opt.data._preprocessor import sparse_names, write_vocabularies
from nasrec_opt.data._profiles import Profiles
from nasrec_opt.data._schema import PROFILE, Schema
from nasrec_opt.data._shows import rows_of_lines
from nasrec_opt.data._sources import Log
from nasrec_opt.data._split import GROUP, SPLITS, RandomSplit, Splitter, TimeCounter, TimeSplit
from nasrec_opt.data._spool import Spool
from nasrec_opt.data._statistics import StatisticsCounter
from nasrec_opt.data._vocabulary import Counter, counted
from nasrec_opt.errors import DataError

logger = logging.getLogger(__name__)

LEAST_IDS = 50  # training rows from which a column of distinct values is taken for row numbers

Progress = Callable[[int, int | None], None]
SplitRows = tuple[pl.DataFrame, npt.NDArray[np.int8]]  # rows, and the split of each


class Rows:
    """The rows of a log, read once: categories are codes from here on."""

    def __init__(self, schema: Schema, spool: Spool, profiles: Profiles | None, book: Book) -> None:
        self.book = book
        self.num_lines = 0
        self._schema = schema
        self._spool = spool
        self._profiles = profiles
        self._fixed = [name for name in schema.text_features if name in schema.sizes]
        self._times = TimeCounter()

    def add(self, frame: pl.DataFrame) -> None:
        if self._profiles is not None:
            users = frame[USER]
            frame = frame.drop(USER).with_columns(self._profiles.columns(users))
        if self._schema.time:
            self._times.add(frame[TIME].to_numpy())
        numbered = frame.with_columns(pl.col(self._fixed).cast(pl.Int32))
        self._spool.append(self.book.encode(numbered))
        self.num_lines += len(frame)

    def splitter(self, log: Log, seed: int) -> Splitter:
        """How rows are split, known after the last one."""
        if not self._schema.time:
            return RandomSplit(seed)
        where = f"{log}: field {self._schema.time}"
        return TimeSplit(seed, self._schema.time, self._times.cuts(where))

    def split(self, splitter: Splitter, progress: Progress | None) -> Iterator[SplitRows]:
        """Rows with all columns, and the split of each."""
        line = 0
        for frame in self._spool.frames():
            times = frame[TIME].to_numpy() if self._schema.time else None
            split = splitter.split(line, len(frame), times)
            line += len(frame)
            yield rows_of_lines(frame, split, self._schema)
            if progress:
                progress(line, self.num_lines)


def coded_columns(schema: Schema) -> list[str]:
    """Categories that have a vocabulary of their values."""
    joined = PROFILE if schema.users else ()
    return [name for name in (*schema.text_features, *joined) if name not in schema.sizes]


class Survey:
    """First pass: rows and clicks by split, counts and statistics of the training rows."""

    def __init__(self, schema: Schema, book: Book) -> None:
        self.schema = schema
        self.book = book
        self.rows = np.zeros(3, np.int64)
        self.clicks = np.zeros(3, np.int64)
        self.weights = np.zeros(2)  # of rows without and with a click
        self.split_weights = np.zeros(3)
        self.statistics = StatisticsCounter(schema)
        self.bins = [Counter() for _ in schema.dense_features]

    def add(self, rows: Iterable[SplitRows]) -> None:
        """Learn from all rows."""
        for train, bins in in_order(self._training, map(self._counted, rows)):
            self.book.count(train)
            self.statistics.add(train)
            for counter, found in zip(self.bins, bins, strict=True):
                counter.merge(found)

    def _counted(self, rows: SplitRows) -> SplitRows:
        frame, split = rows
        labels = frame[self.schema.label].to_numpy()
        self.rows += np.bincount(split, minlength=3)
        self.clicks += np.bincount(split, weights=labels, minlength=3).astype(np.int64)
        weights = frame[WEIGHT].to_numpy() if self.schema.is_weighted else None
        self.weights += np.bincount(labels, weights=weights, minlength=2)
        self.split_weights += np.bincount(split, weights=weights, minlength=3)
        return rows

    def _training(self, rows: SplitRows) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
        """Training rows, and the counts of the bins of each dense feature."""
        frame, split = rows
        train = frame.filter(pl.Series(split == 0))
        return train, [counted(bin_integers(train[n])) for n in self.schema.dense_features]

    def warn_of_columns(self, log: Log) -> None:
        """Log a warning for each useless categorical column that the schema does not name."""
        rows = int(self.rows[0])
        for name, count in self.book.num_values().items():
            if not count:
                found = f"no value in {rows:,} training rows"
            elif count == rows >= LEAST_IDS:
                found = f"a different value in each of {rows:,} training rows, as a row number has"
            else:
                continue
            logger.warning(
                "%s: column %r has %s and is read as a category; add it to dropped, or name all "
                "categorical columns under sparse",
                log,
                name,
                found,
            )

    def check(self, log: Log, num_lines: int) -> None:
        """Refuse a log from which nothing can be learned.

        Raises:
            DataError: There are too few rows, one class only, or a split without any weight.
        """
        if num_lines < GROUP:  # fewer might leave a split without rows
            raise DataError(f"{log}: expected at least {GROUP} rows, got {num_lines}")
        if not self.weights.all():
            found, rows = int(self.weights[0] == 0), int(self.rows.sum())
            raise DataError(
                f"{log}: expected both classes in the label, got only {found} in {rows:,} rows"
            )
        for name, count, weight in zip(SPLITS, self.rows, self.split_weights, strict=True):
            if count and not weight:
                where = f"{log}: field {self.schema.weight}"
                raise DataError(f"{where}: expected weights above 0 in the {name} rows, got only 0")


class Writer(ExitStack):
    """Second pass: arrays of each split, vocabularies, and the description."""

    def __init__(
        self, folder: Path, survey: Survey, *, min_count: int, max_values: int | None
    ) -> None:
        super().__init__()
        self._folder = folder
        self._schema = schema = survey.schema
        self._survey = survey
        self._statistics = survey.statistics.finish()
        self._ids = CodedIds(
            schema,
            self._statistics,
            survey.book,
            survey.bins,
            min_count=min_count,
            max_values=max_values,
        )
        self._vocabularies = self._ids.vocabularies
        self._encoder = Encoder(schema, self._statistics, ())
        widths = {
            "dense": len(schema.dense_features),
            "sparse": len(self._vocabularies),
            "labels": None,
        }
        types = dict(ARRAYS)
        if schema.is_weighted:
            widths[WEIGHTS], types[WEIGHTS] = None, np.float32
        self._arrays: list[dict[str, ArrayFile]] = []
        for name, rows in zip(SPLITS, survey.rows.tolist(), strict=True):
            (folder / name).mkdir()
            files = {}
            for array, width in widths.items():
                shape = (rows,) if width is None else (rows, width)
                file = ArrayFile(folder / name / f"{array}.npy", types[array], shape)
                files[array] = self.enter_context(file)
            self._arrays.append(files)

    def add(self, rows: Iterable[SplitRows]) -> None:
        """Write all rows."""
        for parts in in_order(self._encoded, rows):
            for arrays, values in zip(self._arrays, parts, strict=True):
                for name, array in arrays.items():
                    array.append(values[name])

    def _encoded(self, rows: SplitRows) -> list[dict[str, npt.NDArray[Any]]]:
        """The arrays of each split."""
        frame, split = rows
        schema = self._schema
        values = {
            "dense": self._encoder.dense(stacked_numbers(frame, schema)),
            "sparse": self._ids.encode(frame),
            "labels": frame[schema.label].to_numpy(),
        }
        if schema.is_weighted:
            values[WEIGHTS] = frame[WEIGHT].to_numpy()
        chosen = [np.flatnonzero(split == i) for i in range(len(SPLITS))]
        return [{name: array[rows] for name, array in values.items()} for rows in chosen]

    def finish(self) -> dict[str, Any]:
        """Write the remaining rows; returns the description."""
        survey, vocabularies, schema = self._survey, self._vocabularies, self._schema
        write_vocabularies(vocabularies, self._folder)
        counts = np.concatenate([v.counts for v in vocabularies])
        with ArrayFile(self._folder / "counts.npy", np.int64, counts.shape) as file:
            file.append(counts)
        checksums = {
            f"{name}/{array}.npy": opened.finish()
            for name, arrays in zip(SPLITS, self._arrays, strict=True)
            for array, opened in arrays.items()
        }
        fixed = list(schema.fixed_features)
        return {
            "version": VERSION,
            "schema": schema.to_dict(),
            "rows": dict(zip(SPLITS, survey.rows.tolist(), strict=True)),
            "clicks": dict(zip(SPLITS, survey.clicks.tolist(), strict=True)),
            "click_rate": round(float(survey.weights[1] / survey.weights.sum()), 6),
            "num_dense": len(schema.dense_features),
            "num_sparse": len(schema.sparse_features),
            "dense_columns": list(schema.dense_features),
            "sparse_columns": list(sparse_names(schema)),
            "cardinalities": [v.cardinality for v in vocabularies],
            **self._statistics.to_dict(),
            **({"fixed_columns": fixed} if fixed else {}),
            **({"is_weighted": True} if schema.is_weighted else {}),
            "checksums": checksums | {"counts.npy": file.finish()},
        }
