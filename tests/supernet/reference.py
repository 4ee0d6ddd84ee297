"""The whole model written a second time, naively: the table of operators, a line for a line.

Sparse tensors are `[batch, rows, dim]` here, weights are joined to the one matrix that the table
speaks of, every block runs whether it reaches the logit or not, and pairs are found by a loop.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nasrec_opt.space import BlockGene, Genotype
from nasrec_opt.supernet import Supernet

HEADS = 8


def reference_logits(
    supernet: Supernet, genotype: Genotype, dense: Tensor, sparse: Tensor
) -> Tensor:
    """Logits `[batch]` of a genotype, from the supernet's weights."""
    weights = dict(supernet.named_parameters())
    offset, columns = 0, []
    for column, size in enumerate(supernet.features.cardinalities):
        columns.append(weights["embedding.table"][offset : offset + size][sparse[:, column].long()])
        offset += size
    if dense.shape[1] == 0:
        dense = torch.zeros(len(sparse), 1)
    model = _Reference(weights, balance=supernet.balance)
    vectors, rows = [dense], [torch.stack(columns, dim=1)]
    for number, gene in enumerate(genotype.blocks, start=1):
        one, two = model.block(number, gene, vectors, rows)
        vectors.append(one)
        rows.append(two)
    own = genotype.blocks[-1].sparse_width
    last = rows[-1].transpose(1, 2)
    weight = [weights["final.dense"][: vectors[-1].shape[1]]]
    weight += [weights["final.sparse"][:, :own]]
    hidden = [vectors[-1], last[:, :, :own].flatten(1)]
    if last.shape[2] > own:
        weight += [weights["final.merger"]]
        hidden += [last[:, :, own:].flatten(1)]
    joined, inputs = torch.cat([part.flatten() for part in weight]), torch.cat(hidden, dim=1)
    return 16 * (inputs * joined).mean(dim=1) + weights["final.bias"]


class _Reference:
    def __init__(self, weights: dict[str, Tensor], *, balance: bool) -> None:
        self._weights = weights
        self._balance = balance
        self._own_rows: list[int] = []

    def block(
        self, number: int, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        if number == 1:
            self._own_rows = [rows[0].shape[1]]
        before = f"blocks.{number}"
        dense = sum(
            getattr(self, op)(f"{before}.dense.{op}", gene, vectors, rows) for op in gene.dense_ops
        )
        sparse = sum(
            getattr(self, op)(f"{before}.sparse.{op}", gene, vectors, rows)
            for op in gene.sparse_ops
        )
        self._own_rows.append(gene.sparse_width)
        dense_out, sparse_out = dense, sparse
        if gene.sparse_to_dense:
            merged = sparse.sum(1) ** 2 - (sparse**2).sum(1)
            if merged.shape[1] != gene.dense_width:
                weight = self._weights[f"{before}.fm.output"][: gene.dense_width]
                merged = self.norm(f"{before}.fm.norm", merged @ weight.T)
            dense_out = dense + merged
        if gene.dense_to_sparse:
            merged, dim = dense, sparse.shape[2]
            if gene.dense_width != 8 * dim:
                weight = self._weights[f"{before}.rows.output"][:, : gene.dense_width]
                merged = self.norm(f"{before}.rows.norm", merged @ weight.T)
            sparse_out = torch.cat([sparse, merged.reshape(-1, 8, dim)], dim=1)
        return dense_out, sparse_out

    def norm(self, name: str, values: Tensor) -> Tensor:
        width = values.shape[-1]
        mean = values.mean(-1, keepdim=True)
        spread = ((values - mean) ** 2).mean(-1, keepdim=True)
        gain, bias = self._weights[f"{name}.gain"], self._weights[f"{name}.bias"]
        return (values - mean) / torch.sqrt(spread + 1e-5) * gain[:width] + bias[:width]

    def dense_weight(self, name: str, gene: BlockGene, width: int, vectors: list[Tensor]) -> Tensor:
        parts = [
            self._weights[f"{name}.weights.{i}"][:width, : vectors[i].shape[1]]
            for i in gene.dense_inputs
        ]
        return torch.cat(parts, dim=1)

    def sparse_weight(self, name: str, gene: BlockGene, width: int, rows: list[Tensor]) -> Tensor:
        parts = []
        for i in gene.sparse_inputs:
            own = self._own_rows[i]
            parts.append(self._weights[f"{name}.weights.{i}"][:width, :own])
            if rows[i].shape[1] > own:
                parts.append(self._weights[f"{name}.merger_weights.{i}"][:width])
        return torch.cat(parts, dim=1)

    def fc(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        joined = torch.cat([vectors[i] for i in gene.dense_inputs], dim=1)
        weight = self.dense_weight(f"{name}.project", gene, gene.dense_width, vectors)
        return torch.relu(self.norm(f"{name}.norm", joined @ weight.T))

    def gate(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        left, right = self._padded(vectors[gene.left_input], vectors[gene.right_input])
        width = left.shape[1]
        weight = self._weights[f"{name}.gate"][:width, :width]
        values = left @ weight.T + self._weights[f"{name}.gate_bias"][:width]
        gated = right / (1 + torch.exp(-values))
        if width != gene.dense_width:
            output = self._weights[f"{name}.output"][: gene.dense_width, :width]
            gated = gated @ output.T + self._weights[f"{name}.output_bias"][: gene.dense_width]
        return self.norm(f"{name}.norm", gated)

    def sum(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        left, right = self._padded(vectors[gene.left_input], vectors[gene.right_input])
        total = left + right
        if total.shape[1] != gene.dense_width:
            output = self._weights[f"{name}.output"][: gene.dense_width, : total.shape[1]]
            total = total @ output.T
        return self.norm(f"{name}.norm", total)

    def dot(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        joined = torch.cat([rows[i] for i in gene.sparse_inputs], dim=1)
        dim = joined.shape[2]
        vector = torch.cat([vectors[i] for i in gene.dense_inputs], dim=1)
        if vector.shape[1] != dim:
            weight = self.dense_weight(f"{name}.vector", gene, dim, vectors)
            vector = self.norm(f"{name}.vector_norm", vector @ weight.T)
        count = round(math.sqrt(2 * gene.dense_width)) if self._balance else joined.shape[1]
        if joined.shape[1] != count:
            weight = self.sparse_weight(f"{name}.balance", gene, count, rows)
            projected = self.norm(f"{name}.balance_norm", joined.transpose(1, 2) @ weight.T)
            joined = projected.transpose(1, 2)
        stacked = torch.cat([vector.unsqueeze(1), joined], dim=1)
        products = [
            (stacked[:, i] * stacked[:, j]).sum(1)
            for i in range(stacked.shape[1])
            for j in range(i)
        ]
        pairs = torch.stack(products, dim=1)
        if pairs.shape[1] != gene.dense_width:
            output = self._weights[f"{name}.output"][: gene.dense_width, : pairs.shape[1]]
            pairs = pairs @ output.T
        return self.norm(f"{name}.norm", pairs)

    def efc(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        projected = self._project(name, gene, rows)
        return torch.relu(projected).transpose(1, 2)

    def attn(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        rows_in = self._project(name, gene, rows).transpose(1, 2)
        dim = rows_in.shape[2]
        attention = torch.nn.MultiheadAttention(dim, HEADS, batch_first=True)
        with torch.no_grad():
            attention.in_proj_weight.copy_(self._weights[f"{name}.query_key_value"])
            attention.in_proj_bias.copy_(self._weights[f"{name}.query_key_value_bias"])
            attention.out_proj.weight.copy_(self._weights[f"{name}.mix"])
            attention.out_proj.bias.copy_(self._weights[f"{name}.mix_bias"])
        mixed, _ = attention(rows_in, rows_in, rows_in)
        values = self.norm(f"{name}.attention_norm", rows_in + mixed)
        inner = values @ self._weights[f"{name}.inner"].T + self._weights[f"{name}.inner_bias"]
        outer = torch.relu(inner) @ self._weights[f"{name}.outer"].T
        outer = outer + self._weights[f"{name}.outer_bias"]
        return self.norm(f"{name}.feed_forward_norm", values + outer)

    def _project(self, name: str, gene: BlockGene, rows: list[Tensor]) -> Tensor:
        joined = torch.cat([rows[i] for i in gene.sparse_inputs], dim=1)
        weight = self.sparse_weight(f"{name}.project", gene, gene.sparse_width, rows)
        return self.norm(
            f"{name}.{'project_' if name.endswith('attn') else ''}norm",
            joined.transpose(1, 2) @ weight.T,
        )

    @staticmethod
    def _padded(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        width = max(left.shape[1], right.shape[1])
        padded = []
        for values in (left, right):
            filler = torch.zeros(len(values), width - values.shape[1])
            padded.append(torch.cat([values, filler], dim=1))
        return padded[0], padded[1]
