"""The workloads of many genotypes at once, as columns: the same operations as `lower`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hw import Batch
from nasrec_opt.errors import GenotypeError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering._columns import MAX_BLOCKS, Columns, walk_columns
from nasrec_opt.lowering._genes import IntArray
from nasrec_opt.lowering._one import lower
from nasrec_opt.lowering._operators import Product, Work
from nasrec_opt.lowering._walk import Bits
from nasrec_opt.space import Genotype

Slots = tuple[int, ...]
LOOKUP_BITS = 32


def lower_many(
    genotypes: Sequence[Genotype], features: FeatureSpec, *, balance: bool = True
) -> Batch:
    """The workloads of one sample of each genotype, to be costed together.

    Args:
        genotypes: Architectures with as many blocks each, at most 62.
        features: Shape of the input.
        balance: As for `lower`.

    Returns:
        Columns for `hw.ReRAM.cost_many`, equal to what `lower` gives for each genotype.

    Raises:
        GenotypeError: They have different numbers of blocks, or more; `cost_many` takes any.
    """
    genotypes = tuple(genotypes)
    counts = {genotype.num_blocks for genotype in genotypes}
    if len(counts) > 1 or max(counts, default=1) > MAX_BLOCKS:
        raise GenotypeError(
            f"genotypes: expected as many blocks each, at most {MAX_BLOCKS}, got "
            f"{', '.join(map(str, sorted(counts)))}"
        )
    batch = Batch(
        len(genotypes), lambda number: lower(genotypes[number], features, balance=balance)
    )
    if genotypes:
        walk_columns(_Slots(batch), genotypes, features, balance=balance)
    return batch


class _Slots(Columns):
    """A sink that makes a slot of a batch for each operation; see `Sink`."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch.count)
        self.batch = batch

    def gather(self, made: Sequence[Slots], *chosen: IntArray) -> Slots:
        """A join for each input that some genotype chose: the slots that represent it."""
        several = np.bitwise_or.reduce(chosen)
        joins = []
        for number, slots in enumerate(made):
            where = np.flatnonzero((several >> number) & 1)
            if slots and len(where):
                joins.append(self.batch.add_join(where, slots))
        return tuple(joins)

    def either(self, new: Slots, old: Slots) -> Slots:
        return (*old, *new)  # the new slot waits for the old one if both exist

    def lookup(
        self, where: IntArray, name: str, operator: str, *, vectors: int, dim: int, table_rows: int
    ) -> Slots:
        return (self.batch.add_lookup(where, vectors=vectors, dim=dim, value_bits=LOOKUP_BITS),)

    def part(
        self,
        where: IntArray,
        name: str,
        operator: str,
        part: Product | Work,
        *,
        after: Slots,
        bits: Bits,
        before: Slots | None,
    ) -> Slots:
        made = before or ()
        present = np.broadcast_to(part.present, where.shape)
        if present.any():
            made = (*made, self._add(where, part, present, after, bits))
        if after and not present.all():  # the inputs of an absent part take its place
            made = (*made, self.batch.add_join(where[~present], after))
        return made

    def _add(
        self, where: IntArray, part: Product | Work, present: Any, after: Slots, bits: Bits
    ) -> int:
        def here(value: Any) -> Any:
            return value[present] if isinstance(value, np.ndarray) else value

        if isinstance(part, Product):
            return self.batch.add_product(
                where[present],
                inputs=here(part.inputs),
                outputs=here(part.outputs),
                repeats=here(part.repeats),
                weight_bits=here(bits[0]),
                activation_bits=here(bits[1]),
                after=after,
            )
        macs = part.macs if part.unit_macs is None else part.unit_macs
        return self.batch.add_digital(
            where[present],
            multiplications=here(macs),
            additions=here(part.additions),
            special_functions=here(part.special),
            bits=here(bits[1]),
            after=after,
        )
