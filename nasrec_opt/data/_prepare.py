"""From a click log to a dataset: it is read once, and its rows are kept as numbers until it ends.

Only then are the ids of categories and the split by time known. Two passes over these numbers
follow: one learns vocabularies and statistics from the training rows alone, one writes. Memory
holds a chunk and the values of the categories, never the whole log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt._files import atomic_directory, write_json
from nasrec_opt.data._arrays import ArrayFile
from nasrec_opt.data._codes import CodeBook, CodedIds
from nasrec_opt.data._dataset import ARRAYS, META, VERSION, WEIGHTS, Dataset
from nasrec_opt.data._derived import TIME, USER, WEIGHT
from nasrec_opt.data._encoding import Encoder, bin_integers, stacked_numbers
from nasrec_opt.data._formats import find_schema
from nasrec_opt.data._lines import LayoutError
from nasrec_opt.data._output import MADE_OF, made_of, making, unchanged
from nasrec_opt.data._preprocessor import sparse_names, write_vocabularies
from nasrec_opt.data._profiles import Profiles
from nasrec_opt.data._reading import CHUNK_BYTES, read_chunks, resolved
from nasrec_opt.data._schema import PROFILE, Count, Schema
from nasrec_opt.data._shows import rows_of_lines
from nasrec_opt.data._sources import Log, find_log
from nasrec_opt.data._split import GROUP, SPLITS, RandomSplit, Splitter, TimeCounter, TimeSplit
from nasrec_opt.data._spool import Spool
from nasrec_opt.data._statistics import StatisticsCounter
from nasrec_opt.data._vocabulary import Counter
from nasrec_opt.errors import DataError
from nasrec_opt.options import Layout

logger = logging.getLogger(__name__)

ROWS = ".rows"  # rows between the passes
SHARES = (0, 500, 700, 1000)  # thousandths of the time that reading, learning and writing begin at
OTHER_TABLES = (
    "; for other tables name a schema: [data] format or --format "
    "(nasrec-opt schema FILE writes one)"
)
LEAST_IDS = 50  # training rows from which a column of distinct values is taken for row numbers

Progress = Callable[[int, int | None], None]


def prepare(
    source: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    format: Path | str | Schema = "criteo",  # noqa: A002 - as on the command line
    layout: Layout = "default",
    count: Count | None = None,
    seed: int = 0,
    min_count: int | None = None,
    users: Path | str | None = None,
    progress: Progress | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    annotate: Callable[[Path], dict[str, Any]] | None = None,
) -> Dataset:
    """Prepare a click log once; a folder that is made of the same already stays as it is.

    Dense values become log(x + c), where c is 1, or 1 minus the smallest training value if that is
    negative. Missing values become 0. Categories become ids by descending count in the training
    rows.

    Args:
        source: The log: a file, a folder of files, a pattern such as `day_*.csv`, a file in a .zip
            archive as `archive.zip/day_0.csv`, or a list of these, read in order of their names.
            Text may be plain, .gz, .bz2, .xz, .zst, .lz4 or .zip; tables are Parquet or Arrow.
        out: Folder of the dataset; it appears only when it is complete.
        format: `criteo`, `avazu`, `kdd2012`, a schema, or the path of a schema TOML.
        layout: Columns of a public log: ours, or those of the paper's code (`published`).
        count: What becomes of a line of KDD Cup 2012: a row (`line`), a row for each show
            (`impression`), or rows with weights (`weight`); None means a row.
        seed: Seed of the 80/10/10 split.
        min_count: Rarer values are dropped from the vocabularies for good; None means the schema's
            threshold (public logs: 1). A higher one can be set each time the dataset is opened.
        users: File of user profiles, for a schema whose `users` names the column of user ids:
            tab-separated user, gender and age, without a header.
        progress: Called with (done, total), in arbitrary units.
        chunk_bytes: Text read at a time; it changes nothing in the result.
        annotate: Called with the folder before it appears; its result is added to the description.

    Returns:
        The dataset, opened.

    Raises:
        DataError: Something is wrong with the log, a schema or an option; the message names file,
            row and field, what was expected and what was found.

    References:
        AutoCTR-style preprocessing; statistics are those of the training rows alone.
    """
    log, out = find_log(source), Path(out)
    given = find_schema(format, layout=layout, count=count, has_users=users is not None)
    with _hinted(format):
        schema = resolved(log, given)
    least = schema.min_count if min_count is None else min_count
    if least < 1:
        raise DataError(f"min_count: expected 1 or more, got {least}")
    if seed < 0:
        raise DataError(f"seed: expected 0 or more, got {seed}")
    if bool(schema.users) != (users is not None):
        expected = "a file of user profiles" if schema.users else "none"
        got = "none" if schema.users else str(users)
        raise DataError(f"users: expected {expected} with this schema, got {got}")
    _check_out(out)

    profiles = Profiles.read(users) if users is not None else None
    joined = find_log(users).stamp() if users is not None else None
    identity = made_of(log, schema=schema.to_dict(), seed=seed, min_count=least, users=joined)
    with making(out):
        dataset = unchanged(out, identity)
        if dataset is not None:
            logger.info("%s: made of the same before, nothing to do", out)
            return dataset
        with _room_for(out), atomic_directory(out) as folder:
            with Spool(folder / ROWS) as spool:
                rows = _Rows(schema, spool, profiles)
                part = _part(progress, 0)
                with _hinted(format):
                    for frame in read_chunks(log, schema, chunk_bytes=chunk_bytes, progress=part):
                        rows.add(frame)
                splitter = rows.splitter(log, seed)
                survey = _Survey(schema, rows.book)
                for frame, split in rows.split(splitter, _part(progress, 1)):
                    survey.add(frame, split)
                if not given.sparse:
                    survey.warn_of_columns(log)
                survey.check(log, rows.num_lines)
                with _Writer(folder, survey, least) as writer:
                    for frame, split in rows.split(splitter, _part(progress, 2)):
                        writer.add(frame, split)
                    meta = writer.finish() | splitter.to_dict()
            if profiles is not None:
                profiles.save(folder)
            meta |= {"source": Path(log.name).name, "min_count": least, MADE_OF: identity}
            write_json(folder / META, meta | (annotate(folder) if annotate else {}))
        return Dataset.open(out)


@contextmanager
def _hinted(format: Path | str | Schema) -> Iterator[None]:  # noqa: A002
    """Say how other tables are read where one does not have the layout that its format names."""
    try:
        yield
    except LayoutError as error:
        if isinstance(format, Schema) or Path(format).suffix == ".toml":
            raise
        raise DataError(f"{error}{OTHER_TABLES}") from None


@contextmanager
def _room_for(out: Path) -> Iterator[None]:
    """Name the folder where its files cannot be written, such as on a full disk."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise DataError(f"{out}: expected room for the dataset, got: {reason}") from error


def _check_out(out: Path) -> None:
    """Refuse to replace anything but a dataset."""
    above = next((folder for folder in out.parents if folder.exists()), out)
    if not above.is_dir():
        raise DataError(f"{out}: expected a path below a folder, found the file {above}")
    if out.exists() and not (out / META).exists() and not (out.is_dir() and _is_empty(out)):
        raise DataError(f"{out}: expected a new folder or a dataset, found something else")


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None


class _Rows:
    """The rows of a log, read once: categories are codes from here on."""

    def __init__(self, schema: Schema, spool: Spool, profiles: Profiles | None) -> None:
        joined = PROFILE if profiles is not None else ()
        texts = (*schema.text_features, *joined)
        self.book = CodeBook([name for name in texts if name not in schema.sizes])
        self.num_lines = 0
        self._schema = schema
        self._spool = spool
        self._profiles = profiles
        self._fixed = [name for name in texts if name in schema.sizes]
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

    def split(
        self, splitter: Splitter, progress: Progress | None
    ) -> Iterator[tuple[pl.DataFrame, npt.NDArray[np.int8]]]:
        """Rows with all columns, and the split of each."""
        line = 0
        for frame in self._spool.frames():
            times = frame[TIME].to_numpy() if self._schema.time else None
            split = splitter.split(line, len(frame), times)
            line += len(frame)
            yield rows_of_lines(frame, split, self._schema)
            if progress:
                progress(line, self.num_lines)


class _Survey:
    """First pass: rows and clicks by split, counts and statistics of the training rows."""

    def __init__(self, schema: Schema, book: CodeBook) -> None:
        self.schema = schema
        self.book = book
        self.rows = np.zeros(3, np.int64)
        self.clicks = np.zeros(3, np.int64)
        self.weights = np.zeros(2)  # of rows without and with a click
        self.statistics = StatisticsCounter(schema)
        self.bins = [Counter() for _ in schema.dense_features]

    def add(self, frame: pl.DataFrame, split: npt.NDArray[np.int8]) -> None:
        labels = frame[self.schema.label].to_numpy()
        self.rows += np.bincount(split, minlength=3)
        self.clicks += np.bincount(split, weights=labels, minlength=3).astype(np.int64)
        weights = frame[WEIGHT].to_numpy() if self.schema.is_weighted else None
        self.weights += np.bincount(labels, weights=weights, minlength=2)
        train = frame.filter(pl.Series(split == 0))
        self.book.count(train)
        self.statistics.add(train)
        for counter, name in zip(self.bins, self.schema.dense_features, strict=True):
            counter.add(bin_integers(train[name]))

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
            DataError: There are too few rows, or one class only.
        """
        if num_lines < GROUP:  # fewer might leave a split without rows
            raise DataError(f"{log}: expected at least {GROUP} rows, got {num_lines}")
        if not self.weights.all():
            found, rows = int(self.weights[0] == 0), int(self.rows.sum())
            raise DataError(
                f"{log}: expected both classes in the label, got only {found} in {rows:,} rows"
            )


class _Writer(ExitStack):
    """Second pass: arrays of each split, vocabularies, and the description."""

    def __init__(self, folder: Path, survey: _Survey, min_count: int) -> None:
        super().__init__()
        self._folder = folder
        self._schema = schema = survey.schema
        self._survey = survey
        self._statistics = survey.statistics.finish()
        self._ids = CodedIds(schema, self._statistics, survey.book, survey.bins, min_count)
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

    def add(self, frame: pl.DataFrame, split: npt.NDArray[np.int8]) -> None:
        schema = self._schema
        values = {
            "dense": self._encoder.dense(stacked_numbers(frame, schema)),
            "sparse": self._ids.encode(frame),
            "labels": frame[schema.label].to_numpy(),
        }
        if schema.is_weighted:
            values[WEIGHTS] = frame[WEIGHT].to_numpy()
        for i, arrays in enumerate(self._arrays):
            chosen = np.flatnonzero(split == i)
            for name, array in arrays.items():
                array.append(values[name][chosen])

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
        fixed = [
            n for n in schema.sparse_features if n in {*schema.sizes, *schema.quantile_features}
        ]
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


def _part(progress: Progress | None, part: int) -> Progress | None:
    """Progress of reading, learning or writing as progress of all, in thousandths."""
    if progress is None:
        return None
    first, last = SHARES[part : part + 2]
    return lambda done, total: progress(
        first + (last - first) * done // max(total or 1, 1), SHARES[-1]
    )
