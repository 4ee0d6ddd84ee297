"""The whole model written a second time, naively: the table of operators, a line for a line.

Sparse tensors are `[batch, rows, dim]` here, weights are joined to the one matrix that the table
speaks of, every block runs whether it reaches the logit or not, and pairs are found by a loop.
Weights and inputs of every product are rounded to the genotype's bits, channel by channel and
vector by vector; the operands of dot products and of attention too. Layer norms are not.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nasrec_opt.space import BlockGene, Genotype
from nasrec_opt.supernet import Subnet, Supernet

HEADS = 8


def rounded(values: Tensor, bits: int) -> Tensor:
    """To the nearest of `2**bits - 1` levels of each vector's largest magnitude; 32 = as it is."""
    if bits == 32:
        return values
    levels = 2 ** (bits - 1) - 1
    flat = values.reshape(-1, values.shape[-1])
    rows = []
    for row in flat:
        step = max(float(row.abs().max()), 1e-12) / levels
        rows.append(torch.round(row / step) * step)
    return torch.stack(rows).reshape(values.shape)


def reference_logits(
    supernet: Supernet | Subnet,
    genotype: Genotype,
    dense: Tensor,
    sparse: Tensor,
    others: dict[str, Tensor] | None = None,
) -> Tensor:
    """Logits `[batch]` of a genotype, from the weights of a supernet.

    A subnet lacks those of blocks that reach no logit, and the parts of a Gate that only meet
    padding: `others` has some of the right shapes.
    """
    weights = dict(supernet.named_parameters())
    for name, other in (others or {}).items():
        if name not in weights:
            weights[name] = other
        elif ".gate." in name:
            own = weights[name]
            weights[name] = torch.zeros_like(other)
            weights[name][tuple(slice(size) for size in own.shape)] = own
    offset, columns = 0, []
    for column, size in enumerate(supernet.features.cardinalities):
        columns.append(weights["embedding.table"][offset : offset + size][sparse[:, column].long()])
        offset += size
    if dense.shape[1] == 0:
        dense = torch.zeros(len(sparse), 1).to(columns[0])
    model = _Reference(weights, balance=supernet.balance)
    vectors, rows = [dense], [torch.stack(columns, dim=1)]
    for number, gene in enumerate(genotype.blocks, start=1):
        one, two = model.block(number, gene, vectors, rows)
        vectors.append(one)
        rows.append(two)
    own = genotype.blocks[-1].sparse_width
    last = rows[-1].transpose(1, 2)
    weight = [weights["final.dense"][: vectors[-1].shape[1]]]
    hidden = [vectors[-1], last[:, :, :own].flatten(1)]
    if own:
        weight += [weights["final.sparse"][:, :own]]
    if last.shape[2] > own:
        weight += [weights["final.merger"]]
        hidden += [last[:, :, own:].flatten(1)]
    joined, inputs = torch.cat([part.flatten() for part in weight]), torch.cat(hidden, dim=1)
    all_bits = {bits for pair in model.live_bits(genotype) for bits in pair}
    final = 32 if all_bits == {32} else 8
    products = rounded(inputs, final) * rounded(joined, final)
    logits = 16 * products.mean(dim=1) + weights["final.bias"]
    if not genotype.wide:
        return logits
    offset, found = 0, []
    for column, size in enumerate(supernet.features.cardinalities):
        ids = offset + sparse[:, column].long()
        found.append(weights["embedding.first_order"][ids, 0])
        offset += size
    logits = logits + rounded(torch.stack(found, dim=1), final).sum(dim=1)
    for column in range(supernet.features.num_dense):
        row = rounded(weights["final.first_order"], final)[0]
        logits = logits + rounded(dense, final)[:, column] * row[column]
    return logits


class _Reference:
    def __init__(self, weights: dict[str, Tensor], *, balance: bool) -> None:
        self._weights = weights
        self._balance = balance
        self._own_rows: list[int] = []
        self._bits = {"dense": (32, 32), "sparse": (32, 32)}  # of the block at work

    def live_bits(self, genotype: Genotype) -> set[tuple[int, int]]:
        """Of branches on a path to the logit, found by walking the paths."""
        found: set[tuple[int, int]] = set()
        last = len(genotype.blocks)
        todo, seen = [(last, "dense"), (last, "sparse")], set()
        while todo:
            number, part = todo.pop()
            if number == 0 or (number, part) in seen:
                continue
            seen.add((number, part))
            gene = genotype.blocks[number - 1]
            if part == "dense":  # an output reads its own sum, and with a merger the other's
                todo += [(number, "dense sum")]
                todo += [(number, "sparse sum")] if gene.sparse_to_dense else []
                # Without a sparse operator, what FM reads are the embeddings, which have no bits.
            elif part == "sparse":
                todo += [(number, "sparse sum")]
                todo += [(number, "dense sum")] if gene.dense_to_sparse else []
            elif part == "dense sum":
                found.add(_pair(gene.dense_bits))
                two = [i for i in (gene.left_input, gene.right_input) if i is not None]
                todo += [(i, "dense") for i in (*gene.dense_inputs, *two)]
                todo += [(i, "sparse") for i in gene.sparse_inputs if "dot" in gene.dense_ops]
            elif gene.sparse_ops:
                found.add(_pair(gene.sparse_bits))
                todo += [(i, "sparse") for i in gene.sparse_inputs]
        return found

    def product(self, branch: str, values: Tensor, weight: Tensor) -> Tensor:
        """Inputs `[..., inputs]` times weights `[outputs, inputs]`, both at a branch's bits."""
        weight_bits, input_bits = self._bits[branch]
        return rounded(values, input_bits) @ rounded(weight, weight_bits).T

    def block(
        self, number: int, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        if number == 1:
            self._own_rows = [rows[0].shape[1]]
        self._bits = {"dense": _pair(gene.dense_bits), "sparse": _pair(gene.sparse_bits)}
        before = f"blocks.{number}"
        dense = sum(
            getattr(self, op)(f"{before}.dense.{op}", gene, vectors, rows) for op in gene.dense_ops
        )
        sparse = sum(
            (
                getattr(self, op)(f"{before}.sparse.{op}", gene, vectors, rows)
                for op in gene.sparse_ops
            ),
            start=rows[0][:, : gene.sparse_width] * 0 if not gene.sparse_ops else 0,
        )
        self._own_rows.append(gene.sparse_width)
        dense_out, sparse_out = dense, sparse
        if gene.sparse_to_dense:
            inputs = torch.cat([rows[i] for i in gene.sparse_inputs], dim=1)
            of_fm = sparse if gene.sparse_ops else inputs
            merged = of_fm.sum(1) ** 2 - (of_fm**2).sum(1)
            if merged.shape[1] != gene.dense_width:
                weight = self._weights[f"{before}.fm.output"][: gene.dense_width]
                merged = self.norm(f"{before}.fm.norm", self.product("dense", merged, weight))
            dense_out = dense + merged
        if gene.dense_to_sparse:
            merged, dim = dense, sparse.shape[2]
            if gene.dense_width != 8 * dim:
                weight = self._weights[f"{before}.rows.output"][:, : gene.dense_width]
                merged = self.norm(f"{before}.rows.norm", self.product("dense", merged, weight))
            sparse_out = torch.cat([sparse, merged.reshape(-1, 8, dim)], dim=1)
        return dense_out, sparse_out

    def norm(self, name: str, values: Tensor) -> Tensor:
        width = values.shape[-1]
        if f"{name}.gain" not in self._weights:  # a model without layer norms
            bias = self._weights.get(f"{name}.bias")  # of a linear map that is there
            return values if bias is None else values + bias[:width]
        mean = values.mean(-1, keepdim=True)
        spread = ((values - mean) ** 2).mean(-1, keepdim=True)
        gain, bias = self._weights[f"{name}.gain"], self._weights[f"{name}.bias"]
        return (values - mean) / torch.sqrt(spread + 1e-5) * gain[:width] + bias[:width]

    def dense_product(
        self, name: str, gene: BlockGene, width: int, vectors: list[Tensor]
    ) -> Tensor:
        """Every input has weights of its own: their scales are theirs, and the products add up."""
        return sum(
            self.product(
                "dense",
                vectors[i],
                self._weights[f"{name}.weights.{i}"][:width, : vectors[i].shape[1]],
            )
            for i in gene.dense_inputs
        )

    def sparse_weight(self, name: str, gene: BlockGene, width: int, rows: list[Tensor]) -> Tensor:
        parts = []
        for i in gene.sparse_inputs:
            own = self._own_rows[i]
            parts.append(self._weights[f"{name}.weights.{i}"][:width, :own])
            if rows[i].shape[1] > own:
                parts.append(self._weights[f"{name}.merger_weights.{i}"][:width])
        return torch.cat(parts, dim=1)

    def fc(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        projected = self.dense_product(f"{name}.project", gene, gene.dense_width, vectors)
        return torch.relu(self.norm(f"{name}.norm", projected))

    def gate(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        own, other = (vectors[i].shape[1] for i in (gene.left_input, gene.right_input))
        left, right = self._padded(vectors[gene.left_input], vectors[gene.right_input])
        width = left.shape[1]
        weight = torch.zeros(width, width).to(left)  # what only padding reaches is not there
        weight[:other, :own] = self._weights[f"{name}.gate"][:other, :own]
        values = self.product("dense", left, weight) + self._weights[f"{name}.gate_bias"][:width]
        gated = right / (1 + torch.exp(-values))
        if width != gene.dense_width:
            output = self._weights[f"{name}.output"][: gene.dense_width, :other]
            gated = (
                self.product("dense", gated[:, :other], output)
                + self._weights[f"{name}.output_bias"][: gene.dense_width]
            )
        return self.norm(f"{name}.norm", gated)

    def sum(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        left, right = self._padded(vectors[gene.left_input], vectors[gene.right_input])
        total = left + right
        if total.shape[1] != gene.dense_width:
            output = self._weights[f"{name}.output"][: gene.dense_width, : total.shape[1]]
            total = self.product("dense", total, output)
        return self.norm(f"{name}.norm", total)

    def dot(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        joined = torch.cat([rows[i] for i in gene.sparse_inputs], dim=1)
        dim = joined.shape[2]
        vector = torch.cat([vectors[i] for i in gene.dense_inputs], dim=1)
        if vector.shape[1] != dim:
            vector = self.dense_product(f"{name}.vector", gene, dim, vectors)
            vector = self.norm(f"{name}.vector_norm", vector)
        count = round(math.sqrt(2 * gene.dense_width)) if self._balance else joined.shape[1]
        if joined.shape[1] != count:
            weight = self.sparse_weight(f"{name}.balance", gene, count, rows)
            projected = self.product("dense", joined.transpose(1, 2), weight)
            projected = self.norm(f"{name}.balance_norm", projected)
            joined = projected.transpose(1, 2)
        stacked = torch.cat([vector.unsqueeze(1), joined], dim=1)
        stacked = rounded(stacked, self._bits["dense"][1])
        products = [
            (stacked[:, i] * stacked[:, j]).sum(1)
            for i in range(stacked.shape[1])
            for j in range(i)
        ]
        pairs = torch.stack(products, dim=1)
        if pairs.shape[1] != gene.dense_width:
            output = self._weights[f"{name}.output"][: gene.dense_width, : pairs.shape[1]]
            pairs = self.product("dense", pairs, output)
        return self.norm(f"{name}.norm", pairs)

    def efc(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        projected = self._project(name, gene, rows)
        return torch.relu(projected).transpose(1, 2)

    def attn(self, name: str, gene: BlockGene, vectors: list[Tensor], rows: list[Tensor]) -> Tensor:
        rows_in = self._project(name, gene, rows).transpose(1, 2)
        dim = rows_in.shape[2]
        bits = self._bits["sparse"][1]
        joint = self.product("sparse", rows_in, self._weights[f"{name}.query_key_value"])
        joint = joint + self._weights[f"{name}.query_key_value_bias"]
        query, key, value = (rounded(part, bits) for part in joint.split(dim, dim=-1))
        heads = max(h for h in range(1, HEADS + 1) if dim % h == 0)
        size, mixed = dim // heads, []
        for one in (slice(h * size, (h + 1) * size) for h in range(heads)):
            scores = query[:, :, one] @ key[:, :, one].transpose(1, 2) / math.sqrt(size)
            mixed.append(torch.softmax(scores, dim=-1) @ value[:, :, one])
        added = self.product("sparse", torch.cat(mixed, dim=-1), self._weights[f"{name}.mix"])
        added = added + self._weights[f"{name}.mix_bias"]
        values = self.norm(f"{name}.attention_norm", rows_in + added)
        inner = self.product("sparse", values, self._weights[f"{name}.inner"])
        inner = torch.relu(inner + self._weights[f"{name}.inner_bias"])
        outer = self.product("sparse", inner, self._weights[f"{name}.outer"])
        outer = outer + self._weights[f"{name}.outer_bias"]
        return self.norm(f"{name}.feed_forward_norm", values + outer)

    def _project(self, name: str, gene: BlockGene, rows: list[Tensor]) -> Tensor:
        joined = torch.cat([rows[i] for i in gene.sparse_inputs], dim=1)
        weight = self.sparse_weight(f"{name}.project", gene, gene.sparse_width, rows)
        return self.norm(
            f"{name}.{'project_' if name.endswith('attn') else ''}norm",
            self.product("sparse", joined.transpose(1, 2), weight),
        )

    @staticmethod
    def _padded(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        width = max(left.shape[1], right.shape[1])
        padded = []
        for values in (left, right):
            filler = torch.zeros(len(values), width - values.shape[1]).to(values)
            padded.append(torch.cat([values, filler], dim=1))
        return padded[0], padded[1]


def _pair(bits: int | tuple[int, int]) -> tuple[int, int]:
    return bits if isinstance(bits, tuple) else (bits, bits)
