"""The rule by which raw columns become what a model reads; `prepare` and serving share it.

A dense value x becomes log(x + c), where c is 1 minus the smallest training value if that is
negative, else 1; missing becomes 0. A category becomes its id in the vocabulary of its column. So
does the bin of a dense value, for readers that want dense columns as categories as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._schema import Schema
from nasrec_opt.data._vocabulary import FEW, Lookup, Vocabulary


class Encoder:
    """Raw values of rows in, dense values and ids out.

    Args:
        minima: Smallest training value of each dense column, 0 at most, `[num_dense]`.
        vocabularies: Of each sparse column, and then, where dense columns are read as categories as
            well, of the bins of each dense column.
        num_sparse: Number of sparse columns.
    """

    def __init__(
        self,
        minima: npt.NDArray[np.float64],
        vocabularies: Sequence[Vocabulary],
        num_sparse: int,
    ) -> None:
        self._minima = minima
        self._lookup = Lookup(vocabularies)
        self._has_bins = len(vocabularies) > num_sparse

    def dense(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Encode dense columns; values under the training minimum count as the minimum.

        Args:
            numbers: Finite, NaN where missing, `[num_dense, rows]`.

        Returns:
            `[rows, num_dense]`.
        """
        least = self._minima[:, None]
        # log1p of the difference: adding c = 1 - minimum loses the 1 beside a huge minimum.
        above = np.where(numbers < least, least, numbers) - least
        logs = _logs_from_one(above.ravel()).reshape(numbers.shape)
        encoded = np.ascontiguousarray(logs.T, np.float32)
        encoded[np.isnan(numbers.T)] = 0.0
        return encoded

    def sparse(self, texts: pl.Series, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        """Encode sparse columns, and the bins of dense ones.

        Args:
            texts: Categories with nulls, column after column, `[num_sparse * rows]`.
            numbers: As for `dense`.

        Returns:
            Ids, `[rows, columns]`.
        """
        if self._has_bins and numbers.size:
            texts = pl.concat([texts, bin_integers(pl.Series(numbers.ravel()))], rechunk=True)
        return self._lookup.encode(texts)


def bin_integers(values: pl.Series) -> pl.Series:
    """Bins of a dense column as categories: floor(log(x + 1)^2), negatives by their floor.

    Args:
        values: Float64 with nulls.

    Returns:
        String with nulls where the value is missing.
    """
    numbers = values.to_numpy()
    logs = _logs(np.where(numbers < 0, 0.0, numbers) + 1.0)
    floors = np.maximum(numbers, -(2.0**62))  # what is lower shares a bin
    bins = np.floor(np.where(numbers < 0, floors, logs * logs))
    return pl.Series(bins).cast(pl.Int64, strict=False).cast(pl.String)  # NaN becomes null


def categories(frame: pl.DataFrame, schema: Schema) -> list[pl.Series]:
    """Categorical columns, then the bins of the dense ones: what vocabularies count."""
    columns = [frame[name] for name in schema.text_features]
    return columns + [bin_integers(frame[name]) for name in schema.dense_features]


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
