"""The workloads of many genotypes at once, as columns: the same operations as `lower`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hw import Batch
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering._genes import IntArray, columns_of
from nasrec_opt.lowering._one import lower
from nasrec_opt.lowering._operators import Product, Work
from nasrec_opt.lowering._walk import Bits, Walk
from nasrec_opt.space import Genotype, live_parts

Slots = tuple[int, ...]
LOOKUP_BITS = 32


def lower_many(
    genotypes: Sequence[Genotype], features: FeatureSpec, *, balance: bool = True
) -> Batch:
    """The workloads of one sample of each genotype, to be costed together.

    Args:
        genotypes: Architectures with as many blocks each.
        features: Shape of the input.
        balance: As for `lower`.

    Returns:
        Columns for `hw.ReRAM.cost_many`; what `lower` gives for each of the genotypes.
    """
    genotypes = tuple(genotypes)
    batch = Batch(
        len(genotypes), lambda number: lower(genotypes[number], features, balance=balance)
    )
    if genotypes:
        blocks = columns_of(genotypes)
        live = live_parts([genes.reading for genes in blocks])
        Walk(_Columns(batch), features, balance=balance).run(
            blocks,
            live.blocks,
            final_bits=np.array([genotype.final_bits for genotype in genotypes]),
            wide=np.array([genotype.wide for genotype in genotypes]),
        )
    return batch


class _Columns:
    """A sink that makes a slot of a batch of each operation; see `Sink`."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.everywhere = np.arange(batch.count)

    def where(self, has: Any) -> IntArray | None:
        where = np.flatnonzero(has)
        return where if len(where) else None

    def at(self, values: tuple[Any, ...], where: IntArray) -> tuple[Any, ...]:
        return tuple(v[where] if isinstance(v, np.ndarray) else v for v in values)

    def total(self, sizes: Sequence[Any], chosen: IntArray) -> IntArray:
        total = np.zeros_like(chosen)
        for number, size in enumerate(sizes):
            total += ((chosen >> number) & 1) * size
        return total

    def gather(self, made: Sequence[Slots], *chosen: IntArray) -> Slots:
        """A join for each input that somebody chose: slots that stand for it."""
        several = np.bitwise_or.reduce(chosen)
        joins = []
        for number, slots in enumerate(made):
            where = np.flatnonzero((several >> number) & 1)
            if slots and len(where):
                joins.append(self.batch.add_join(where, slots))
        return tuple(joins)

    def either(self, new: Slots, old: Slots) -> Slots:
        return (*old, *new)  # the new comes after the old where both are there

    def lookup(
        self, where: IntArray, name: str, operator: str, *, rows: int, dim: int, table_rows: int
    ) -> Slots:
        return (self.batch.add_lookup(where, rows=rows, dim=dim, value_bits=LOOKUP_BITS),)

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
        if after and not present.all():  # what an absent part needs stands for it
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
