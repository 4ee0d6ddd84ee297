"""The rule by which raw columns become what a model reads; `prepare` and serving share it.

A dense value x becomes log(x + c), where c is 1 minus the smallest training value if that is
negative, else 1, unless its column says otherwise; missing becomes 0. A category becomes its id in
the vocabulary of its column, or the number that it is. So does the bin of a dense value, for
readers that want dense columns as categories as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._schema import Schema
from nasrec_opt.data._statistics import Statistics
from nasrec_opt.data._vocabulary import FEW, FIRST, MISSING, FixedIds, Lookup, Vocabulary

LARGEST = float(np.finfo(np.float32).max)


class Columns(NamedTuple):
    """Columns in the form that an `Encoder` takes.

    Args:
        numbers: Dense columns, NaN for missing, `[num_dense, rows]`.
        texts: Sparse columns, column after column, `[num_sparse * rows]`.
        others: Another spelling of the same values, or None where all of them are text.
        users: Ids of users, or None where nothing is joined to them.
    """

    numbers: npt.NDArray[np.float64]
    texts: pl.Series
    others: pl.Series | None = None
    users: pl.Series | None = None


class Encoder:
    """Raw values of rows in, dense values and ids out.

    Args:
        schema: The columns, resolved.
        statistics: Of the training rows.
        vocabularies: Of each sparse feature, and then, where dense columns are read as categories
            as well, of the bins of each dense feature.
    """

    def __init__(
        self,
        schema: Schema,
        statistics: Statistics,
        vocabularies: Sequence[Vocabulary | FixedIds],
    ) -> None:
        transforms = [schema.option(name).transform or "log" for name in schema.dense_features]
        self._rows = {kind: _places(transforms, kind) for kind in sorted(set(transforms))}
        self._statistics = statistics
        self._num_dense = len(transforms)
        self._num_texts = len(schema.sparse_features) - len(schema.quantile_features)
        self._num_columns = len(vocabularies)
        self._has_bins = len(vocabularies) > len(schema.sparse_features)
        self._known = [i for i, v in enumerate(vocabularies) if isinstance(v, Vocabulary)]
        self._fixed = [i for i in range(self._num_texts) if i not in set(self._known)]
        self._lookup = Lookup([v for v in vocabularies if isinstance(v, Vocabulary)])

    def dense(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Encode dense columns.

        Args:
            numbers: Finite, NaN where missing, `[numbers, rows]`, those of quantile bins last.

        Returns:
            `[rows, num_dense]`.
        """
        numbers = numbers[: self._num_dense]
        if list(self._rows) == ["log"]:
            changed = self._transformed("log", slice(None), numbers)
        else:
            changed = np.empty(numbers.shape)
            for kind, rows in self._rows.items():
                changed[rows] = self._transformed(kind, rows, numbers[rows])
        known = np.where(np.isnan(numbers), 0.0, changed)
        return np.ascontiguousarray(known.T, np.float32)

    def sparse(self, texts: pl.Series, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        """Encode text features, quantile bins, and the other bins of dense columns.

        Args:
            texts: Categories with nulls, column after column, `[num_texts * rows]`.
            numbers: As for `dense`.

        Returns:
            Ids, `[rows, columns]`.
        """
        bins = numbers[: self._num_dense]
        if not self._fixed and self._num_columns == len(self._known):
            return self._lookup.encode(self._with_bins(texts, bins))
        rows = numbers.shape[1] if len(numbers) else len(texts) // self._num_texts
        ids = np.empty((rows, self._num_columns), np.int32)
        self._encode_fixed(texts, ids)
        for place, edges in enumerate(self._statistics.edges):
            values = numbers[self._num_dense + place]
            ids[:, self._num_texts + place] = quantile_ids(edges, values)
        if self._known:
            places = [place for place in self._known if place < self._num_texts]
            known = [texts.slice(place * rows, rows) for place in places]
            joined = pl.concat(known, rechunk=True) if known else pl.Series(dtype=pl.String)
            ids[:, self._known] = self._lookup.encode(self._with_bins(joined, bins))
        return ids

    def _encode_fixed(self, texts: pl.Series, ids: npt.NDArray[np.int32]) -> None:
        """Fill in the ids of columns whose values are the numbers of their ids."""
        rows = len(ids)
        if len(texts) > FEW:
            for place in self._fixed:
                ids[:, place] = fixed_ids(texts.slice(place * rows, rows))
            return
        listed = texts.to_list()
        for place in self._fixed:
            own = listed[place * rows : (place + 1) * rows]
            ids[:, place] = [MISSING if text is None else int(text) + FIRST for text in own]

    def _with_bins(self, texts: pl.Series, numbers: npt.NDArray[np.float64]) -> pl.Series:
        if not (self._has_bins and numbers.size):
            return texts
        bins = bin_integers(pl.Series(numbers.ravel())).cast(pl.String)
        return pl.concat([texts, bins], rechunk=True)

    def _transformed(
        self, kind: str, rows: Any, numbers: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Numbers of the dense features `rows`, of one transform."""
        learned = self._statistics
        if kind in ("log", "published"):
            least = learned.minima[rows, None] if kind == "log" else np.zeros((1, 1))
            # log1p of the difference: adding c = 1 - minimum loses the 1 beside a huge minimum.
            above = np.where(numbers < least, least, numbers) - least
            return _logs_from_one(above.ravel()).reshape(numbers.shape)
        if kind == "standard":
            numbers = (numbers - learned.means[rows, None]) / learned.deviations[rows, None]
        return np.clip(numbers, -LARGEST, LARGEST)


def restored(
    kind: str, statistics: Statistics, column: int, numbers: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Inverse of `Encoder.dense` for a dense feature of a transform, `[rows]`."""
    found = np.asarray(numbers, np.float64)
    if kind == "standard":
        found = found * statistics.deviations[column] + statistics.means[column]
    elif kind != "none":
        found = np.expm1(found) + (statistics.minima[column] if kind == "log" else 0.0)
    return found


def _places(kinds: Sequence[str], wanted: str) -> npt.NDArray[np.intp]:
    return np.flatnonzero([kind == wanted for kind in kinds])


def fixed_ids(numbers: pl.Series) -> npt.NDArray[np.int32]:
    """Ids of a column whose values are the numbers of their ids, also as text, `[rows]`."""
    return (numbers.cast(pl.Int32) + FIRST).fill_null(MISSING).to_numpy()


def quantile_ids(
    edges: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.int32]:
    """Ids of numbers in bins, NaN for missing, `[rows]`."""
    found = np.searchsorted(edges, values, side="right") + FIRST
    return np.where(np.isnan(values), MISSING, found).astype(np.int32)


def bin_integers(values: pl.Series) -> pl.Series:
    """Bins of a dense column: floor(log(x + 1)^2), negatives by their floor.

    Args:
        values: Float64 with nulls.

    Returns:
        Int64 with nulls where the value is missing.
    """
    if len(values) > FEW and not (values < 0).any():
        above_one = (values + 1.0).log()
        return (above_one * above_one).floor().cast(pl.Int64, strict=False)  # NaN becomes null
    numbers = values.to_numpy()
    logs = _logs(np.where(numbers < 0, 0.0, numbers) + 1.0)
    floors = np.maximum(numbers, -(2.0**62))  # what is lower shares a bin
    bins = np.floor(np.where(numbers < 0, floors, logs * logs))
    return pl.Series(bins).cast(pl.Int64, strict=False)


def stacked_texts(frame: pl.DataFrame, schema: Schema) -> pl.Series:
    """Text features as one column, one after the other, for `Encoder.sparse`."""
    columns = [frame[name].alias("") for name in schema.text_features]
    return pl.concat(columns, rechunk=True) if columns else pl.Series(dtype=pl.String)


def stacked_numbers(frame: pl.DataFrame, schema: Schema) -> npt.NDArray[np.float64]:
    """Numbers as an array with NaN for missing, those of quantile bins last, for `Encoder`."""
    names = (*schema.dense_features, *schema.quantile_features)
    numbers = np.empty((len(names), len(frame)))
    for row, name in zip(numbers, names, strict=True):
        row[:] = frame[name].to_numpy()
    return numbers


# Logarithms of the C library, of which polars calls the same: numpy's own differ in the last digit
# from machine to machine, and with the length of an array.
def _logs(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Natural logarithms, `[values]`."""
    if len(values) <= FEW:
        return np.array([math.log(value) for value in values.tolist()], np.float64)
    return pl.Series(values).log().to_numpy()


def _logs_from_one(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Natural logarithms of 1 + x, `[values]`."""
    if len(values) <= FEW:
        return np.array([math.log1p(value) for value in values.tolist()], np.float64)
    return pl.Series(values).log1p().to_numpy()
