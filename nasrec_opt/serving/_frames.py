"""Tables of pandas and polars, and arrays, as the columns that a log has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl

from nasrec_opt.errors import DataError, described

NO_CATEGORY = "no category"  # a column without values: a model needs one to embed


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, and how their columns are read.

    Args:
        frame: The rows, with the column `NO_CATEGORY` where no other one is a category.
        dense: Columns of numbers.
        sparse: Columns of categories.
    """

    frame: pl.DataFrame
    dense: tuple[str, ...]
    sparse: tuple[str, ...]

    @property
    def has_no_category(self) -> bool:
        """Whether all columns are numbers."""
        return self.sparse == (NO_CATEGORY,)


def frame_of(given: Any, sparse: Sequence[str] | None, array: Any = None) -> Table:
    """Read rows as columns.

    Args:
        given: A table of pandas or polars, or what `array` was made of.
        sparse: Columns of categories, or None for all that are not numbers.
        array: Numbers, `[rows, columns]`, where `given` is no table.

    Raises:
        DataError: It is another kind of table, a column is missing, or is named twice.
    """
    columns = _of_array(array) if array is not None else _of_table(given)
    for name in sparse or ():
        if name not in columns:
            raise DataError(f"sparse: expected columns of X, got {name!r}")
    chosen = [
        name for name, values in columns.items()
        if (name in sparse if sparse is not None else not values.dtype.is_numeric())
    ]  # fmt: skip
    for name in chosen:
        if columns[name].dtype in (pl.Categorical, pl.Enum):
            columns[name] = columns[name].cast(pl.String)
    dense = tuple(name for name in columns if name not in chosen)
    if not chosen:
        rows = len(next(iter(columns.values()), ()))
        columns[NO_CATEGORY] = pl.Series([None] * rows, dtype=pl.String)
        chosen = [NO_CATEGORY]
    return Table(pl.DataFrame(columns), dense, tuple(chosen))


def _of_array(array: Any) -> dict[str, pl.Series]:
    return {
        f"x{place}": pl.Series(np.ascontiguousarray(values), dtype=pl.Float64)
        for place, values in enumerate(array.T)
    }


def _of_table(given: Any) -> dict[str, pl.Series]:
    names = list(given.columns)
    if not all(isinstance(name, str) for name in names):  # places, as pandas names them
        names = [f"x{place}" for place in range(len(names))]
    if len(set(names)) < len(names):
        raise DataError(f"X: expected each column once, got {', '.join(map(str, names))[:200]}")
    if isinstance(given, pl.DataFrame):
        return dict(zip(names, given.get_columns(), strict=True))
    if not hasattr(given, "iloc"):
        raise DataError(f"X: expected a table of pandas or polars, got {described(given)}")
    return {name: _of_pandas(given.iloc[:, place]) for place, name in enumerate(names)}


def _of_pandas(values: Any) -> pl.Series:
    if values.dtype == object:
        missing = values.isna()
        texts = [None if gone else str(v) for v, gone in zip(values, missing, strict=True)]
        return pl.Series(texts, dtype=pl.String)
    return cast("pl.Series", pl.from_pandas(values.rename("x").reset_index(drop=True)))
