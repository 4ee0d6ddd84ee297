"""The workloads of many genotypes at once, as columns: the same operations as `lower`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hw import Batch
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering._genes import Genes, IntArray, Live, Mask, genes_of, liveness_of
from nasrec_opt.lowering._one import lower
from nasrec_opt.lowering._operators import (
    DENSE,
    FORMULAS,
    OTHER,
    ROWS,
    TWO,
    Parts,
    Product,
    Shapes,
    Work,
    dense_to_sparse,
    first_order,
    fm,
)
from nasrec_opt.space import DENSE_OPS, MERGER_ROWS, SPARSE_OPS, Genotype

Slots = tuple[int, ...]
Bits = tuple[Any, Any]
LOOKUP_BITS = 32


def lower_many(genotypes: Sequence[Genotype], features: FeatureSpec) -> Batch:
    """The workloads of one sample of each genotype, to be costed together.

    Args:
        genotypes: Architectures with as many blocks each.
        features: Shape of the input.

    Returns:
        Columns for `hw.ReRAM.cost_many`; what `lower` gives for each of the genotypes.
    """
    genotypes = tuple(genotypes)
    batch = Batch(len(genotypes), lambda number: lower(genotypes[number], features))
    if genotypes:
        _LoweringMany(batch, genotypes, features).run()
    return batch


class _LoweringMany:
    """As `_Lowering`, with a slot where that has a name."""

    def __init__(self, batch: Batch, genotypes: Sequence[Genotype], features: FeatureSpec) -> None:
        self.batch = batch
        self.features = features
        self.dim = features.embedding_dim
        self.blocks = genes_of(genotypes)
        self.final_bits = np.array([genotype.final_bits for genotype in genotypes])
        self.wide = np.array([genotype.wide for genotype in genotypes])
        self.everywhere = np.arange(len(genotypes))
        width, rows = max(features.num_dense, 1), features.num_sparse
        self.dense: list[IntArray] = [np.full(len(genotypes), width)]
        self.sparse: list[IntArray] = [np.full(len(genotypes), rows)]
        self.dense_from: list[Slots] = [()]
        self.sparse_from: list[Slots] = [()]

    def run(self) -> None:
        """Add every slot, in the order of `lower`."""
        embedding = self.batch.add_lookup(
            self.everywhere,
            rows=self.features.num_sparse,
            dim=self.dim,
            value_bits=LOOKUP_BITS,
        )
        self.sparse_from[0] = (embedding,)
        for number, live in enumerate(liveness_of(self.blocks)):
            self._block(self.blocks[number], live)
        values = self.dense[-1] + self.dim * self.sparse[-1]
        final = (Product("", (DENSE, ROWS), values, 1),)
        given = {DENSE: self.dense_from[-1], ROWS: self.sparse_from[-1]}
        logit = self._put(self.everywhere, final, given, (self.final_bits, self.final_bits))
        self._first_order(logit)

    def _first_order(self, logit: Slots) -> None:
        """The first-order term where it is there."""
        where, columns = np.flatnonzero(self.wide), self.features.num_sparse
        if not len(where):
            return
        lookup = self.batch.add_lookup(where, rows=columns, dim=1, value_bits=LOOKUP_BITS)
        parts = first_order(self.features.num_dense, columns)
        bits = _at((self.final_bits, self.final_bits), where)
        self._put(where, parts, {ROWS: (lookup,), OTHER: logit}, bits)

    def _block(self, genes: Genes, live: Live) -> None:
        dense_bits = (genes.dense_weight_bits, genes.dense_activation_bits)
        sparse_bits = (genes.sparse_weight_bits, genes.sparse_activation_bits)
        two = genes.left | genes.right
        reads_dense = np.where(live.dense_pre, genes.dense_inputs, 0)
        reads_sparse = np.where(live.reads_sparse, genes.sparse_inputs, 0)
        shapes = Shapes(
            dim=self.dim,
            width=genes.dense_width,
            rows=genes.sparse_width,
            dense=_sum_of(self.dense, reads_dense),
            sparse=_sum_of(self.sparse, reads_sparse),
            left=_sum_of(self.dense, genes.left),
            right=_sum_of(self.dense, genes.right),
        )
        given = {
            DENSE: self._inputs(self.dense_from, reads_dense),
            ROWS: self._inputs(self.sparse_from, reads_sparse),
            TWO: self._inputs(self.dense_from, np.where(live.dense_pre, two, 0)),
        }
        dense_pre = self._branch(
            live.dense_pre, genes.dense_ops, DENSE_OPS, shapes, given, dense_bits,
            genes.dense_width,
        )  # fmt: skip
        sparse_pre = self._branch(
            live.sparse_pre, genes.sparse_ops, SPARSE_OPS, shapes, given, sparse_bits,
            genes.sparse_width * self.dim,
        )  # fmt: skip
        given = {DENSE: dense_pre, ROWS: sparse_pre, OTHER: dense_pre}
        merged = self._operator(live.use_fm, fm, shapes, given, dense_bits)
        self.dense.append(genes.dense_width)
        self.dense_from.append((*dense_pre, *merged))
        merged = self._operator(live.use_rows, dense_to_sparse, shapes, given, dense_bits)
        self.sparse.append(genes.sparse_width + MERGER_ROWS * live.use_rows)
        self.sparse_from.append((*sparse_pre, *merged))

    def _branch(
        self,
        live: Mask,
        chosen: IntArray,
        ops: tuple[str, ...],
        shapes: Shapes,
        given: dict[str, Slots],
        bits: Bits,
        units: IntArray,
    ) -> Slots:
        """The operators of one branch, and the sum of their outputs of `units` values each."""
        made: Slots = ()
        several = np.zeros_like(chosen)
        for index, op in enumerate(ops):
            has = live & ((chosen >> index) & 1 > 0)
            several += has
            made = (*made, *self._operator(has, FORMULAS[op], shapes, given, bits))
        where = np.flatnonzero(several > 1)
        if not len(where):
            return made
        work = Work("", (OTHER,), additions=(several[where] - 1) * units[where])
        added = self._put(where, (work,), {OTHER: made}, _at(bits, where))
        return (*made, *added)

    def _operator(
        self,
        has: Mask,
        operator: Callable[[Shapes], Parts],
        shapes: Shapes,
        given: dict[str, Slots],
        bits: Bits,
    ) -> Slots:
        """One operator where it is there; the slots that make its result."""
        where = np.flatnonzero(has)
        if not len(where):
            return ()
        columns = {
            name: getattr(shapes, name)[where]
            for name in ("width", "rows", "dense", "sparse", "left", "right")
        }
        return self._put(where, operator(replace(shapes, **columns)), given, _at(bits, where))

    def _put(self, where: IntArray, parts: Parts, given: dict[str, Slots], bits: Bits) -> Slots:
        """Add the parts of an operator; the slots of what makes its result."""
        needs: dict[str, Slots] = dict(given)
        result: Slots = ()
        for part in parts:
            after = tuple(slot for name in part.after for slot in needs[name])
            present = np.broadcast_to(part.present, where.shape)
            made = needs.get(part.part, ())
            if present.any():
                made = (*made, self._add(where, part, present, after, bits))
            if after and not present.all():  # what an absent part needs stands for it
                made = (*made, self.batch.add_join(where[~present], after))
            result = needs[part.part] = made
        return result

    def _add(
        self, where: IntArray, part: Product | Work, present: Mask, after: Slots, bits: Bits
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

    def _inputs(self, made: Sequence[Slots], chosen: IntArray) -> Slots:
        """Slots that stand for the inputs that each genotype chose, a mask of numbers."""
        joins = []
        for number, slots in enumerate(made):
            where = np.flatnonzero((chosen >> number) & 1)
            if slots and len(where):
                joins.append(self.batch.add_join(where, slots))
        return tuple(joins)


def _sum_of(sizes: Sequence[IntArray], chosen: IntArray) -> IntArray:
    """Sum of the sizes of the inputs that each genotype chose, a mask of numbers."""
    total = np.zeros_like(chosen)
    for number, size in enumerate(sizes):
        total += ((chosen >> number) & 1) * size
    return total


def _at(bits: Bits, where: IntArray) -> Bits:
    one, other = bits
    return one[where], other[where]
