"""From a click log to a dataset, in two passes: the first counts, the second writes.

Vocabularies and shifts of the dense columns are learned from the training rows alone. Memory holds
a chunk and the vocabularies, never the whole log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt._files import atomic_directory, write_json
from nasrec_opt.data._arrays import ArrayFile
from nasrec_opt.data._dataset import ARRAYS, META, VERSION, WEIGHTS, Dataset
from nasrec_opt.data._derived import TIME, USER, WEIGHT
from nasrec_opt.data._encoding import Encoder, categories, stacked_numbers, stacked_texts
from nasrec_opt.data._output import MADE_OF, made_of, making, unchanged
from nasrec_opt.data._preprocessor import sparse_names, write_vocabularies
from nasrec_opt.data._profiles import Profiles
from nasrec_opt.data._reading import CHUNK_BYTES, read_chunks, resolved
from nasrec_opt.data._schema import Schema
from nasrec_opt.data._shows import rows_of_lines
from nasrec_opt.data._sources import Log, find_log
from nasrec_opt.data._split import GROUP, SPLITS, RandomSplit, Splitter, TimeCounter, TimeSplit
from nasrec_opt.data._statistics import Statistics, StatisticsCounter
from nasrec_opt.data._vocabulary import Counter, FixedIds, Vocabulary
from nasrec_opt.errors import DataError

logger = logging.getLogger(__name__)

LEAST_IDS = 50  # training rows from which a column of distinct values is taken for row numbers

Progress = Callable[[int, int | None], None]


def prepare(
    source: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    format: Literal["criteo"] | Path | str | Schema = "criteo",  # noqa: A002 - as on the command line
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
        format: `criteo`, a schema, or the path of a schema TOML.
        seed: Seed of the 80/10/10 split.
        min_count: Rarer values are dropped from the vocabularies for good; None means the schema's
            threshold (Criteo: 1). A higher one can be set each time the dataset is opened.
        users: File of user profiles, for a schema whose `users` names the column of user ids:
            tab-separated user, gender and age, without a header.
        progress: Called with (bytes done, bytes of all passes).
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
    given = _schema(format)
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

        def chunks(done: int) -> Iterator[pl.DataFrame]:
            part = _part(progress, done, passes)
            return read_chunks(log, schema, chunk_bytes=chunk_bytes, progress=part)

        passes = 3 if schema.time else 2
        splitter: Splitter = RandomSplit(seed)
        if schema.time:
            splitter = _time_split(log, schema, seed, chunks(0))
        survey = _Survey(schema, _Splitting(schema, splitter, profiles))
        for frame in chunks(passes - 2):
            survey.add(frame)
        if not given.sparse:
            survey.warn_of_columns(log)
        learned = survey.finish(log, least)
        with (
            _room_for(out),
            atomic_directory(out) as folder,
            _Writer(folder, survey, *learned) as writer,
        ):
            for frame in chunks(passes - 1):
                writer.add(frame)
            if writer.num_lines != survey.num_lines:
                raise DataError(
                    f"{log}: expected {survey.num_lines:,} rows again in the second pass, got "
                    f"{writer.num_lines:,}: the file changed meanwhile"
                )
            if profiles is not None:
                profiles.save(folder)
            meta = writer.finish() | {"source": Path(log.name).name, "min_count": least}
            meta[MADE_OF] = identity
            write_json(folder / META, meta | (annotate(folder) if annotate else {}))
        return Dataset.open(out)


@contextmanager
def _room_for(out: Path) -> Iterator[None]:
    """Name the folder where its files cannot be written, such as on a full disk."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise DataError(f"{out}: expected room for the dataset, got: {reason}") from error


def _schema(format: Path | str | Schema) -> Schema:  # noqa: A002
    if isinstance(format, Schema):
        return format
    return Schema.criteo() if str(format) == "criteo" else Schema.from_toml(format)


def _check_out(out: Path) -> None:
    """Refuse to replace anything but a dataset."""
    above = next((folder for folder in out.parents if folder.exists()), out)
    if not above.is_dir():
        raise DataError(f"{out}: expected a path below a folder, found the file {above}")
    if out.exists() and not (out / META).exists() and not (out.is_dir() and _is_empty(out)):
        raise DataError(f"{out}: expected a new folder or a dataset, found something else")


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None


def _time_split(log: Log, schema: Schema, seed: int, frames: Iterator[pl.DataFrame]) -> TimeSplit:
    """Read the times of all rows, to split by them."""
    counter = TimeCounter()
    for frame in frames:
        counter.add(frame[TIME].to_numpy())
    return TimeSplit(seed, schema.time, counter.cuts(f"{log}: field {schema.time}"))


class _Splitting:
    """From lines to the rows of the splits: the same in both passes."""

    def __init__(self, schema: Schema, splitter: Splitter, profiles: Profiles | None) -> None:
        self._schema = schema
        self._splitter = splitter
        self._profiles = profiles
        self.to_dict = splitter.to_dict

    def rows(
        self, frame: pl.DataFrame, first_line: int
    ) -> tuple[pl.DataFrame, npt.NDArray[np.int8]]:
        """Rows of some lines with all columns, and the split of each.

        Args:
            frame: Lines as they are read.
            first_line: Number of the first one, from 0.
        """
        times = frame[TIME].to_numpy() if self._schema.time else None
        split = self._splitter.split(first_line, len(frame), times)
        if self._profiles is not None:
            frame = frame.with_columns(self._profiles.columns(frame[USER]))
        return rows_of_lines(frame, split, self._schema)


class _Survey:
    """First pass: rows and clicks by split, vocabularies and statistics of the training rows."""

    def __init__(self, schema: Schema, splitting: _Splitting) -> None:
        self.schema = schema
        self.splitting = splitting
        self.rows = np.zeros(3, np.int64)
        self.clicks = np.zeros(3, np.int64)
        self.weights = np.zeros(2)  # of rows without and with a click
        self.statistics = StatisticsCounter(schema)
        fixed = {*schema.sizes, *schema.quantile_features}
        self._counted = [name for name in schema.sparse_features if name not in fixed]
        self._counters = [Counter() for _ in (*self._counted, *schema.dense_features)]
        self.num_lines = 0

    def add(self, frame: pl.DataFrame) -> None:
        num_lines = len(frame)
        frame, split = self.splitting.rows(frame, self.num_lines)
        self.num_lines += num_lines
        labels = frame[self.schema.label].to_numpy()
        self.rows += np.bincount(split, minlength=3)
        self.clicks += np.bincount(split, weights=labels, minlength=3).astype(np.int64)
        weights = frame[WEIGHT].to_numpy() if self.schema.is_weighted else None
        self.weights += np.bincount(labels, weights=weights, minlength=2)
        train = frame.filter(pl.Series(split == 0))
        self.statistics.add(train)
        for counter, values in zip(self._counters, categories(train, self.schema), strict=True):
            counter.add(values)

    def warn_of_columns(self, log: Log) -> None:
        """Log a warning for each useless categorical column that the schema does not name."""
        rows = int(self.rows[0])
        for name, counter in zip(self._counted, self._counters, strict=False):
            if not counter.num_values:
                found = f"no value in {rows:,} training rows"
            elif counter.num_values == rows >= LEAST_IDS:
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

    def finish(self, log: Log, min_count: int) -> tuple[Statistics, list[Vocabulary | FixedIds]]:
        """Statistics, and the vocabulary of each sparse feature and of each binned dense one."""
        rows = int(self.rows.sum())
        if self.num_lines < GROUP:  # fewer might leave a split without rows
            raise DataError(f"{log}: expected at least {GROUP} rows, got {self.num_lines}")
        if not self.weights.all():
            found = int(self.weights[0] == 0)
            raise DataError(
                f"{log}: expected both classes in the label, got only {found} in {rows:,} rows"
            )
        statistics, sizes = self.statistics.finish(), self.schema.sizes
        bins = dict(zip(self.schema.quantile_features, statistics.edges, strict=True))
        counted = (counter.finish(min_count) for counter in self._counters)
        vocabularies: list[Vocabulary | FixedIds] = []
        for name in self.schema.sparse_features:
            if name in bins:
                vocabularies.append(FixedIds(len(bins[name]) + 1))
            else:
                vocabularies.append(FixedIds(sizes[name]) if name in sizes else next(counted))
        return statistics, [*vocabularies, *counted]


class _Writer(ExitStack):
    """Second pass: arrays of each split, vocabularies, and the description."""

    def __init__(
        self,
        folder: Path,
        survey: _Survey,
        statistics: Statistics,
        vocabularies: list[Vocabulary | FixedIds],
    ) -> None:
        super().__init__()
        self.num_lines = 0
        self._folder = folder
        self._schema = schema = survey.schema
        self._survey = survey
        self._statistics = statistics
        self._vocabularies = vocabularies
        self._encoder = Encoder(schema, statistics, vocabularies)
        widths = {"dense": len(schema.dense_features), "sparse": len(vocabularies), "labels": None}
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

    def add(self, frame: pl.DataFrame) -> None:
        schema, num_lines = self._schema, len(frame)
        frame, split = self._survey.splitting.rows(frame, self.num_lines)
        self.num_lines += num_lines
        numbers = stacked_numbers(frame, schema)
        values = {
            "dense": self._encoder.dense(numbers),
            "sparse": self._encoder.sparse(stacked_texts(frame, schema), numbers),
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
            **survey.splitting.to_dict(),
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


def _part(progress: Progress | None, part: int, parts: int) -> Progress | None:
    """Progress of one of several passes as progress of all."""
    if progress is None:
        return None
    return lambda done, total: progress(
        done + part * (total or 0), None if total is None else parts * total
    )
