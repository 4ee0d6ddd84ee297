"""The common part of sinks whose values are arrays with an entry for each of many genotypes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering._genes import IntArray, columns_of
from nasrec_opt.lowering._walk import Sink, Walk
from nasrec_opt.space import Genotype, live_parts

AT_ONCE = 2048  # genotypes lowered together: their columns fit a processor's cache
FEW = 8  # fewer genotypes than this are faster one by one
MAX_BLOCKS = 62  # whose numbers a mask of 64 bits has room for, its sign apart


class Columns:
    """The half of a sink that looks values up; see `Sink`.

    Args:
        count: Number of genotypes.
    """

    def __init__(self, count: int) -> None:
        self.everywhere = np.arange(count)

    def where(self, has: Any) -> IntArray | None:
        """Numbers of the genotypes that have something."""
        where = np.flatnonzero(has)
        return where if len(where) else None

    def at(self, values: tuple[Any, ...], where: IntArray) -> tuple[Any, ...]:
        """Their entries."""
        return tuple(v[where] if isinstance(v, np.ndarray) else v for v in values)

    def total(self, sizes: Sequence[Any], chosen: IntArray) -> IntArray:
        """Sum of the sizes of the inputs that each genotype chose."""
        total = np.zeros_like(chosen)
        for number, size in enumerate(sizes):
            total += ((chosen >> number) & 1) * size
        return total


def walk_columns(
    sink: Sink, genotypes: Sequence[Genotype], features: FeatureSpec, *, balance: bool
) -> None:
    """Walk genotypes with as many blocks each, at most `MAX_BLOCKS`, all at once."""
    blocks = columns_of(genotypes)
    live = live_parts([genes.reading for genes in blocks])
    Walk(sink, features, balance=balance).run(
        blocks,
        live.blocks,
        final_bits=np.array([genotype.final_bits for genotype in genotypes]),
        wide=np.array([genotype.wide for genotype in genotypes]),
    )


def groups_of(
    genotypes: Sequence[Genotype], *, by_hardware: bool = False
) -> Iterator[tuple[list[int], bool]]:
    """Group genotypes, by number, to lower together, and whether that is possible and faster.

    Args:
        genotypes: With any number of blocks.
        by_hardware: Whether genotypes with different accelerator genes go into different groups.
    """
    groups: dict[Any, list[int]] = {}
    for number, genotype in enumerate(genotypes):
        key = (genotype.num_blocks, genotype.hardware if by_hardware else None)
        groups.setdefault(key, []).append(number)
    for (num_blocks, _), numbers in groups.items():
        if len(numbers) < FEW or num_blocks > MAX_BLOCKS:
            yield numbers, False
            continue
        for first in range(0, len(numbers), AT_ONCE):
            yield numbers[first : first + AT_ONCE], True
