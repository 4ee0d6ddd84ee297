"""Weights of rows, for the parts that do not read them."""

from __future__ import annotations

from typing import Any

from nasrec_opt.errors import DataError


def refuse_weights(dataset: Any, reader: str) -> None:
    """Refuse a dataset whose rows have weights, which would be ignored.

    Args:
        dataset: The dataset.
        reader: What would ignore them.

    Raises:
        DataError: Rows have weights.
    """
    if getattr(dataset, "is_weighted", False):
        raise DataError(
            f"{dataset.path}: expected rows without weights, which {reader} does not read yet, got "
            'weighted ones; prepare the log without weight, or with count = "impression"'
        )
