"""From a click log to a dataset: two passes, the first counts, the second writes.

What is learned from the log (vocabularies, shifts of the dense columns) is learned from its training
rows alone. Memory holds a chunk and the vocabularies, never the log.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt._files import atomic_directory, sha256, write_json
from nasrec_opt.data._dataset import ARRAYS, META, Dataset
from nasrec_opt.data._reading import CHUNK_BYTES, read_chunks
from nasrec_opt.data._schema import Schema
from nasrec_opt.data._split import SPLITS, split_of
from nasrec_opt.data._vocabulary import Counter, Vocabulary
from nasrec_opt.errors import DataError

Progress = Callable[[int, int | None], None]
VERSION = 1


def prepare(
    source: Path | str,
    out: Path | str,
    *,
    format: Literal["criteo"] | Path | str | Schema = "criteo",  # noqa: A002 - as on the command line
    seed: int = 0,
    min_count: int = 1,
    progress: Progress | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Dataset:
    """Prepare a click log once.

    Dense values become log(x + c), with c = 1 - the smallest training value where that is negative;
    missing becomes 0. Categories become ids by descending count in the training rows.

    Args:
        source: The log: text, plain or .gz, or .parquet.
        out: Folder of the dataset; it appears when all is done.
        format: `criteo`, a schema, or the path of a schema TOML.
        seed: Seed of the 80/10/10 split.
        min_count: Rarer values are dropped from the vocabularies for good; a higher threshold can be
            set each time the dataset is opened.
        progress: Called with (bytes done, bytes of both passes).
        chunk_bytes: Text read at a time; it changes nothing in the result.

    Returns:
        The dataset, opened.

    Raises:
        DataError: One sentence with file, row, field, what was expected and what was found.
    """
    source, out = Path(source), Path(out)
    if isinstance(format, Schema):
        schema = format
    else:
        schema = Schema.criteo() if str(format) == "criteo" else Schema.from_toml(format)
    if out.exists() and not (out / META).exists():
        raise DataError(f"{out}: expected a new folder or a dataset, found something else")

    def chunks(done: int) -> Any:
        return read_chunks(source, schema, chunk_bytes=chunk_bytes, progress=_half(progress, done))

    survey = _Survey(schema, seed)
    for frame in chunks(0):
        survey.add(frame)
    vocabularies = survey.finish(source, min_count)
    with atomic_directory(out) as folder:
        writer = _Writer(folder, schema, survey, vocabularies)
        for frame in chunks(1):
            writer.add(frame)
        writer.finish(source)
    return Dataset.open(out)


class _Survey:
    """First pass: rows and clicks by split, vocabularies and smallest values of training rows."""

    def __init__(self, schema: Schema, seed: int) -> None:
        self.schema = schema
        self.seed = seed
        self.rows = np.zeros(3, np.int64)
        self.clicks = np.zeros(3, np.int64)
        self.minima = np.zeros(len(schema.dense))
        self._counters = [Counter() for _ in (*schema.sparse, *schema.dense)]
        self._seen = 0

    def add(self, frame: pl.DataFrame) -> None:
        split = split_of(self._seen, len(frame), self.seed)
        self._seen += len(frame)
        labels = frame[self.schema.label].to_numpy()
        self.rows += np.bincount(split, minlength=3)
        self.clicks += np.bincount(split, weights=labels, minlength=3).astype(np.int64)
        train = frame.filter(pl.Series(split == 0))
        for i, name in enumerate(self.schema.dense):
            least = train[name].min()
            self.minima[i] = min(self.minima[i], math.inf if least is None else float(least))
        for counter, values in zip(self._counters, _categories(train, self.schema), strict=True):
            counter.add(values)

    def finish(self, source: Path, min_count: int) -> list[Vocabulary]:
        clicks, rows = int(self.clicks.sum()), int(self.rows.sum())
        if clicks in (0, rows):
            raise DataError(
                f"{source}: expected both classes in the label, got only {min(clicks, 1)} in "
                f"{rows:,} rows: a single class"
            )
        for name, count in zip(SPLITS, self.rows, strict=True):
            if not count:
                raise DataError(f"{source}: expected at least 10 rows, got {rows}: no {name} rows")
        return [counter.finish(min_count) for counter in self._counters]


class _Writer:
    """Second pass: arrays of each split, vocabularies, and the description."""

    def __init__(
        self, folder: Path, schema: Schema, survey: _Survey, vocabularies: list[Vocabulary]
    ) -> None:
        self._folder = folder
        self._schema = schema
        self._survey = survey
        self._vocabularies = vocabularies
        self._shifts = 1 - survey.minima
        self._filled = np.zeros(3, np.int64)
        self._seen = 0
        widths = {"dense": len(schema.dense), "sparse": len(vocabularies), "labels": None}
        self._arrays: list[dict[str, npt.NDArray[Any]]] = []
        for name, rows in zip(SPLITS, survey.rows.tolist(), strict=True):
            (folder / name).mkdir()
            self._arrays.append(
                {
                    array: np.lib.format.open_memmap(
                        folder / name / f"{array}.npy",
                        mode="w+",
                        dtype=ARRAYS[array],
                        shape=(rows,) if width is None else (rows, width),
                    )
                    for array, width in widths.items()
                }
            )

    def add(self, frame: pl.DataFrame) -> None:
        schema = self._schema
        split = split_of(self._seen, len(frame), self._survey.seed)
        self._seen += len(frame)
        columns = _categories(frame, schema)
        pairs = zip(self._vocabularies, columns, strict=True)
        values = {
            "dense": _dense(frame, schema, self._shifts, self._survey.minima),
            "sparse": np.stack([v.encode(column) for v, column in pairs], axis=1),
            "labels": frame[schema.label].to_numpy(),
        }
        for i, arrays in enumerate(self._arrays):
            chosen = split == i
            start = self._filled[i]
            self._filled[i] = stop = start + int(chosen.sum())
            for name, array in arrays.items():
                array[start:stop] = values[name][chosen]

    def finish(self, source: Path) -> None:
        for arrays in self._arrays:
            for array in arrays.values():
                array.flush()  # type: ignore[attr-defined]
        names = [*self._schema.sparse, *(f"{name} (binned)" for name in self._schema.dense)]
        (self._folder / "vocabularies").mkdir()
        for i, vocabulary in enumerate(self._vocabularies):
            vocabulary.table.write_parquet(self._folder / "vocabularies" / f"{i:03d}.parquet")
        counts = np.concatenate([v.counts for v in self._vocabularies])
        np.save(self._folder / "counts.npy", counts)
        files = sorted(self._folder.rglob("*.npy"))
        checksums = {str(p.relative_to(self._folder)): sha256(p) for p in files}
        meta = {
            "version": VERSION,
            "source": source.name,
            "schema": self._schema.to_dict(),
            "seed": self._survey.seed,
            "rows": dict(zip(SPLITS, self._survey.rows.tolist(), strict=True)),
            "clicks": dict(zip(SPLITS, self._survey.clicks.tolist(), strict=True)),
            "num_dense": len(self._schema.dense),
            "num_sparse": len(self._schema.sparse),
            "dense_columns": list(self._schema.dense),
            "sparse_columns": names,
            "cardinalities": [v.cardinality for v in self._vocabularies],
            "dense_shifts": self._shifts.tolist(),
            "checksums": checksums,
        }
        write_json(self._folder / META, meta)


def bin_integers(values: pl.Series) -> pl.Series:
    """Bins of a dense column as categories: floor(log(x + 1)^2), negatives by their floor.

    Args:
        values: Float64 with nulls.

    Returns:
        String with nulls where the value is missing.
    """
    logs = (values.clip(0.0, None) + 1.0).log() ** 2
    bins = pl.select(pl.when(values < 0).then(values.floor()).otherwise(logs.floor())).to_series()
    return bins.cast(pl.Int64).cast(pl.String)


def _categories(frame: pl.DataFrame, schema: Schema) -> list[pl.Series]:
    """Categorical columns, then the bins of the dense ones."""
    columns = [frame[name] for name in schema.sparse]
    return columns + [bin_integers(frame[name]) for name in schema.dense]


def _dense(
    frame: pl.DataFrame,
    schema: Schema,
    shifts: npt.NDArray[np.float64],
    minima: npt.NDArray[np.float64],
) -> npt.NDArray[np.float32]:
    """log(x + c), missing 0; values under the training minimum count as the minimum."""
    result = np.zeros((len(frame), len(schema.dense)), np.float32)
    for i, name in enumerate(schema.dense):
        logs = (frame[name].clip(minima[i], None) + shifts[i]).log()
        result[:, i] = logs.fill_null(0.0).to_numpy()
    return result


def _half(progress: Progress | None, half: int) -> Progress | None:
    """Progress of one of two passes as progress of both."""
    if progress is None:
        return None
    return lambda done, total: progress(
        done + half * (total or 0), None if total is None else 2 * total
    )
