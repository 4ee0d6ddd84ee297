"""MACs and parameters of many genotypes at once, without their workloads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering._columns import Columns, groups_of, walk_columns
from nasrec_opt.lowering._genes import IntArray
from nasrec_opt.lowering._one import lower
from nasrec_opt.lowering._operators import Product, Work
from nasrec_opt.lowering._walk import Bits, Made
from nasrec_opt.space import Genotype

MILLION = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """The counts of `hw.Workload`, for several genotypes.

    Args:
        macs: Multiply-accumulates of one sample, `[genotypes]`.
        paper_macs: The same by the rule of the paper's Table 5, `[genotypes]`.
        parameters: Trained numbers outside the embedding tables, `[genotypes]`.
    """

    macs: IntArray
    paper_macs: IntArray
    parameters: IntArray

    @property
    def mflops(self) -> Any:
        """Millions of multiply-accumulates of one sample, `[genotypes]`."""
        return self.macs * MILLION

    @property
    def mflops_paper(self) -> Any:
        """The same by the rule of the paper's Table 5, `[genotypes]`."""
        return self.paper_macs * MILLION


def count_many(
    genotypes: Sequence[Genotype], features: FeatureSpec, *, balance: bool = True
) -> Counts:
    """MACs and parameters of genotypes, equal to those of the workloads that `lower` gives.

    Args:
        genotypes: Architectures, with any number of blocks.
        features: Shape of the input.
        balance: As for `lower`.

    Returns:
        Counts as arrays, in the order of the genotypes.

    Example:
        >>> from nasrec_opt import BlockGene
        >>> models = [Genotype((BlockGene(dense_width=width),)) for width in (16, 32)]
        >>> count_many(models, FeatureSpec(13, (100,) * 26)).macs.tolist()
        [14048, 14272]
    """
    found = Counts(*(np.zeros(len(genotypes), np.int64) for _ in range(3)))
    for numbers, is_together in groups_of(genotypes):
        some = [genotypes[number] for number in numbers]
        if is_together:
            sink = _Totals(len(some))
            walk_columns(sink, some, features, balance=balance)
            found.macs[numbers] = sink.macs
            found.paper_macs[numbers] = sink.paper_macs
            found.parameters[numbers] = sink.parameters
            continue
        for number, genotype in zip(numbers, some, strict=True):
            operations = lower(genotype, features, balance=balance).operations
            for operation in operations:
                counted = operation.paper_macs
                found.macs[number] += operation.macs
                found.paper_macs[number] += operation.macs if counted is None else counted
                found.parameters[number] += operation.parameters
    return found


class _Totals(Columns):
    """A sink that adds up counts; see `Sink`. No operation waits for another."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.macs = np.zeros(count, np.int64)
        self.paper_macs = np.zeros(count, np.int64)
        self.parameters = np.zeros(count, np.int64)

    def gather(self, made: Sequence[Made], *chosen: IntArray) -> Made:
        return ()

    def either(self, new: Made, old: Made) -> Made:
        return ()

    def lookup(
        self, where: IntArray, name: str, operator: str, *, vectors: int, dim: int, table_rows: int
    ) -> Made:
        return ()

    def part(
        self,
        where: IntArray,
        name: str,
        operator: str,
        part: Product | Work,
        *,
        after: Made,
        bits: Bits,
        before: Made | None,
    ) -> Made:
        if isinstance(part, Product):
            weights = part.inputs * part.outputs
            macs = weights * part.repeats
            counted = macs if part.paper_macs is None else part.paper_macs
            parameters = weights + part.extra
        else:
            macs = counted = part.macs
            parameters = part.extra
        self.macs[where] += part.present * macs
        self.paper_macs[where] += part.present * counted
        self.parameters[where] += part.present * parameters
        return ()
