"""Columns of lists: in each row any number of entries, all of one type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pyarrow import compute, types


def is_list(kind: pa.DataType) -> bool:
    """Whether Arrow's values of a type are lists."""
    tests = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def lengths_of(column: pa.Array) -> npt.NDArray[np.int64]:
    """Number of entries in each row of Arrow's lists, 0 where there is no list, `[rows]`."""
    lengths = compute.list_value_length(column).cast(pa.int64())
    return np.asarray(compute.fill_null(lengths, 0), np.int64)


def lists_of(lengths: npt.NDArray[np.int64], entries: pa.Array) -> pa.Array:
    """Lists of these lengths, filled with entries in their order."""
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return pa.LargeListArray.from_arrays(pa.array(ends), entries)


def each_entry(values: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Change single values, or all entries of the lists of `lists_of`, as one series."""
    if not isinstance(values.dtype, pl.List):
        return change(values)
    lists = _arrow(values)
    changed = _arrow(change(entries_of(values)))
    return pl.Series(values.name, lists_of(lengths_of(lists), changed))


def entries_of(values: pl.Series) -> pl.Series:
    """All entries of lists, row after row."""
    return pl.Series(values.name, _arrow(values).flatten())


def entry_type(kind: pl.DataType) -> Any:
    """The type of single values, or of the entries of lists."""
    return kind.inner if isinstance(kind, pl.List) else kind


def _arrow(values: pl.Series) -> pa.Array:
    return values.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
