"""The building operators of sections 3.1 and 4.2, a class each.

An operator is built for its largest inputs and outputs (`Capacity`) and runs on slices: of each
weight it takes the rows of the active output width and the columns of the active inputs. A sparse
tensor is stored as `[batch, dim, vectors]`, with its vectors along the last axis, so that products
over vectors and their layer norms need no transpose. The order of projection, normalisation,
activation and residual follows the published system. A standalone model may have no layer norms, as
the published ones; its linear maps then have a bias. Those inside attention stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasrec_opt.space import MERGER_VECTORS, attention_heads, balanced_vectors
from nasrec_opt.supernet._attention import attend
from nasrec_opt.supernet._initializer import Initializer, first, zeros
from nasrec_opt.supernet._inputs import BlockInput, Capacity
from nasrec_opt.supernet._layers import (
    DenseProjection,
    LayerNorm,
    SparseProjection,
    norm_of,
    wide,
)
from nasrec_opt.supernet._readers import WeightReader

RESIDUAL_GAIN = 0.17  # initial weight of the layer norms inside the transformer encoder


class FullyConnected(nn.Module):
    """FC: linear without bias, layer norm (or the bias alone), ReLU."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        self.project = DenseProjection(capacity.dense_width, capacity, draw)
        self.norm = norm_of(capacity.dense_width, capacity)

    def forward(
        self, given: BlockInput, width: int, reader: WeightReader
    ) -> Tensor:  # [batch, width]
        return functional.relu(self.norm(self.project(given, width, reader), reader), inplace=True)


class EmbeddedFullyConnected(nn.Module):
    """EFC: FC across the vectors of the sparse tensor."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        self.project = SparseProjection(capacity.sparse_width, capacity, draw)
        self.norm = norm_of(capacity.sparse_width, capacity)

    def forward(
        self, given: BlockInput, width: int, reader: WeightReader
    ) -> Tensor:  # [batch, dim, width]
        vectors = functional.relu(self.project(given, width, self.norm, reader), inplace=True)
        assert given.joined is not None
        return vectors.to(given.joined.dtype)


class Gate(nn.Module):
    """Sigmoid gating: sigmoid(linear(left)) times right, linear to the width, layer norm.

    The narrower input is treated as if padded with zeros. Units that only depend on padding are
    zero, and are not computed.
    """

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        left, right = capacity.two
        self.gate = draw.linear("gate", right, left, bound=1 / math.sqrt(left))
        self.gate_bias = zeros(right)
        bound = 1 / math.sqrt(right)
        self.output = draw.linear("output", capacity.dense_width, right, bound=bound)
        self.output_bias = zeros(capacity.dense_width)
        self.norm = norm_of(capacity.dense_width, capacity)

    def forward(
        self, given: BlockInput, width: int, reader: WeightReader
    ) -> Tensor:  # [batch, width]
        left, right = given.left, given.right
        assert left is not None
        assert right is not None
        size = right.shape[1]
        weight = reader.weight(self.gate, first(size), first(left.shape[1]))
        bias = reader.weight(self.gate_bias, first(size))
        chance = reader.linear(given.activation(left), weight, bias, bits=given.bits)
        gated = torch.sigmoid(chance) * right
        if max(left.shape[1], size) == width:
            padded = functional.pad(gated, (0, width - size))
            return self.norm(padded, reader, is_product=False)
        weight = reader.weight(self.output, first(width), first(size))
        bias = reader.weight(self.output_bias, first(width))
        made = reader.linear(given.activation(gated), weight, bias, bits=given.bits)
        return self.norm(made, reader, is_product=False)  # the product has its bias already


class Sum(nn.Module):
    """Sum of two inputs, linear without bias to the width, layer norm."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        widest = max(capacity.two)
        bound = 1 / math.sqrt(widest)
        self.output = draw.linear("output", capacity.dense_width, widest, bound=bound)
        self.norm = norm_of(capacity.dense_width, capacity)

    def forward(
        self, given: BlockInput, width: int, reader: WeightReader
    ) -> Tensor:  # [batch, width]
        left, right = given.left, given.right
        assert left is not None
        assert right is not None
        size = max(left.shape[1], right.shape[1])
        total = functional.pad(left, (0, size - left.shape[1])) + functional.pad(
            right, (0, size - right.shape[1])
        )
        if size != width:
            weight = reader.weight(self.output, first(width), first(size))
            total = reader.linear(given.activation(total), weight, bits=given.bits)
        return self.norm(total, reader, is_product=size != width)


class DotProduct(nn.Module):
    """Pairwise inner products of the dense and the sparse vectors, linear, layer norm.

    The sparse vectors are first projected to a number that fits the output width, so that the
    number of pairs does not grow with the square of the inputs (section 4.2), unless the capacity
    turns this off.
    """

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        vectors = capacity.sparse_total
        if capacity.balance:
            vectors = balanced_vectors(capacity.dense_width)
            self.balance = SparseProjection(vectors, capacity, draw.of("balance"))
            self.balance_norm = norm_of(vectors, capacity)
        self.vector = DenseProjection(capacity.dim, capacity, draw.of("vector"))
        self.vector_norm = norm_of(capacity.dim, capacity)
        pairs = vectors * (vectors + 1) // 2
        bound = 1 / math.sqrt(pairs)
        self.output = draw.linear("output", capacity.dense_width, pairs, bound=bound)
        self.norm = norm_of(capacity.dense_width, capacity)
        self._dim = capacity.dim
        self._is_balanced = capacity.balance
        self._triangles: dict[int, Tensor] = {}

    def forward(
        self, given: BlockInput, width: int, reader: WeightReader
    ) -> Tensor:  # [batch, width]
        if sum(values.shape[1] for values in given.dense.values()) == self._dim:
            vector = torch.cat(list(given.dense.values()), dim=1)
        else:
            vector = self.vector_norm(self.vector(given, self._dim, reader), reader)
        assert given.joined is not None
        vectors = given.joined
        if self._is_balanced and vectors.shape[-1] != balanced_vectors(width):
            vectors = self.balance(given, balanced_vectors(width), self.balance_norm, reader)
        stacked = torch.cat([vector.unsqueeze(-1), vectors.to(vector.dtype)], dim=-1)
        stacked = given.activation(stacked, dim=1)
        # [batch, dim, n] to [batch, n, n], n = vectors + 1; to pick from, float32 is fastest
        gram = wide(stacked.transpose(1, 2) @ stacked)
        pairs = gram.flatten(1).index_select(1, self._triangle(gram.shape[1], gram.device))
        projects = pairs.shape[1] != width
        if projects:
            # With the dense vector first, the triangle of few vectors is a prefix of that of many.
            weight = reader.weight(self.output, first(width), first(pairs.shape[1]))
            values = given.activation(pairs).to(weight.dtype)
            pairs = reader.linear(values, weight, bits=given.bits)
        return self.norm(pairs, reader, is_product=projects)

    def _triangle(self, vectors: int, device: torch.device) -> Tensor:
        """Places of the strict lower triangle in a flattened matrix of `vectors` x `vectors`."""
        if vectors not in self._triangles or self._triangles[vectors].device != device:
            with torch.inference_mode(False):  # training cannot use tensors made in that mode
                low, high = torch.tril_indices(vectors, vectors, -1, device=device)
                self._triangles[vectors] = low * vectors + high
        return self._triangles[vectors]


class Attention(nn.Module):
    """Transformer encoder over the vectors: self-attention and a feed-forward part."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        dim = capacity.dim
        bound = 1 / math.sqrt(dim)
        self.heads = attention_heads(dim)
        self.project = SparseProjection(capacity.sparse_width, capacity, draw)
        self.project_norm = norm_of(capacity.sparse_width, capacity)
        self.query_key_value = draw.linear("query_key_value", 3 * dim, dim, bound=bound)
        self.query_key_value_bias = zeros(3 * dim)
        self.mix = draw.linear("mix", dim, dim, bound=bound)
        self.mix_bias = zeros(dim)
        self.attention_norm = LayerNorm(dim, RESIDUAL_GAIN)
        self.inner = draw.linear("inner", dim, dim, bound=bound)
        self.inner_bias = zeros(dim)
        self.outer = draw.linear("outer", dim, dim, bound=bound)
        self.outer_bias = zeros(dim)
        self.feed_forward_norm = LayerNorm(dim, RESIDUAL_GAIN)

    def forward(
        self, given: BlockInput, width: int, reader: WeightReader
    ) -> Tensor:  # [batch, dim, width]
        vectors = self.project(given, width, self.project_norm, reader)
        dim = vectors.shape[1]

        def linear(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            read = reader.weight(weight, first(len(weight)), first(dim))
            added = reader.weight(bias, first(len(bias)))
            values = given.activation(values, dim=1)  # the scale is that of one vector
            return reader.linear(values, read, added, bits=given.bits, dim=1)

        joint = linear(vectors, self.query_key_value, self.query_key_value_bias)
        query, key, value = (
            given.activation(part, dim=1) for part in wide(joint).split(dim, dim=1)
        )
        mixed = attend(query, key, value, self.heads)
        vectors = self.attention_norm.across_dim(
            vectors + linear(mixed, self.mix, self.mix_bias), reader
        )
        inner = functional.relu(linear(vectors, self.inner, self.inner_bias), inplace=True)
        vectors = self.feed_forward_norm.across_dim(
            vectors + linear(inner, self.outer, self.outer_bias), reader
        )
        assert given.joined is not None
        return vectors.to(given.joined.dtype)


class FactorizationMachine(nn.Module):
    """Sparse-to-dense merger: square of the sum minus sum of squares over vectors, to the width.

    If the width equals the embedding dimension, there is no linear layer and, as published, no
    layer norm.
    """

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        dim, width = capacity.dim, capacity.dense_width
        self.output = draw.linear("output", width, dim, bound=1 / math.sqrt(dim))
        self.norm = norm_of(width, capacity)

    def forward(
        self, given: BlockInput, sparse: Tensor, width: int, reader: WeightReader
    ) -> Tensor:
        dtype, sparse = sparse.dtype, wide(sparse)  # the difference of large numbers loses digits
        interaction = sparse.sum(dim=-1).square() - sparse.square().sum(dim=-1)  # [batch, dim]
        interaction = interaction.to(dtype)
        if interaction.shape[1] == width:
            return interaction
        weight = reader.weight(self.output, first(width), first(interaction.shape[1]))
        made = reader.linear(given.activation(interaction), weight, bits=given.bits)
        return self.norm(made, reader)  # [batch, width]


class DenseToSparse(nn.Module):
    """Dense-to-sparse merger: the dense output as 8 more vectors."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        size = MERGER_VECTORS * capacity.dim
        bound = 1 / math.sqrt(capacity.dense_width)
        self.output = draw.linear("output", size, capacity.dense_width, bound=bound)
        self.norm = norm_of(size, capacity)
        self._dim = capacity.dim

    def forward(self, given: BlockInput, dense: Tensor, reader: WeightReader) -> Tensor:
        size = MERGER_VECTORS * self._dim
        if dense.shape[1] != size:
            weight = reader.weight(self.output, first(size), first(dense.shape[1]))
            made = reader.linear(given.activation(dense), weight, bits=given.bits)
            dense = self.norm(made, reader)
        return dense.view(-1, MERGER_VECTORS, self._dim).transpose(1, 2)  # [batch, dim, 8]


# The class of each operator of `nasrec_opt.space.OPERATORS`.
MODULES: dict[str, Callable[[Capacity, Initializer], nn.Module]] = {
    "fc": FullyConnected,
    "gate": Gate,
    "sum": Sum,
    "dot": DotProduct,
    "efc": EmbeddedFullyConnected,
    "attn": Attention,
}
