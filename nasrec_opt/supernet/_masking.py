"""The paper's own way to run a subnet (Eq. 4): everything at full width, then multiplied by zero.

It is kept for comparison. Inputs that are not chosen are zeros of full width. Operators that are
not chosen run, and their results are multiplied by zero. Units beyond the active width are set to
zero only after layer normalisation, which is where slices (the default) differ. Weights are rounded
to the genotype's bits at full width, with scales over active and inactive inputs together.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nasrec_opt.space import BlockGene
from nasrec_opt.supernet._block import Block
from nasrec_opt.supernet._inputs import BlockInput, SparseOutput
from nasrec_opt.supernet._readers import WeightReader


def run_masked(
    block: Block,
    gene: BlockGene,
    dense: Mapping[int, Tensor],
    sparse: Mapping[int, SparseOutput],
    reader: WeightReader,
) -> tuple[Tensor, SparseOutput | None]:
    """Both outputs of a block, at full width; without sparse operators there is no sparse one.

    Args:
        block: A block of a supernet.
        gene: Its active operators, units and inputs.
        dense: Dense outputs so far, full width, by block; 0 = raw features.
        sparse: Sparse outputs so far, full width, by block.
        reader: How weights are read.
    """
    capacity = block.capacity
    masked_dense = {i: dense[i] * (i in gene.dense_inputs) for i in capacity.dense_sources}
    masked_sparse = {
        i: SparseOutput(
            sparse[i].vectors * (i in gene.sparse_inputs), sparse[i].has_dense_to_sparse
        )
        for i in capacity.sparse_sources
    }
    joined = torch.cat([values.vectors for values in masked_sparse.values()], dim=-1)

    def given(weight_bits: int, activation_bits: int) -> BlockInput:
        return BlockInput(
            dense=masked_dense,
            sparse=masked_sparse,
            joined=joined,
            left=dense[gene.left_input or 0],
            right=dense[gene.right_input or 0],
            weight_bits=weight_bits,
            activation_bits=activation_bits,
        )

    dense_given = given(gene.dense_weight_bits, gene.dense_activation_bits)
    sparse_given = given(gene.sparse_weight_bits, gene.sparse_activation_bits)
    width, vectors = capacity.dense_width, capacity.sparse_width
    dense_mask = _prefix(gene.dense_width, width, joined)
    dense_out = dense_mask * sum(
        operator(dense_given, width, reader) * (name in gene.dense_ops)
        for name, operator in block.dense.items()
    )
    sparse_out = None
    if block.sparse:
        sparse_out = _prefix(gene.sparse_width, vectors, joined) * sum(
            operator(sparse_given, vectors, reader) * (name in gene.sparse_ops)
            for name, operator in block.sparse.items()
        )
    merged_dense, merged_sparse = dense_out, sparse_out
    if block.fm is not None:
        of_fm = sparse_out if sparse_out is not None and gene.sparse_ops else joined
        merged = block.fm(dense_given, of_fm, width, reader)
        merged_dense = dense_out + merged * dense_mask * gene.sparse_to_dense
    if merged_sparse is None:
        return merged_dense, None
    if block.rows is not None:
        merged = block.rows(dense_given, dense_out, reader) * gene.dense_to_sparse
        merged_sparse = torch.cat([merged_sparse, merged], dim=-1)
    return merged_dense, SparseOutput(merged_sparse, has_dense_to_sparse=block.rows is not None)


def _prefix(active: int, width: int, like: Tensor) -> Tensor:
    """Ones for the active units, zeros for the others, `[width]`."""
    return (torch.arange(width, device=like.device) < active).to(like.dtype)
