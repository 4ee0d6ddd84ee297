"""The workload of one genotype."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hw import Digital, Lookup, MatrixVector, Operation, Workload, join
from nasrec_opt.features import FeatureSpec
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
from nasrec_opt.space import (
    MERGER_ROWS,
    BlockGene,
    BlockLiveness,
    Genotype,
    liveness,
    reads_sparse_inputs,
)

EMBEDDING, FIRST_ORDER, MEAN = "embedding", "wide", "mean"
Names = tuple[str, ...]
Bits = tuple[int, int]


def lower(genotype: Genotype, features: FeatureSpec) -> Workload:
    """The workload of one sample of a genotype.

    Args:
        genotype: The architecture; its bits are the bits of the products.
        features: Shape of the input.

    Returns:
        Operations named `block/operator/part`, e.g. `2/dot/rows`.
    """
    return _Lowering(genotype, features).workload()


def lower_ensemble(
    genotypes: Sequence[Genotype], features: FeatureSpec, *, at_once: bool
) -> Workload:
    """The workload of one sample of an ensemble: all its models, and the mean of their logits.

    Each model has tables and weights of its own.

    Args:
        genotypes: The architectures, at their bits.
        features: Shape of the input.
        at_once: Whether the models run side by side, as where products are computed where their
            weights are, or one after another.

    Returns:
        Operations named `member/block/operator/part`, and `mean`.
    """
    members = [lower(genotype, features) for genotype in genotypes]
    together = join(members, at_once=at_once)
    mean = Digital(
        name=MEAN,
        operator=MEAN,
        macs=1,  # by the reciprocal of their number
        additions=len(members) - 1,
        bits=max(genotype.final_bits for genotype in genotypes),
        after=tuple(
            f"{place}/{member.operations[-1].name}" for place, member in enumerate(members, start=1)
        ),
    )
    return Workload((*together.operations, mean))


class _Lowering:
    """Walks the blocks once; `dense` and `sparse` remember widths and who makes them."""

    def __init__(self, genotype: Genotype, features: FeatureSpec) -> None:
        self.genotype = genotype
        self.features = features
        self.dim = features.embedding_dim
        self.operations: list[Operation] = []
        self.dense: dict[int, int] = {0: max(features.num_dense, 1)}
        self.sparse: dict[int, int] = {0: features.num_sparse}
        # Operations that a block's output needs; raw dense features need none.
        self.dense_from: dict[int, Names] = {0: ()}
        self.sparse_from: dict[int, Names] = {0: (EMBEDDING,)}

    def workload(self) -> Workload:
        self.operations.append(
            Lookup(
                name=EMBEDDING,
                rows=self.features.num_sparse,
                dim=self.dim,
                table_rows=sum(self.features.cardinalities),
            )
        )
        for number, live in enumerate(liveness(self.genotype), start=1):
            if live.dense_pre or live.sparse_pre:
                self._block(number, self.genotype.blocks[number - 1], live)
        last = self.genotype.num_blocks
        values, bits = self.dense[last] + self.dim * self.sparse[last], self.genotype.final_bits
        final = (Product("", (DENSE, ROWS), values, 1, extra=1),)
        given = {DENSE: self.dense_from[last], ROWS: self.sparse_from[last]}
        logit = self._put("final", "final", final, given, (bits, bits))
        if self.genotype.wide:
            self._first_order(logit, (bits, bits))
        return Workload(tuple(self.operations))

    def _block(self, number: int, gene: BlockGene, live: BlockLiveness) -> None:
        dense_bits = (gene.dense_weight_bits, gene.dense_activation_bits)
        sparse_bits = (gene.sparse_weight_bits, gene.sparse_activation_bits)
        shapes, given = self._given(gene, live)
        dense_pre = sparse_pre = made = ()
        if live.dense_pre:
            for op in gene.dense_ops:
                parts = FORMULAS[op](shapes)
                made = (*made, *self._put(f"{number}/{op}", op, parts, given, dense_bits))
            dense_pre = self._added(f"{number}/dense/add", made, gene.dense_width, dense_bits)
        made = ()
        if live.sparse_pre:
            for op in gene.sparse_ops:
                parts = FORMULAS[op](shapes)
                made = (*made, *self._put(f"{number}/{op}", op, parts, given, sparse_bits))
            units = gene.sparse_width * self.dim
            sparse_pre = self._added(f"{number}/sparse/add", made, units, sparse_bits)
        given = {DENSE: dense_pre, ROWS: sparse_pre, OTHER: dense_pre}
        if live.dense_out:
            self.dense[number] = gene.dense_width
            self.dense_from[number] = dense_pre
            if live.use_fm:
                merged = self._put(f"{number}/fm", "fm", fm(shapes), given, dense_bits)
                self.dense_from[number] = merged
        if live.sparse_out:
            self.sparse[number] = gene.sparse_width
            self.sparse_from[number] = sparse_pre
            if live.use_rows:
                self.sparse[number] += MERGER_ROWS
                name, parts = "dense_to_sparse", dense_to_sparse(shapes)
                merged = self._put(f"{number}/{name}", name, parts, given, dense_bits)
                self.sparse_from[number] = (*sparse_pre, *merged)

    def _first_order(self, logit: Names, bits: Bits) -> None:
        """The first-order term, added to the final layer's result."""
        columns, lookup = self.features.num_sparse, f"{FIRST_ORDER}/lookup"
        rows = sum(self.features.cardinalities)
        self.operations.append(
            Lookup(name=lookup, operator=FIRST_ORDER, rows=columns, dim=1, table_rows=rows)
        )
        parts = first_order(self.features.num_dense, columns)
        self._put(FIRST_ORDER, FIRST_ORDER, parts, {ROWS: (lookup,), OTHER: logit}, bits)

    def _given(self, gene: BlockGene, live: BlockLiveness) -> tuple[Shapes, dict[str, Names]]:
        """Shapes of a block, and who makes its inputs."""
        dense = sparse = left = right = 0
        given: dict[str, Names] = {DENSE: (), TWO: (), ROWS: ()}
        if live.dense_pre:
            dense = sum(self.dense[i] for i in gene.dense_inputs)
            given[DENSE] = _union(self.dense_from[i] for i in gene.dense_inputs)
            if gene.left_input is not None and gene.right_input is not None:
                two = (gene.left_input, gene.right_input)
                left, right = (self.dense[i] for i in two)
                given[TWO] = _union(self.dense_from[i] for i in two)
        if reads_sparse_inputs(gene, live):
            sparse = sum(self.sparse[i] for i in gene.sparse_inputs)
            given[ROWS] = _union(self.sparse_from[i] for i in gene.sparse_inputs)
        shapes = Shapes(
            dim=self.dim,
            width=gene.dense_width,
            rows=gene.sparse_width,
            dense=dense,
            sparse=sparse,
            left=left,
            right=right,
        )
        return shapes, given

    def _put(
        self, prefix: str, operator: str, parts: Parts, given: dict[str, Names], bits: Bits
    ) -> Names:
        """Append the parts of an operator; the names of what makes its result."""
        needs, result = dict(given), ()
        for part in parts:
            after = _union(needs[name] for name in part.after)
            if part.present:
                name = f"{prefix}/{part.part}" if part.part else prefix
                self.operations.append(_operation(name, operator, part, after, bits))
                needs[part.part] = (name,)
            elif part.part not in needs:
                needs[part.part] = after
            result = needs[part.part]
        return result

    def _added(self, name: str, made: Names, units: int, bits: Bits) -> Names:
        """The sum of outputs of `units` values each; one alone needs no addition."""
        if len(made) < 2:
            return made
        work = Work("", (OTHER,), additions=(len(made) - 1) * units)
        return self._put(name, "add", (work,), {OTHER: made}, bits)


def _operation(
    name: str, operator: str, part: Product | Work, after: Names, bits: Bits
) -> Operation:
    if isinstance(part, Product):
        return MatrixVector(
            name=name,
            operator=operator,
            inputs=part.inputs,
            outputs=part.outputs,
            repeats=part.repeats,
            weight_bits=bits[0],
            activation_bits=bits[1],
            extra_parameters=part.extra,
            paper_macs=part.paper_macs,
            after=after,
        )
    return Digital(
        name=name,
        operator=operator,
        macs=part.macs,
        unit_macs=part.unit_macs,
        additions=part.additions,
        special_functions=part.special,
        bits=bits[1],  # it works on activations
        extra_parameters=part.extra,
        after=after,
    )


def _union(groups: Iterable[Names]) -> Names:
    """Names of several groups, each once, in order."""
    return tuple(dict.fromkeys(name for group in groups for name in group))
