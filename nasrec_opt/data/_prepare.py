"""From a click log to a dataset, in two passes: the first counts, the second writes.

Vocabularies and shifts of the dense columns are learned from the training rows alone. Memory holds
a chunk and the vocabularies, never the whole log.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from nasrec_opt._files import atomic_directory, write_json
from nasrec_opt.data._arrays import ArrayFile
from nasrec_opt.data._dataset import ARRAYS, META, VERSION, Dataset
from nasrec_opt.data._encoding import Encoder, categories, stacked_numbers, stacked_texts
from nasrec_opt.data._preprocessor import write_vocabularies
from nasrec_opt.data._reading import CHUNK_BYTES, column_names, read_chunks
from nasrec_opt.data._schema import Schema
from nasrec_opt.data._split import GROUP, SPLITS, split_of
from nasrec_opt.data._vocabulary import Counter, Vocabulary
from nasrec_opt.errors import DataError

logger = logging.getLogger(__name__)

LEAST_IDS = 50  # training rows from which a column of distinct values is taken for row numbers

Progress = Callable[[int, int | None], None]


def prepare(
    source: Path | str,
    out: Path | str,
    *,
    format: Literal["criteo"] | Path | str | Schema = "criteo",  # noqa: A002 - as on the command line
    seed: int = 0,
    min_count: int | None = None,
    progress: Progress | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    annotate: Callable[[Path], dict[str, Any]] | None = None,
) -> Dataset:
    """Prepare a click log once.

    Dense values become log(x + c), where c is 1, or 1 minus the smallest training value if that is
    negative. Missing values become 0. Categories become ids by descending count in the training
    rows.

    Args:
        source: The log: text, plain or .gz, or .parquet.
        out: Folder of the dataset; it appears only when it is complete.
        format: `criteo`, a schema, or the path of a schema TOML.
        seed: Seed of the 80/10/10 split.
        min_count: Rarer values are dropped from the vocabularies for good; None means the schema's
            threshold (Criteo: 1). A higher one can be set each time the dataset is opened.
        progress: Called with (bytes done, bytes of both passes).
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
    source, out = Path(source), Path(out)
    given = _schema(format)
    schema = _resolved(source, given)
    least = schema.min_count if min_count is None else min_count
    if least < 1:
        raise DataError(f"min_count: expected 1 or more, got {least}")
    if seed < 0:
        raise DataError(f"seed: expected 0 or more, got {seed}")
    if schema.options or schema.is_weighted or schema.counts_shows or schema.time or schema.users:
        raise DataError("schema: expected no option of this version yet, got one")
    _check_out(out)

    def chunks(done: int) -> Iterator[pl.DataFrame]:
        return read_chunks(source, schema, chunk_bytes=chunk_bytes, progress=_half(progress, done))

    survey = _Survey(schema, seed)
    for frame in chunks(0):
        survey.add(frame)
    if not given.sparse:
        survey.warn_of_columns(source)
    vocabularies = survey.finish(source, least)
    with atomic_directory(out) as folder, _Writer(folder, schema, survey, vocabularies) as writer:
        for frame in chunks(1):
            writer.add(frame)
        if writer.num_rows != survey.num_rows:
            raise DataError(
                f"{source}: expected {survey.num_rows:,} rows again in the second pass, got "
                f"{writer.num_rows:,}: the file changed meanwhile"
            )
        meta = writer.finish() | {"source": source.name, "min_count": least}
        write_json(folder / META, meta | (annotate(folder) if annotate else {}))
    return Dataset.open(out)


def _schema(format: Path | str | Schema) -> Schema:  # noqa: A002
    if isinstance(format, Schema):
        return format
    return Schema.criteo() if str(format) == "criteo" else Schema.from_toml(format)


def _resolved(source: Path, schema: Schema) -> Schema:
    names = column_names(source, schema)
    try:
        return schema.resolve(names)
    except DataError as error:
        raise DataError(f"{source}: {error}") from None


def _check_out(out: Path) -> None:
    """Refuse to replace anything but a dataset."""
    above = next((folder for folder in out.parents if folder.exists()), out)
    if not above.is_dir():
        raise DataError(f"{out}: expected a path below a folder, found the file {above}")
    if out.exists() and not (out / META).exists() and not (out.is_dir() and _is_empty(out)):
        raise DataError(f"{out}: expected a new folder or a dataset, found something else")


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None


class _Survey:
    """First pass: rows and clicks by split, vocabularies and smallest values of training rows."""

    def __init__(self, schema: Schema, seed: int) -> None:
        self.schema = schema
        self.seed = seed
        self.rows = np.zeros(3, np.int64)
        self.clicks = np.zeros(3, np.int64)
        self.minima = np.zeros(len(schema.dense))
        self._counters = [Counter() for _ in (*schema.sparse, *schema.dense)]
        self.num_rows = 0

    def add(self, frame: pl.DataFrame) -> None:
        split = split_of(self.num_rows, len(frame), self.seed)
        self.num_rows += len(frame)
        labels = frame[self.schema.label].to_numpy()
        self.rows += np.bincount(split, minlength=3)
        self.clicks += np.bincount(split, weights=labels, minlength=3).astype(np.int64)
        train = frame.filter(pl.Series(split == 0))
        for i, name in enumerate(self.schema.dense):
            least = train.select(pl.col(name).min()).item()
            self.minima[i] = min(self.minima[i], math.inf if least is None else float(least))
        for counter, values in zip(self._counters, categories(train, self.schema), strict=True):
            counter.add(values)

    def warn_of_columns(self, source: Path) -> None:
        """Log a warning for each useless categorical column that the schema does not name."""
        rows = int(self.rows[0])
        for name, counter in zip(self.schema.sparse, self._counters, strict=False):
            if not counter.num_values:
                found = f"no value in {rows:,} training rows"
            elif counter.num_values == rows >= LEAST_IDS:
                found = f"a different value in each of {rows:,} training rows, as a row number has"
            else:
                continue
            logger.warning(
                "%s: column %r has %s and is read as a category; add it to dropped, or name all "
                "categorical columns under sparse",
                source,
                name,
                found,
            )

    def finish(self, source: Path, min_count: int) -> list[Vocabulary]:
        clicks, rows = int(self.clicks.sum()), self.num_rows
        if rows < GROUP:  # fewer might leave a split without rows
            raise DataError(f"{source}: expected at least {GROUP} rows, got {rows}")
        if clicks in (0, rows):
            raise DataError(
                f"{source}: expected both classes in the label, got only {min(clicks, 1)} in "
                f"{rows:,} rows"
            )
        return [counter.finish(min_count) for counter in self._counters]


class _Writer(ExitStack):
    """Second pass: arrays of each split, vocabularies, and the description."""

    def __init__(
        self, folder: Path, schema: Schema, survey: _Survey, vocabularies: list[Vocabulary]
    ) -> None:
        super().__init__()
        self.num_rows = 0
        self._folder = folder
        self._schema = schema
        self._survey = survey
        self._vocabularies = vocabularies
        self._encoder = Encoder(survey.minima, vocabularies, len(schema.sparse))
        widths = {"dense": len(schema.dense), "sparse": len(vocabularies), "labels": None}
        self._arrays: list[dict[str, ArrayFile]] = []
        for name, rows in zip(SPLITS, survey.rows.tolist(), strict=True):
            (folder / name).mkdir()
            files = {}
            for array, width in widths.items():
                shape = (rows,) if width is None else (rows, width)
                file = ArrayFile(folder / name / f"{array}.npy", ARRAYS[array], shape)
                files[array] = self.enter_context(file)
            self._arrays.append(files)

    def add(self, frame: pl.DataFrame) -> None:
        schema = self._schema
        split = split_of(self.num_rows, len(frame), self._survey.seed)
        self.num_rows += len(frame)
        numbers = stacked_numbers(frame, schema)
        values = {
            "dense": self._encoder.dense(numbers),
            "sparse": self._encoder.sparse(stacked_texts(frame, schema), numbers),
            "labels": frame[schema.label].to_numpy(),
        }
        for i, arrays in enumerate(self._arrays):
            chosen = np.flatnonzero(split == i)
            for name, array in arrays.items():
                array.append(values[name][chosen])

    def finish(self) -> dict[str, Any]:
        """Write the remaining rows; returns the description."""
        survey, vocabularies = self._survey, self._vocabularies
        names = [*self._schema.sparse, *(f"{name} (binned)" for name in self._schema.dense)]
        write_vocabularies(vocabularies, self._folder)
        counts = np.concatenate([v.counts for v in vocabularies])
        with ArrayFile(self._folder / "counts.npy", np.int64, counts.shape) as file:
            file.append(counts)
        checksums = {
            f"{name}/{array}.npy": opened.finish()
            for name, arrays in zip(SPLITS, self._arrays, strict=True)
            for array, opened in arrays.items()
        }
        return {
            "version": VERSION,
            "schema": self._schema.to_dict(),
            "seed": survey.seed,
            "rows": dict(zip(SPLITS, survey.rows.tolist(), strict=True)),
            "clicks": dict(zip(SPLITS, survey.clicks.tolist(), strict=True)),
            "click_rate": round(float(survey.clicks.sum() / survey.num_rows), 6),
            "num_dense": len(self._schema.dense),
            "num_sparse": len(self._schema.sparse),
            "dense_columns": list(self._schema.dense),
            "sparse_columns": names,
            "cardinalities": [v.cardinality for v in vocabularies],
            "dense_minima": survey.minima.tolist(),
            "dense_shifts": (1 - survey.minima).tolist(),
            "checksums": checksums | {"counts.npy": file.finish()},
        }


def _half(progress: Progress | None, half: int) -> Progress | None:
    """Progress of one of two passes as progress of both."""
    if progress is None:
        return None
    return lambda done, total: progress(
        done + half * (total or 0), None if total is None else 2 * total
    )
