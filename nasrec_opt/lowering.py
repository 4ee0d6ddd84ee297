"""From a genotype to a hardware workload: the one bridge between the two.

Operators, shapes and the order of their parts are those of the supernet; what cannot reach the
logit is not there (`liveness`). Layer norms, activations, residuals and the addition of several
operators' outputs are digital work at the bits of the activations, and count no MACs, as in the
paper's Table 5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from hw import CostModel, Digital, Lookup, MatrixVector, Operation, ReRAM, Workload
from nasrec_opt.features import FeatureSpec
from nasrec_opt.space import (
    MERGER_ROWS,
    BlockGene,
    BlockLiveness,
    Genotype,
    HardwareGene,
    liveness,
    reads_sparse_inputs,
)

EMBEDDING = "embedding"
LAYER_NORM_ADDITIONS, LAYER_NORM_MACS = 3, 3  # per unit: mean, centre, variance, scale, shift
MOST_HEADS = 8
Model = TypeVar("Model", bound=CostModel)


def lower(genotype: Genotype, features: FeatureSpec) -> Workload:
    """The workload of one sample of a genotype.

    Args:
        genotype: The architecture; its bits are the bits of the products.
        features: Shape of the input.

    Returns:
        Operations named `block/operator/part`, e.g. `2/dot/rows`.
    """
    return _Lowering(genotype, features).workload()


def configure(accelerator: Model, gene: HardwareGene) -> Model:
    """The accelerator with a genotype's accelerator genes; others than ReRAM stay as they are."""
    if not isinstance(accelerator, ReRAM):
        return accelerator
    return accelerator.with_parameters(**gene.to_dict())


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
        self.dense_from: dict[int, tuple[str, ...]] = {0: ()}
        self.sparse_from: dict[int, tuple[str, ...]] = {0: (EMBEDDING,)}

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
        self._product(
            "final",
            "final",
            self.dense[last] + self.dim * self.sparse[last],
            1,
            after=(*self.dense_from[last], *self.sparse_from[last]),
            bits=(8, 8),
            extra=1,
        )
        return Workload(tuple(self.operations))

    def _block(self, number: int, gene: BlockGene, live: BlockLiveness) -> None:
        dense_bits = (gene.dense_weight_bits, gene.dense_activation_bits)
        sparse_bits = (gene.sparse_weight_bits, gene.sparse_activation_bits)
        rows, rows_from = 0, ()
        if reads_sparse_inputs(gene, live):
            rows = sum(self.sparse[i] for i in gene.sparse_inputs)
            rows_from = _union(self.sparse_from[i] for i in gene.sparse_inputs)
        dense_pre: tuple[str, ...] = ()
        if live.dense_pre:
            made = self._operators(gene.dense_ops, number, gene, rows, rows_from, dense_bits)
            dense_pre = self._added(f"{number}/dense/add", made, gene.dense_width, dense_bits)
        sparse_pre: tuple[str, ...] = ()
        if live.sparse_pre:
            made = self._operators(gene.sparse_ops, number, gene, rows, rows_from, sparse_bits)
            units = gene.sparse_width * self.dim
            sparse_pre = self._added(f"{number}/sparse/add", made, units, sparse_bits)
        if live.dense_out:
            self.dense[number] = gene.dense_width
            self.dense_from[number] = dense_pre
            if live.use_fm:
                made = (*dense_pre, self._fm(number, gene, sparse_pre, dense_bits))
                self.dense_from[number] = self._added(
                    f"{number}/fm/add", made, gene.dense_width, dense_bits, operator="fm"
                )
        if live.sparse_out:
            self.sparse[number] = gene.sparse_width
            self.sparse_from[number] = sparse_pre
            if live.use_rows:
                self.sparse[number] += MERGER_ROWS
                rows_name = self._rows(number, gene, dense_pre, dense_bits)
                self.sparse_from[number] = (*sparse_pre, rows_name)

    def _operators(
        self,
        operators: Iterable[str],
        number: int,
        gene: BlockGene,
        rows: int,
        rows_from: tuple[str, ...],
        bits: tuple[int, int],
    ) -> tuple[str, ...]:
        """Lower the operators of one branch; the names of what makes their outputs."""
        return tuple(
            getattr(self, f"_{op}")(number, gene, rows, rows_from, bits) for op in operators
        )

    def _added(
        self,
        name: str,
        made: tuple[str, ...],
        units: int,
        bits: tuple[int, int],
        *,
        operator: str = "add",
    ) -> tuple[str, ...]:
        """The sum of outputs of `units` values each; one alone needs no addition."""
        if len(made) < 2:
            return made
        additions = (len(made) - 1) * units
        return (self._digital(name, operator, after=made, bits=bits, additions=additions),)

    def _fc(
        self,
        number: int,
        gene: BlockGene,
        _rows: int,
        _from: tuple[str, ...],
        bits: tuple[int, int],
    ) -> str:
        width = sum(self.dense[i] for i in gene.dense_inputs)
        after = _union(self.dense_from[i] for i in gene.dense_inputs)
        n = gene.dense_width
        product = self._product(f"{number}/fc", "fc", width, n, after=after, bits=bits, extra=2 * n)
        return self._norm(f"{number}/fc/norm", "fc", n, product, bits=bits, additions=n)

    def _gate(
        self,
        number: int,
        gene: BlockGene,
        _rows: int,
        _from: tuple[str, ...],
        bits: tuple[int, int],
    ) -> str:
        left, right, after = self._pair(gene)
        n, padded = gene.dense_width, max(left, right)
        name = self._product(
            f"{number}/gate",
            "gate",
            left,
            right,
            after=after,
            bits=bits,
            extra=right,
            paper_macs=padded * padded,
        )
        name = self._digital(
            f"{number}/gate/multiply",
            "gate",
            after=(name,),
            bits=bits,
            unit_macs=right,
            special=right,
        )
        if padded != n:
            name = self._product(
                f"{number}/gate/output",
                "gate",
                right,
                n,
                after=(name,),
                bits=bits,
                extra=n,
                paper_macs=padded * n,
            )
        return self._norm(f"{number}/gate/norm", "gate", n, name, bits=bits, own_parameters=True)

    def _sum(
        self,
        number: int,
        gene: BlockGene,
        _rows: int,
        _from: tuple[str, ...],
        bits: tuple[int, int],
    ) -> str:
        left, right, after = self._pair(gene)
        n, padded = gene.dense_width, max(left, right)
        name = self._digital(
            f"{number}/sum", "sum", after=after, bits=bits, additions=min(left, right)
        )
        if padded != n:
            name = self._product(f"{number}/sum/output", "sum", padded, n, after=(name,), bits=bits)
        return self._norm(f"{number}/sum/norm", "sum", n, name, bits=bits, own_parameters=True)

    def _dot(
        self,
        number: int,
        gene: BlockGene,
        rows: int,
        rows_from: tuple[str, ...],
        bits: tuple[int, int],
    ) -> str:
        n, dim = gene.dense_width, self.dim
        k = round((2 * n) ** 0.5)
        width = sum(self.dense[i] for i in gene.dense_inputs)
        made = _union(self.dense_from[i] for i in gene.dense_inputs)
        if width != dim:
            vector = self._product(
                f"{number}/dot/vector", "dot", width, dim, after=made, bits=bits, extra=2 * dim
            )
            made = (self._norm(f"{number}/dot/vector_norm", "dot", dim, vector, bits=bits),)
        if rows != k:
            balance = self._product(
                f"{number}/dot/rows",
                "dot",
                rows,
                k,
                repeats=dim,
                after=rows_from,
                bits=bits,
                extra=2 * k,
            )
            rows_from = (self._norm(f"{number}/dot/rows_norm", "dot", k * dim, balance, bits=bits),)
        pairs = (k + 1) * k // 2
        name = self._digital(
            f"{number}/dot/gram",
            "dot",
            after=_union((made, rows_from)),
            bits=bits,
            macs=(k + 1) ** 2 * dim,
            unit_macs=pairs * dim,
        )
        if pairs != n:
            name = self._product(f"{number}/dot/output", "dot", pairs, n, after=(name,), bits=bits)
        return self._norm(f"{number}/dot/norm", "dot", n, name, bits=bits, own_parameters=True)

    def _efc(
        self,
        number: int,
        gene: BlockGene,
        rows: int,
        rows_from: tuple[str, ...],
        bits: tuple[int, int],
    ) -> str:
        n, dim = gene.sparse_width, self.dim
        product = self._product(
            f"{number}/efc", "efc", rows, n, repeats=dim, after=rows_from, bits=bits, extra=2 * n
        )
        return self._norm(
            f"{number}/efc/norm", "efc", n * dim, product, bits=bits, additions=n * dim
        )

    def _attn(
        self,
        number: int,
        gene: BlockGene,
        rows: int,
        rows_from: tuple[str, ...],
        bits: tuple[int, int],
    ) -> str:
        n, dim = gene.sparse_width, self.dim
        heads = next(h for h in range(min(MOST_HEADS, dim), 0, -1) if dim % h == 0)

        def product(part: str, outputs: int, after: str, paper_macs: int | None, extra: int) -> str:
            return self._product(
                f"{number}/attn/{part}",
                "attn",
                dim,
                outputs,
                repeats=n,
                after=(after,),
                bits=bits,
                extra=extra,
                paper_macs=paper_macs,
            )

        rows_name = self._product(
            f"{number}/attn/rows",
            "attn",
            rows,
            n,
            repeats=dim,
            after=rows_from,
            bits=bits,
            extra=2 * n,
        )
        units = n * dim
        name = self._norm(f"{number}/attn/rows_norm", "attn", units, rows_name, bits=bits)
        name = product("query_key_value", 3 * dim, name, 0, 3 * dim)
        name = self._digital(
            f"{number}/attn/scores",
            "attn",
            after=(name,),
            bits=bits,
            macs=2 * n * n * dim,
            additions=3 * heads * n * n,
            special=heads * n * (n + 1),
        )
        name = product("mix", dim, name, 0, dim + 2 * dim)
        name = self._norm(  # with the residual
            f"{number}/attn/norm", "attn", units, name, bits=bits, additions=units
        )
        name = product("inner", dim, name, None, dim)
        name = product("outer", dim, name, None, dim + 2 * dim)
        both = 2 * units  # the ReLU before the outer product, and the residual
        return self._norm(
            f"{number}/attn/outer_norm", "attn", units, name, bits=bits, additions=both
        )

    def _fm(
        self, number: int, gene: BlockGene, after: tuple[str, ...], bits: tuple[int, int]
    ) -> str:
        rows, dim, n = gene.sparse_width, self.dim, gene.dense_width
        name = self._digital(
            f"{number}/fm",
            "fm",
            after=after,
            bits=bits,
            unit_macs=(rows + 1) * dim,
            additions=(2 * (rows - 1) + 1) * dim,
        )
        if dim == n:
            return name
        product = self._product(
            f"{number}/fm/output", "fm", dim, n, after=(name,), bits=bits, extra=2 * n
        )
        return self._norm(f"{number}/fm/norm", "fm", n, product, bits=bits)

    def _rows(
        self, number: int, gene: BlockGene, after: tuple[str, ...], bits: tuple[int, int]
    ) -> str:
        size = MERGER_ROWS * self.dim
        if gene.dense_width == size:
            return self._digital(
                f"{number}/dense_to_sparse", "dense_to_sparse", after=after, bits=bits
            )
        product = self._product(
            f"{number}/dense_to_sparse",
            "dense_to_sparse",
            gene.dense_width,
            size,
            after=after,
            bits=bits,
            extra=2 * size,
        )
        return self._norm(
            f"{number}/dense_to_sparse/norm", "dense_to_sparse", size, product, bits=bits
        )

    def _pair(self, gene: BlockGene) -> tuple[int, int, tuple[str, ...]]:
        """Widths of the left and right input, and what they need."""
        assert gene.left_input is not None
        assert gene.right_input is not None
        two = (gene.left_input, gene.right_input)
        left, right = (self.dense[i] for i in two)
        return left, right, _union(self.dense_from[i] for i in two)

    def _product(
        self,
        name: str,
        operator: str,
        inputs: int,
        outputs: int,
        *,
        after: tuple[str, ...],
        bits: tuple[int, int],
        repeats: int = 1,
        extra: int = 0,
        paper_macs: int | None = None,
    ) -> str:
        self.operations.append(
            MatrixVector(
                name=name,
                operator=operator,
                inputs=inputs,
                outputs=outputs,
                repeats=repeats,
                weight_bits=bits[0],
                activation_bits=bits[1],
                extra_parameters=extra,
                paper_macs=paper_macs,
                after=after,
            )
        )
        return name

    def _digital(
        self,
        name: str,
        operator: str,
        *,
        after: tuple[str, ...],
        bits: tuple[int, int],
        macs: int = 0,
        unit_macs: int | None = None,
        additions: int = 0,
        special: int = 0,
        extra: int = 0,
    ) -> str:
        self.operations.append(
            Digital(
                name=name,
                operator=operator,
                macs=macs,
                unit_macs=unit_macs,
                additions=additions,
                special_functions=special,
                bits=bits[1],  # it works on activations
                extra_parameters=extra,
                after=after,
            )
        )
        return name

    def _norm(
        self,
        name: str,
        operator: str,
        units: int,
        after: str,
        *,
        bits: tuple[int, int],
        additions: int = 0,
        own_parameters: bool = False,
    ) -> str:
        """Layer norm over `units` values, and the additions and comparisons that go with it."""
        return self._digital(
            name,
            operator,
            after=(after,),
            bits=bits,
            unit_macs=LAYER_NORM_MACS * units,
            additions=LAYER_NORM_ADDITIONS * units + additions,
            special=1,
            extra=2 * units if own_parameters else 0,
        )


def _union(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Names of several groups, each once, in order."""
    return tuple(dict.fromkeys(name for group in groups for name in group))
