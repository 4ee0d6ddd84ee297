"""The genes of many genotypes as columns, and which of their parts reach the logit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt.space import DENSE_OPS, SPARSE_OPS, BlockGene, Genotype, reads

IntArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_GENES = attrgetter(
    "dense_ops", "sparse_ops", "dense_inputs", "sparse_inputs", "dense_bits", "sparse_bits",
    "left_input", "right_input", "dense_width", "sparse_width", "dense_to_sparse",
    "sparse_to_dense",
)  # fmt: skip
_BITS = {op: 1 << index for ops in (DENSE_OPS, SPARSE_OPS) for index, op in enumerate(ops)}
_READ_SPARSE = sum(_BITS[op] for op in DENSE_OPS if reads("sparse_inputs", (op,)))


@dataclass(frozen=True, slots=True)
class Genes:
    """The genes of one block of each genotype, `[genotypes]` each; subsets are bit masks.

    Operators are numbered in the order of their tables, inputs as in a genotype; the left and the
    right input are masks of one bit, or of none.
    """

    dense_ops: IntArray
    sparse_ops: IntArray
    dense_inputs: IntArray
    sparse_inputs: IntArray
    dense_weight_bits: IntArray
    dense_activation_bits: IntArray
    sparse_weight_bits: IntArray
    sparse_activation_bits: IntArray
    left: IntArray
    right: IntArray
    dense_width: IntArray
    sparse_width: IntArray
    dense_to_sparse: Mask
    sparse_to_dense: Mask


@dataclass(frozen=True, slots=True)
class Live:
    """As `BlockLiveness`, of each genotype, `[genotypes]` each; and what `reads_sparse_inputs`."""

    dense_pre: Mask
    sparse_pre: Mask
    dense_out: Mask
    sparse_out: Mask
    use_fm: Mask
    use_rows: Mask
    reads_sparse: Mask


def genes_of(genotypes: Sequence[Genotype]) -> list[Genes]:
    """The genes of each block, first block first; all genotypes have as many blocks."""
    codes: dict[Any, int] = {None: 0}

    def code(values: tuple[Any, ...]) -> int:
        """A subset as a mask; genes repeat, so each is worked out once."""
        mask = codes[values] = sum(_BITS.get(value, 0) or 1 << value for value in values)
        return mask

    def row(gene: BlockGene) -> tuple[int, ...]:
        ops, sparse_ops, inputs, sparse_inputs, bits, sparse_bits, left, right, *rest = _GENES(gene)
        return (
            codes.get(ops) or code(ops),
            codes.get(sparse_ops) or code(sparse_ops),
            (codes.get(inputs) or code(inputs)) if inputs else 0,
            codes.get(sparse_inputs) or code(sparse_inputs),
            *((bits, bits) if isinstance(bits, int) else bits),
            *((sparse_bits, sparse_bits) if isinstance(sparse_bits, int) else sparse_bits),
            0 if left is None else 1 << left,
            0 if right is None else 1 << right,
            *rest,
        )

    rows = np.array([row(gene) for genotype in genotypes for gene in genotype.blocks], np.int64)
    columns = rows.reshape(len(genotypes), -1, 14).transpose(1, 2, 0)  # [blocks, genes, genotypes]
    return [Genes(*np.ascontiguousarray(block[:12]), *block[12:].astype(bool)) for block in columns]


def liveness_of(blocks: Sequence[Genes]) -> list[Live]:
    """What of each block reaches the logit; see `nasrec_opt.space.liveness`."""
    count = len(blocks)
    zeros = np.zeros_like(blocks[0].dense_inputs)
    # Outputs that somebody reads, as masks of block numbers; the logit reads the last block.
    dense_read, sparse_read = zeros + (1 << count), zeros + (1 << count)
    found: list[Live] = []
    for number in range(count, 0, -1):
        genes = blocks[number - 1]
        dense_out = (dense_read >> number) & 1 > 0
        sparse_out = (sparse_read >> number) & 1 > 0
        use_fm = dense_out & genes.sparse_to_dense
        use_rows = sparse_out & genes.dense_to_sparse
        dense_pre, sparse_pre = dense_out | use_rows, sparse_out | use_fm
        reads_sparse = sparse_pre | (dense_pre & (genes.dense_ops & _READ_SPARSE > 0))
        inputs = genes.dense_inputs | genes.left | genes.right
        dense_read = dense_read | np.where(dense_pre, inputs, 0)
        sparse_read = sparse_read | np.where(reads_sparse, genes.sparse_inputs, 0)
        found.append(
            Live(dense_pre, sparse_pre, dense_out, sparse_out, use_fm, use_rows, reads_sparse)
        )
    return found[::-1]
