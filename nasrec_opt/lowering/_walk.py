"""The walk from genes to operations: one, for one genotype and for many at once.

Genes and shapes are integers, or arrays `[genotypes]` on which the same arithmetic holds. A sink
decides what an operation becomes: an object of a `Workload`, or columns of a `Batch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering._genes import Count, Flag, Genes
from nasrec_opt.lowering._operators import (
    DENSE,
    FORMULAS,
    OTHER,
    SPARSE,
    TWO,
    Parts,
    Product,
    Shapes,
    Work,
    dense_to_sparse,
    first_order,
    fm,
)
from nasrec_opt.space import DENSE_OPS, MERGER_VECTORS, SPARSE_OPS, BlockLiveness

EMBEDDING, FIRST_ORDER = "embedding", "wide"
Made = tuple[Any, ...]  # the producers of a value: names of operations, or numbers of slots
Bits = tuple[Count, Count]  # of weights and of activations
_FORMULAS = FORMULAS | {"fm": fm, "dense_to_sparse": dense_to_sparse}
Where = Any  # which genotypes have an operation; None where none has it


class Sink(Protocol):
    """Takes the operations of one genotype, or of many."""

    everywhere: Where

    def where(self, has: Flag) -> Where:
        """Which genotypes have something, or None if none has it."""

    def at(self, values: tuple[Any, ...], where: Where) -> tuple[Any, ...]:
        """The entries of those genotypes."""

    def total(self, sizes: Sequence[Count], chosen: Count) -> Count:
        """Sum of the sizes of the inputs that are chosen, a mask."""

    def gather(self, made: Sequence[Made], *chosen: Count) -> Made:
        """The producers of the inputs that some masks choose."""

    def either(self, new: Made, old: Made) -> Made:
        """The producer of a value: the new one if it exists, otherwise the old one."""

    def lookup(
        self, where: Where, name: str, operator: str, *, vectors: int, dim: int, table_rows: int
    ) -> Made:
        """Add the lookup of embedding vectors."""

    def part(
        self,
        where: Where,
        name: str,
        operator: str,
        part: Product | Work,
        *,
        after: Made,
        bits: Bits,
        before: Made | None,
    ) -> Made:
        """Add a part of an operator where it is present.

        Args:
            where: Which genotypes have the operator.
            name: Of the part.
            operator: What a breakdown lists it under.
            part: The part; its fields have an entry for each genotype of `where`.
            after: The producers of its inputs; they take its place in genotypes without the part.
            bits: Of weights and of activations.
            before: The producers of an earlier part of the same name.

        Returns:
            The producers of the part's result.
        """


class Branch(NamedTuple):
    """The operators of one side of a block.

    Args:
        name: Of the branch.
        ops: All operators of that side, in the order of their table.
        live: Whether it runs.
        chosen: The operators that it has, a mask.
        units: Values of each operator's output.
    """

    name: str
    ops: tuple[str, ...]
    live: Flag
    chosen: Count
    units: Count


class Walk:
    """Walks the blocks once, and remembers the size and the producers of each output.

    Args:
        sink: Takes the operations.
        features: Shape of the input.
        balance: Whether dot products project their vectors (section 4.2).
        layer_norm: Whether a layer norm follows each operator.
    """

    def __init__(
        self, sink: Sink, features: FeatureSpec, *, balance: bool, layer_norm: bool = True
    ) -> None:
        self.sink = sink
        self.features = features
        self.dim = features.embedding_dim
        self.balance = balance
        self.layer_norm = layer_norm
        self.dense: list[Count] = [max(features.num_dense, 1)]
        self.sparse: list[Count] = [features.num_sparse]
        self.dense_from: list[Made] = [()]  # raw dense features need no operation
        self.sparse_from: list[Made] = []

    def run(
        self,
        blocks: Sequence[Genes],
        lives: Sequence[BlockLiveness],
        *,
        final_bits: Count,
        wide: Flag,
    ) -> None:
        """Add every operation, in an order in which they could run.

        Args:
            blocks: The genes of each block.
            lives: Which of its parts reach the logit.
            final_bits: Of the final layer and the first-order term.
            wide: Whether there is a first-order term.
        """
        features, everywhere = self.features, self.sink.everywhere
        table_rows = sum(features.cardinalities)
        embedding = self.sink.lookup(
            everywhere,
            EMBEDDING,
            EMBEDDING,
            vectors=features.num_sparse,
            dim=self.dim,
            table_rows=table_rows,
        )
        self.sparse_from.append(embedding)
        for number, (genes, live) in enumerate(zip(blocks, lives, strict=True), start=1):
            self._block(number, genes, live)
        values = self.dense[-1] + self.dim * self.sparse[-1]
        final = (Product("", (DENSE, SPARSE), values, 1, extra=1),)
        given = {DENSE: self.dense_from[-1], SPARSE: self.sparse_from[-1]}
        logit = self._put(everywhere, "final", "final", final, given, (final_bits, final_bits))
        where = self.sink.where(wide)
        if where is None:
            return
        columns = features.num_sparse
        weights = self.sink.lookup(
            where,
            f"{FIRST_ORDER}/lookup",
            FIRST_ORDER,
            vectors=columns,
            dim=1,
            table_rows=table_rows,
        )
        parts = first_order(features.num_dense, columns)
        given = {SPARSE: weights, OTHER: logit}
        (bits,) = self.sink.at((final_bits,), where)
        self._put(where, FIRST_ORDER, FIRST_ORDER, parts, given, (bits, bits))

    def _block(self, number: int, genes: Genes, live: BlockLiveness) -> None:
        dense_bits = (genes.dense_weight_bits, genes.dense_activation_bits)
        sparse_bits = (genes.sparse_weight_bits, genes.sparse_activation_bits)
        # Parts that do not run read nothing.
        dense_inputs = live.dense_pre * genes.dense_inputs
        sparse_inputs = live.reads_sparse * genes.sparse_inputs
        left, right = live.dense_pre * genes.left, live.dense_pre * genes.right
        total, gather, where = self.sink.total, self.sink.gather, self.sink.where
        shapes = Shapes(
            dim=self.dim,
            width=genes.dense_width,
            vectors=genes.sparse_width,
            dense=total(self.dense, dense_inputs),
            sparse=total(self.sparse, sparse_inputs),
            left=total(self.dense, left),
            right=total(self.dense, right),
            balance=self.balance,
            layer_norm=self.layer_norm,
        )
        given = {
            DENSE: gather(self.dense_from, dense_inputs),
            SPARSE: gather(self.sparse_from, sparse_inputs),
            TWO: gather(self.dense_from, left, right),
        }
        dense = Branch(
            f"{number}/dense", DENSE_OPS, live.dense_pre, genes.dense_ops, genes.dense_width
        )
        sparse = Branch(
            f"{number}/sparse",
            SPARSE_OPS,
            live.sparse_pre,
            genes.sparse_ops,
            genes.sparse_width * self.dim,
        )
        dense_pre = self._branch(number, dense, shapes, given, dense_bits)
        sparse_pre = self._branch(number, sparse, shapes, given, sparse_bits)
        of_fm = sparse_pre
        has_none = genes.sparse_ops == 0
        if where(has_none) is not None:  # then FM reads the block's sparse inputs
            of_fm = self.sink.either(sparse_pre, gather(self.sparse_from, has_none * sparse_inputs))
        given = {DENSE: dense_pre, SPARSE: of_fm, OTHER: dense_pre}
        merged = self._operator(
            number, "fm", where(live.use_sparse_to_dense), shapes, given, dense_bits
        )
        self.dense.append(genes.dense_width)
        self.dense_from.append(self.sink.either(merged, dense_pre))
        merged = self._operator(
            number, "dense_to_sparse", where(live.use_dense_to_sparse), shapes, given, dense_bits
        )
        self.sparse.append(genes.sparse_width + MERGER_VECTORS * live.use_dense_to_sparse)
        self.sparse_from.append((*sparse_pre, *merged))

    def _branch(
        self,
        number: int,
        branch: Branch,
        shapes: Shapes,
        given: Mapping[str, Made],
        bits: Bits,
    ) -> Made:
        """Add the operators of a branch, and the sum of their outputs if there are several."""
        made: Made = ()
        several: Count = 0
        for place, op in enumerate(branch.ops):
            has = branch.live & ((branch.chosen >> place) & 1 > 0)
            several = several + has
            where = self.sink.where(has)
            if where is not None:
                made += self._operator(number, op, where, shapes, given, bits)
        where = self.sink.where(several > 1)
        if where is None:
            return made
        count, units, *bits_here = self.sink.at((several, branch.units, *bits), where)
        work = Work("", (OTHER,), additions=(count - 1) * units)
        weight_bits, activation_bits = bits_here
        added = self._put(
            where,
            f"{branch.name}/add",
            "add",
            (work,),
            {OTHER: made},
            (weight_bits, activation_bits),
        )
        return self.sink.either(added, made)

    def _operator(
        self,
        number: int,
        op: str,
        where: Where,
        shapes: Shapes,
        given: Mapping[str, Made],
        bits: Bits,
    ) -> Made:
        """Add an operator or a merger where it exists; returns the producers of its result."""
        if where is None:
            return ()
        parts = _FORMULAS[op](Shapes(*self.sink.at(shapes, where)))
        weight_bits, activation_bits = self.sink.at(bits, where)
        return self._put(where, f"{number}/{op}", op, parts, given, (weight_bits, activation_bits))

    def _put(
        self,
        where: Where,
        prefix: str,
        operator: str,
        parts: Parts,
        given: Mapping[str, Made],
        bits: Bits,
    ) -> Made:
        """Add the parts of an operator; returns the producers of its result."""
        needs = dict(given)
        result: Made = ()
        for part in parts:
            if len(part.after) == 1:  # most, and the union of one takes time
                after = needs[part.after[0]]
            else:
                after = union([needs[name] for name in part.after])
            result = needs[part.part] = self.sink.part(
                where,
                f"{prefix}/{part.part}" if part.part else prefix,
                operator,
                part,
                after=after,
                bits=bits,
                before=needs.get(part.part),
            )
        return result


def union(groups: Iterable[Made]) -> Made:
    """All members of several groups, each once, in order."""
    return tuple(dict.fromkeys(made for group in groups for made in group))
