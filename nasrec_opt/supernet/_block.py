"""One choice block: its inputs, its operators, and its mergers (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from nasrec_opt.space import BlockGene, BlockLiveness
from nasrec_opt.supernet._initializer import Initializer
from nasrec_opt.supernet._inputs import BlockInput, Capacity, SparseOutput
from nasrec_opt.supernet._operators import (
    MODULES,
    DenseToSparse,
    FactorizationMachine,
)
from nasrec_opt.supernet._readers import WeightReader

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class BlockOutput:
    """The outputs of a block; a part that was not wanted is None.

    Args:
        dense: The dense output, `[batch, dense_width]`.
        sparse: The sparse output.
        dense_sum: Sum of the dense operators, before mergers.
        sparse_sum: Sum of the sparse operators, before mergers, `[batch, dim, sparse_width]`.
    """

    dense: Tensor | None
    sparse: SparseOutput | None
    dense_sum: Tensor | None
    sparse_sum: Tensor | None


class Block(nn.Module):
    """The operators of one block, for any gene within its capacity.

    Args:
        capacity: Its largest inputs and outputs.
        dense_ops: Dense operators to build.
        sparse_ops: Sparse operators to build.
        has_sparse_to_dense: Whether to build the sparse-to-dense merger.
        has_dense_to_sparse: Whether to build the dense-to-sparse merger.
        draw: Draws the weights.
    """

    def __init__(
        self,
        capacity: Capacity,
        *,
        dense_ops: Iterable[str],
        sparse_ops: Iterable[str],
        has_sparse_to_dense: bool,
        has_dense_to_sparse: bool,
        draw: Initializer,
    ) -> None:
        super().__init__()
        self.capacity = capacity
        self.dense = nn.ModuleDict({op: MODULES[op](capacity, draw.of(op)) for op in dense_ops})
        self.sparse = nn.ModuleDict({op: MODULES[op](capacity, draw.of(op)) for op in sparse_ops})
        self.fm = FactorizationMachine(capacity, draw.of("fm")) if has_sparse_to_dense else None
        self.rows = DenseToSparse(capacity, draw.of("rows")) if has_dense_to_sparse else None

    def forward(
        self,
        gene: BlockGene,
        live: BlockLiveness,
        dense: Mapping[int, Tensor],
        sparse: Mapping[int, SparseOutput],
        reader: WeightReader,
        *,
        dense_sum: Tensor | None = None,
        sparse_sum: Tensor | None = None,
    ) -> BlockOutput:
        """Run the parts of the block that reach the logit.

        Args:
            gene: The operators to run, their widths and inputs.
            live: The parts to compute.
            dense: Dense outputs so far, `[batch, width]`, by block; 0 = raw features.
            sparse: Sparse outputs so far, by block.
            reader: How weights are read.
            dense_sum: Sum of the dense operators, if it is known and `live` leaves it out.
            sparse_sum: The same for the sparse operators.
        """
        joined = None
        if live.reads_sparse:
            vectors = [sparse[i].vectors for i in gene.sparse_inputs]
            joined = vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=-1)

        def given(weight_bits: int, activation_bits: int, *, is_dense: bool) -> BlockInput:
            reads_dense = is_dense and live.dense_pre
            two = (gene.left_input, gene.right_input) if reads_dense else (None, None)
            return BlockInput(
                dense={i: dense[i] for i in gene.dense_inputs} if reads_dense else {},
                sparse={i: sparse[i] for i in gene.sparse_inputs} if joined is not None else {},
                joined=joined,
                left=None if two[0] is None else dense[two[0]],
                right=None if two[1] is None else dense[two[1]],
                weight_bits=weight_bits,
                activation_bits=activation_bits,
            )

        dense_given = given(gene.dense_weight_bits, gene.dense_activation_bits, is_dense=True)
        if live.dense_pre:
            dense_sum = _added(
                self.dense[op](dense_given, gene.dense_width, reader) for op in gene.dense_ops
            )
        if live.sparse_pre:
            sparse_given = given(
                gene.sparse_weight_bits, gene.sparse_activation_bits, is_dense=False
            )
            sparse_sum = _added(
                self.sparse[op](sparse_given, gene.sparse_width, reader) for op in gene.sparse_ops
            )
        dense_out, sparse_out = dense_sum, None
        if live.use_sparse_to_dense:
            factors = _known(sparse_sum if gene.sparse_ops else joined)
            merged = _known(self.fm)(dense_given, factors, gene.dense_width, reader)
            dense_out = _known(dense_sum) + merged
        if live.sparse_out:
            own = _known(sparse_sum)
            sparse_out = SparseOutput(own)
            if live.use_dense_to_sparse:
                merged = _known(self.rows)(dense_given, _known(dense_sum), reader)
                both = torch.cat([own, merged], dim=-1)
                sparse_out = SparseOutput(both, has_dense_to_sparse=True)
        return BlockOutput(dense_out if live.dense_out else None, sparse_out, dense_sum, sparse_sum)


def _known(part: Part | None) -> Part:
    """A part of the block that its liveness says is there."""
    assert part is not None
    return part


def _added(outputs: Iterable[Tensor]) -> Tensor:
    """Outputs of the operators of one branch, added."""
    total, *others = outputs
    for output in others:
        total = total + output
    return total
