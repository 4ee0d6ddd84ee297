"""Kinds of operations: which fields of each kind enter its cost, and by which formulas.

A new kind is a line in `FIELDS`, in `kind_of` and in `parts_of`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

import numpy as np

from hw._arrays import IntArray
from hw._popularity import Popularity
from hw._workload import Digital, MatrixVector, Operation
from hw.files import Technology
from hw.reram._digital import digital_parts
from hw.reram._hot_rows import lookup_parts
from hw.reram._parts import (
    DIGITAL,
    MEMORY,
    PRODUCT,
    Digitals,
    Lookups,
    Parts,
    Products,
)
from hw.reram._product import product_parts

# By kind, the fields of an operation that enter its cost, in the order of its columns.
FIELDS: dict[int, tuple[str, ...]] = {
    PRODUCT: ("inputs", "outputs", "repeats", "weight_bits", "activation_bits"),
    DIGITAL: ("multiplications", "additions", "special_functions", "bits"),
    MEMORY: ("vectors", "dim", "value_bits"),
}


def kind_of(operation: Operation) -> int:
    """The kind of an operation, by what computes it: crossbars, the digital unit, or the memory."""
    if isinstance(operation, MatrixVector):
        return PRODUCT
    return DIGITAL if isinstance(operation, Digital) else MEMORY


def columns_of(operations: Sequence[Operation], kinds: Sequence[int]) -> dict[int, IntArray]:
    """Columns of the operations of each kind, in their order, `[fields, operations of the kind]`.

    Args:
        operations: Operations of all kinds.
        kinds: The kind of each.
    """
    columns = {}
    for kind, fields in FIELDS.items():
        some = [o for o, its in zip(operations, kinds, strict=True) if its == kind]
        values = chain.from_iterable(map(attrgetter(*fields), some))
        count = len(some) * len(fields)
        columns[kind] = np.fromiter(values, np.int64, count).reshape(-1, len(fields)).T
    return columns


def parts_of(kind: int, columns: IntArray, t: Technology, popularity: Popularity | None) -> Parts:
    """Cost of each operation of one kind alone.

    Args:
        kind: The kind of all of them.
        columns: The fields that enter their cost, `[fields, operations]`.
        t: The accelerator.
        popularity: How often the embedding rows are read.

    Raises:
        DescriptionError: An operation is in floating point, or there is on-chip memory for rows
            of which nothing says how often they are read.
    """
    if kind == PRODUCT:
        return product_parts(Products(*columns), t)
    if kind == DIGITAL:
        return digital_parts(Digitals(*columns), t.digital)
    return lookup_parts(Lookups(*columns), t, popularity)
