"""A CTR model written from the paper's text, to be counted: inputs of a Gate are padded with zeros.

Nothing of the library is used but the genes. Weights are made where they are first needed, and an
output is computed where somebody asks for it, so that what no path to the logit uses never runs.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasrec_opt.space import BlockGene, Genotype

MERGER_VECTORS, MOST_HEADS = 8, 8


class PaddedModel(nn.Module):
    """Logits `[batch]` from dense features `[batch, m]` and embeddings `[batch, n, dim]`."""

    def __init__(self, genotype: Genotype) -> None:
        super().__init__()
        self.blocks = genotype.blocks
        self.linears = nn.ModuleDict()

    def forward(self, features: Tensor, embeddings: Tensor) -> Tensor:
        dim = embeddings.shape[2]
        dense = cache(lambda number: self.dense(number, dense_before, sparse_before, features))
        sparse = cache(lambda number: self.sparse(number, dense_before, sparse_before, embeddings))
        dense_before = cache(lambda number: self.operators(number, True, dense, sparse, dim))
        sparse_before = cache(lambda number: self.sparse_sum(number, dense, sparse, dim))
        last = len(self.blocks)
        joined = dense(last)
        if self.blocks[-1].sparse_ops:
            joined = torch.cat([joined, sparse(last).flatten(1)], dim=1)
        return self.linear("logit", joined, 1).squeeze(1)

    def dense(self, number, dense_before, sparse_before, features: Tensor) -> Tensor:
        if number == 0:
            return features
        gene, own = self.blocks[number - 1], dense_before(number)
        if not gene.sparse_to_dense:
            return own
        rows = sparse_before(number)
        merged = rows.sum(1) ** 2 - (rows**2).sum(1)
        if merged.shape[1] != gene.dense_width:
            merged = norm(self.linear(f"{number}/fm", merged, gene.dense_width))
        return own + merged

    def sparse(self, number, dense_before, sparse_before, embeddings: Tensor) -> Tensor:
        if number == 0:
            return embeddings
        gene, own = self.blocks[number - 1], sparse_before(number)
        if not gene.dense_to_sparse:
            return own
        dim, vector = embeddings.shape[2], dense_before(number)
        if vector.shape[1] != MERGER_VECTORS * dim:
            vector = norm(self.linear(f"{number}/rows", vector, MERGER_VECTORS * dim))
        return torch.cat([own, vector.reshape(-1, MERGER_VECTORS, dim)], dim=1)

    def sparse_sum(self, number: int, dense, sparse, dim: int) -> Tensor:
        """What FM reads: the sparse operators' sum, or without any the block's sparse inputs."""
        gene = self.blocks[number - 1]
        if not gene.sparse_ops:
            return torch.cat([sparse(i) for i in gene.sparse_inputs], dim=1)
        return self.operators(number, False, dense, sparse, dim)

    def operators(self, number: int, is_dense: bool, dense, sparse, dim: int) -> Tensor:
        """The sum of a block's operators in one branch, before the mergers."""
        gene = self.blocks[number - 1]
        return sum(
            getattr(self, op)(f"{number}/{op}", gene, dense, sparse, dim)
            for op in (gene.dense_ops if is_dense else gene.sparse_ops)
        )

    def fc(self, name: str, gene: BlockGene, dense, sparse, dim: int) -> Tensor:
        joined = torch.cat([dense(i) for i in gene.dense_inputs], dim=1)
        return torch.relu(norm(self.linear(name, joined, gene.dense_width)))

    def gate(self, name: str, gene: BlockGene, dense, sparse, dim: int) -> Tensor:
        left, right = padded(dense(gene.left_input), dense(gene.right_input))
        values = torch.sigmoid(self.linear(name, left, left.shape[1])) * right
        if values.shape[1] != gene.dense_width:
            values = self.linear(f"{name}/output", values, gene.dense_width)
        return norm(values)

    def sum(self, name: str, gene: BlockGene, dense, sparse, dim: int) -> Tensor:
        left, right = padded(dense(gene.left_input), dense(gene.right_input))
        values = left + right
        if values.shape[1] != gene.dense_width:
            values = self.linear(f"{name}/output", values, gene.dense_width)
        return norm(values)

    def dot(self, name: str, gene: BlockGene, dense, sparse, dim: int) -> Tensor:
        vector = torch.cat([dense(i) for i in gene.dense_inputs], dim=1)
        rows = torch.cat([sparse(i) for i in gene.sparse_inputs], dim=1)
        if vector.shape[1] != dim:
            vector = norm(self.linear(f"{name}/vector", vector, dim))
        count = round(math.sqrt(2 * gene.dense_width))
        if rows.shape[1] != count:
            rows = self.over_rows(f"{name}/rows", rows, count)
        stacked = torch.cat([vector.unsqueeze(1), rows], dim=1)
        gram = torch.bmm(stacked, stacked.transpose(1, 2))
        below, left = torch.tril_indices(count + 1, count + 1, offset=-1)
        pairs = gram[:, below, left]
        if pairs.shape[1] != gene.dense_width:
            pairs = self.linear(f"{name}/output", pairs, gene.dense_width)
        return norm(pairs)

    def efc(self, name: str, gene: BlockGene, dense, sparse, dim: int) -> Tensor:
        rows = torch.cat([sparse(i) for i in gene.sparse_inputs], dim=1)
        return torch.relu(self.over_rows(name, rows, gene.sparse_width))

    def attn(self, name: str, gene: BlockGene, dense, sparse, dim: int) -> Tensor:
        rows = torch.cat([sparse(i) for i in gene.sparse_inputs], dim=1)
        rows = self.over_rows(f"{name}/rows", rows, gene.sparse_width)
        heads = max(h for h in range(1, min(MOST_HEADS, dim) + 1) if dim % h == 0)
        attention = self.module(name, lambda: nn.MultiheadAttention(dim, heads, batch_first=True))
        mixed, _ = attention(rows, rows, rows)  # with its weights, and so by products that count
        rows = norm(rows + mixed)
        inner = torch.relu(self.linear(f"{name}/inner", rows, dim))
        return norm(rows + self.linear(f"{name}/outer", inner, dim))

    def over_rows(self, name: str, rows: Tensor, count: int) -> Tensor:
        return norm(self.linear(name, rows.transpose(1, 2), count)).transpose(1, 2)

    def linear(self, name: str, values: Tensor, width: int) -> Tensor:
        return self.module(name, lambda: nn.Linear(values.shape[-1], width))(values)

    def module(self, name: str, make) -> nn.Module:
        key = name.replace("/", "_")  # names of scopes in the trace
        if key not in self.linears:
            self.linears[key] = make()
        return self.linears[key]


def norm(values: Tensor) -> Tensor:
    return functional.layer_norm(values, values.shape[-1:])


def padded(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    width = max(left.shape[1], right.shape[1])
    return tuple(functional.pad(x, (0, width - x.shape[1])) for x in (left, right))
