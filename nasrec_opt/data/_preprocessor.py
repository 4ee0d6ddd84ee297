"""Preprocessing of raw rows with what `prepare` learned from a log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt._files import atomic_directory, read_json, write_json
from nasrec_opt.data._dataset import META
from nasrec_opt.data._dates import example_of
from nasrec_opt.data._encoding import Columns, Encoder
from nasrec_opt.data._few_rows import FewRows
from nasrec_opt.data._profiles import Profiles
from nasrec_opt.data._rows import columns_of, columns_of_file
from nasrec_opt.data._schema import Schema
from nasrec_opt.data._statistics import Statistics
from nasrec_opt.data._vocabulary import FIRST, RARE, FixedIds, Vocabulary
from nasrec_opt.errors import DataError
from nasrec_opt.features import FeatureSpec

FILE = "preprocessor.json"
VOCABULARIES = "vocabularies"  # a Parquet file for each column, in a dataset as well
VERSION = 1


class Inputs(NamedTuple):
    """The inputs of a model for some rows.

    Args:
        dense: float32 `[rows, num_dense]`.
        sparse: Ids, int32 `[rows, num_sparse]`.
    """

    dense: npt.NDArray[np.float32]
    sparse: npt.NDArray[np.int32]


class Preprocessor:
    """Turns raw rows into dense values and ids, exactly as `prepare` did with those of the log.

    Args:
        schema: The columns, resolved.
        statistics: Of the numeric columns in the training rows.
        vocabularies: Of each sparse feature, and then, where dense columns are read as categories
            as well, of the bins of each dense feature.
        profiles: Gender and age of users, where they are joined.

    Example:
        >>> from nasrec_opt.data import generate_synthetic
        >>> dataset = generate_synthetic("log", rows=500)
        >>> preprocessor = Preprocessor.load("log")
        >>> row = {f"I{i}": i for i in range(1, 14)} | {f"C{i}": None for i in range(1, 27)}
        >>> preprocessor.transform(row).sparse.max()  # missing values have id 1
        np.int32(1)
    """

    def __init__(
        self,
        schema: Schema,
        statistics: Statistics,
        vocabularies: Sequence[Vocabulary | FixedIds],
        profiles: Profiles | None = None,
    ) -> None:
        self.schema = schema
        self._profiles = profiles
        self._statistics = statistics
        self._vocabularies = list(vocabularies)

    @classmethod
    def load(
        cls, folder: Path | str, *, min_count: int = 1, binned_dense: bool = False
    ) -> Preprocessor:
        """Load the preprocessor of a dataset, or one that `save` wrote.

        Args:
            folder: The folder of the dataset, or of the preprocessor.
            min_count: As for `Dataset.open`: rarer values are read as id 0.
            binned_dense: As for `Dataset.open`: whether dense columns are read as categories of
                their bins as well. One that `save` wrote has them only if it had them then.

        Returns:
            The preprocessor.

        Raises:
            DataError: The folder holds neither, or a damaged one; or the dataset is of a version
                that did not keep what is needed.
        """
        folder = Path(folder)
        file = folder / FILE
        file = file if file.exists() else folder / META
        if min_count < 1:
            raise DataError(f"min_count: expected 1 or more, got {min_count}")
        try:
            values = read_json(file)
            schema = Schema.from_dict(values["schema"])
            cardinalities = values["cardinalities"]
            statistics = Statistics.from_dict(values)
        except FileNotFoundError:
            raise DataError(
                f"{folder}: expected a dataset or a preprocessor, found neither {META} nor {FILE}"
            ) from None
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{file}: expected the columns and vocabularies of a log, got no {error}; if an "
                "older version made it, prepare the log again"
            ) from error
        except (OSError, ValueError) as error:
            raise DataError(f"{file}: expected a description in JSON, got: {error}") from error
        names = schema.sparse_features
        count = len(names) + (len(schema.dense_features) if binned_dense else 0)
        if count > len(cardinalities):
            raise DataError(
                f"{file}: expected vocabularies of {count} columns, got {len(cardinalities)}"
            )
        fixed = set(schema.fixed_features)
        vocabularies = [
            FixedIds(size - FIRST)
            if i < len(names) and names[i] in fixed
            else _read(folder / VOCABULARIES / f"{i:03d}.parquet", size).at_least(min_count)
            for i, size in enumerate(cardinalities[:count])
        ]
        profiles = Profiles.load(folder) if schema.users else None
        return cls(schema, statistics, vocabularies, profiles)

    def save(self, folder: Path | str) -> None:
        """Write a folder of JSON and Parquet from which `load` makes the same preprocessor.

        Args:
            folder: The folder; one that is there is replaced.
        """
        with atomic_directory(folder) as out:
            write_vocabularies(self._vocabularies, out)
            if self._profiles is not None:
                self._profiles.save(out)
            values = {
                "version": VERSION,
                "schema": self.schema.to_dict(),
                **self._statistics.to_dict(),
                "cardinalities": [v.cardinality for v in self._vocabularies],
            }
            write_json(out / FILE, values)

    @property
    def binned_dense(self) -> bool:
        """Whether dense columns are read as categories of their bins as well."""
        return len(self._vocabularies) > len(self.schema.sparse_features)

    @property
    def features(self) -> FeatureSpec:
        """Shape of the result of `transform`, for which a model is built."""
        sizes = tuple(v.cardinality for v in self._vocabularies)
        return FeatureSpec(len(self.schema.dense_features), sizes)

    @property
    def column_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the dense and of the sparse features, as those of `Dataset.column_names`."""
        dense = self.schema.dense_features
        return dense, sparse_names(self.schema)[: len(self._vocabularies)]

    def cut_to(self, features: FeatureSpec) -> Preprocessor:
        """Read rows as a model does that was trained under a threshold for rare values.

        Args:
            features: The shape of the model's input.

        Returns:
            The same preprocessor with as many values of each column as the model knows, the most
            frequent ones.

        Raises:
            DataError: The model reads other columns, or more values of a column than are known.
        """
        own = self.features
        wanted = features.cardinalities
        if (features.num_dense, len(wanted)) != (own.num_dense, len(own.cardinalities)):
            raise DataError(
                f"columns: expected a model of {own.num_dense} dense and "
                f"{len(own.cardinalities)} sparse columns, got one of {features.num_dense} and "
                f"{len(wanted)}"
            )
        for number, (most, size) in enumerate(zip(own.cardinalities, wanted, strict=True), start=1):
            if size > most:
                raise DataError(
                    f"columns: expected a model of at most {most} values in sparse column {number},"
                    f" got {size}: it was trained on another log"
                )
        cut = [v.cut(size) for v, size in zip(self._vocabularies, wanted, strict=True)]
        return Preprocessor(self.schema, self._statistics, cut, self._profiles)

    def example(self) -> dict[str, Any]:
        """Make a row to try a model with.

        Returns:
            The most frequent value of each sparse column, or None where no value is known; a date
            of its format, a list of one value, 1 where values are hashed; and 1 for each dense
            column.
        """
        row: dict[str, Any] = dict.fromkeys(self.schema.dense, 1)
        vocabularies = dict(zip(self.schema.text_features, self._vocabularies, strict=False))
        for name in self.schema.sparse:
            column = self.schema.option(name)
            if column.parts:
                row[name] = example_of(column.format)
            elif column.size:
                row[name] = "1"
            else:  # the most frequent value comes first
                values = vocabularies[column.feature_names[0]].table["value"]
                row[name] = next(iter(values), None)
            if column.last and not column.separator:
                row[name] = [row[name]]
        return row

    def digest(self) -> str:
        """Identify what is read, and how.

        Returns:
            A hexadecimal SHA-256 of columns, minima and vocabularies.
        """
        found = hashlib.sha256(json.dumps(self.schema.to_dict(), sort_keys=True).encode())
        learned = self._statistics
        found.update(learned.minima.tobytes())
        if len(learned.to_dict()) > 2:  # as it was before there was more than minima and shifts
            found.update(json.dumps(learned.to_dict()).encode())
        for vocabulary in self._vocabularies:
            found.update(json.dumps(vocabulary.table["value"].to_list()).encode())
        if self._profiles is not None:
            found.update(self._profiles.digest().encode())
        return found.hexdigest()

    def transform(self, rows: Any) -> Inputs:
        """Encode raw rows.

        Columns are found by name; further ones, such as the label, are ignored. A missing value is
        None, NaN or empty text. A value that the training rows did not have is read as rare.

        Args:
            rows: One row as a dict, a list of them, or a table of pandas, polars or Arrow.

        Returns:
            Dense values `[rows, num_dense]` and ids `[rows, num_sparse]`, in the order of the rows.

        Raises:
            DataError: A column is missing, or a value is of the wrong type: one sentence with row
                and field.
        """
        return _joined(self._encoded(columns_of(rows, self.schema, self._few_rows)))

    def read(self, source: Path | str) -> Iterator[Inputs]:
        """Encode a file of rows piece by piece.

        Args:
            source: Text, plain or .gz, or Parquet, in the layout of the log that was prepared. The
                label may be missing, and is ignored.

        Yields:
            Dense values `[rows, num_dense]` and ids `[rows, num_sparse]` of the next rows.

        Raises:
            DataError: One sentence with file, row, field, what was expected and what was found.
        """
        yield from self._encoded(columns_of_file(Path(source), self.schema))

    def _encoded(self, pieces: Iterable[Columns]) -> Iterator[Inputs]:
        encoder = self._encoder
        for numbers, texts, others, users in pieces:
            joined = (
                [] if users is None or self._profiles is None else self._profiles.columns(users)
            )
            sparse = encoder.sparse(_with(texts, joined), numbers)
            if others is not None:
                respelled = encoder.sparse(_with(others, joined), numbers)
                sparse = np.where(sparse == RARE, respelled, sparse)
            yield Inputs(encoder.dense(numbers), sparse)

    @cached_property
    def _few_rows(self) -> FewRows:
        return FewRows(self.schema)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.schema, self._statistics, self._vocabularies)


def sparse_names(schema: Schema) -> tuple[str, ...]:
    """Names of the sparse features, then of the dense ones read as categories as well."""
    return (*schema.sparse_features, *(f"{name} (binned)" for name in schema.dense_features))


def write_vocabularies(vocabularies: Sequence[Vocabulary | FixedIds], folder: Path) -> None:
    """Write the vocabularies of all columns into a folder, a Parquet file each."""
    (folder / VOCABULARIES).mkdir()
    for i, vocabulary in enumerate(vocabularies):
        if isinstance(vocabulary, Vocabulary):
            vocabulary.table.write_parquet(folder / VOCABULARIES / f"{i:03d}.parquet")


def _read(file: Path, cardinality: int) -> Vocabulary:
    try:
        vocabulary = Vocabulary(pl.read_parquet(file, columns=["value", "count"]))
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{file}: expected a vocabulary in Parquet, got: {reason}") from error
    if vocabulary.cardinality != cardinality:
        raise DataError(
            f"{file}: expected a vocabulary of {cardinality} ids, got {vocabulary.cardinality}"
        )
    return vocabulary


def _with(texts: pl.Series, columns: list[pl.Series]) -> pl.Series:
    """Texts with further columns behind them."""
    parts = [column.alias(texts.name) for column in columns]
    return pl.concat([texts, *parts], rechunk=True) if parts else texts


def _joined(parts: Iterable[Inputs]) -> Inputs:
    pieces = list(parts)
    return (
        pieces[0] if len(pieces) == 1 else Inputs(*map(np.concatenate, zip(*pieces, strict=True)))
    )
