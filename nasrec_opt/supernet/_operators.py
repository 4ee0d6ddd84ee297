"""The building operators of sections 3.1 and 4.2, a class each.

An operator is built for the most it may get (`Capacity`) and runs on what it gets: of each weight it
takes the rows of the active output width and the columns of the active inputs. A sparse tensor lies
as `[batch, dim, rows]`, rows last: products over rows and their layer norms then need no transpose.
Order of projection, normalisation, activation and residual follows the published system.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasrec_opt.space import MERGER_ROWS
from nasrec_opt.supernet._quantize import fake_quantize
from nasrec_opt.supernet._slices import Initializer, Take, first, ones, zeros

EPSILON = 1e-5
NUM_HEADS = 8
RESIDUAL_GAIN = 0.17  # initial weight of the layer norms inside the transformer encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The most that the operators of one block may get.

    Args:
        dense_width: Widest dense output.
        sparse_width: Most rows of the sparse output, merger rows apart.
        dense_sources: Widest dense output of each input, by input number.
        sparse_sources: Most rows of each input, merger rows apart, by input number.
        row_sources: Inputs that may carry the rows of a dense-to-sparse merger.
        dim: Embedding dimension.
        two: Widest left and right input of Gate and Sum.
        is_exact: Whether the block always gets exactly this: projections that its one shape does
            without are then not built.
    """

    dense_width: int
    sparse_width: int
    dense_sources: Mapping[int, int]
    sparse_sources: Mapping[int, int]
    row_sources: frozenset[int]
    dim: int
    two: tuple[int, int] = (0, 0)
    is_exact: bool = False

    def may_differ(self, size: int, target: int) -> bool:
        """Whether a projection from at most `size` to `target` can be needed."""
        return not self.is_exact or size != target

    @property
    def dense_total(self) -> int:
        """Width of all dense inputs together."""
        return sum(self.dense_sources.values())

    @property
    def sparse_total(self) -> int:
        """Rows of all sparse inputs together."""
        return sum(self.sparse_sources.values()) + MERGER_ROWS * len(self.row_sources)


@dataclass(frozen=True, slots=True)
class SparseOutput:
    """Sparse output of a block, or the raw embeddings.

    Args:
        rows: `[batch, dim, rows]`; the last 8 are the merger's where `has_merger`.
        has_merger: Whether the dense-to-sparse merger appended its rows.
    """

    rows: Tensor
    has_merger: bool = False

    @property
    def own_rows(self) -> int:
        """Rows without the merger's."""
        return self.rows.shape[-1] - (MERGER_ROWS if self.has_merger else 0)


@dataclass(frozen=True, slots=True)
class BlockInput:
    """What the operators of one block read.

    Args:
        dense: Dense inputs `[batch, width]`, by input number.
        sparse: Sparse inputs, by input number.
        joined: All sparse inputs side by side, `[batch, dim, rows]`; nothing where nobody reads it.
        left: Left input of Gate and Sum, `[batch, width]`.
        right: Right input.
        weight_bits: Bits of weights; nothing = not quantised.
        activation_bits: Bits of the inputs of products.
    """

    dense: Mapping[int, Tensor]
    sparse: Mapping[int, SparseOutput]
    joined: Tensor | None
    left: Tensor | None
    right: Tensor | None
    weight_bits: int | None = None
    activation_bits: int | None = None

    def weight(self, weight: Tensor) -> Tensor:
        """The weight as the block's bits leave it."""
        return weight if self.weight_bits is None else fake_quantize(weight, self.weight_bits)

    def activation(self, values: Tensor) -> Tensor:
        """An input of a product as the block's bits leave it."""
        if self.activation_bits is None:
            return values
        return fake_quantize(values, self.activation_bits)


class LayerNorm(nn.Module):
    """Layer normalisation over the active units."""

    def __init__(self, width: int, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = ones(width, value=gain)
        self.bias = zeros(width)

    def forward(self, values: Tensor, take: Take) -> Tensor:  # [..., width]
        width = values.shape[-1]
        gain, bias = take(self.gain, first(width)), take(self.bias, first(width))
        return F.layer_norm(values, (width,), gain, bias, EPSILON)


class DenseProjection(nn.Module):
    """Linear map of concatenated dense inputs: a weight for each input, their products added."""

    def __init__(self, width: int, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        bound = 1 / math.sqrt(capacity.dense_total)
        self.weights = nn.ParameterDict(
            {
                str(source): draw.uniform(f"dense{source}", width, size, bound=bound)
                for source, size in capacity.dense_sources.items()
            }
        )

    def forward(self, given: BlockInput, width: int, take: Take) -> Tensor:  # [batch, width]
        total: Tensor | None = None
        for source, values in given.dense.items():
            weight = take(self.weights[str(source)], first(width), first(values.shape[1]))
            weight, values = given.weight(weight), given.activation(values)
            total = (
                F.linear(values, weight)
                if total is None
                else torch.addmm(total, values, weight.t())
            )
        assert total is not None  # a block that reads dense inputs has at least one
        return total


class SparseProjection(nn.Module):
    """Linear map over the rows of concatenated sparse inputs, the same for each of `dim` columns."""

    def __init__(self, width: int, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        bound = 1 / math.sqrt(capacity.sparse_total)
        self.weights = nn.ParameterDict(
            {
                str(source): draw.uniform(f"sparse{source}", width, size, bound=bound)
                for source, size in capacity.sparse_sources.items()
            }
        )
        self.merger_weights = nn.ParameterDict(
            {
                str(source): draw.uniform(f"merger{source}", width, MERGER_ROWS, bound=bound)
                for source in sorted(capacity.row_sources)
            }
        )

    def forward(self, given: BlockInput, width: int, take: Take) -> Tensor:
        parts = []
        for source, values in given.sparse.items():
            key = str(source)
            parts.append(take(self.weights[key], first(width), first(values.own_rows)))
            if values.has_merger:
                parts.append(take(self.merger_weights[key], first(width), first(MERGER_ROWS)))
        weight = given.weight(torch.cat(parts, dim=1))  # [width, rows]: small beside the batch
        assert given.joined is not None
        return F.linear(given.activation(given.joined), weight)  # [batch, dim, width]


class FullyConnected(nn.Module):
    """FC: linear without bias, layer norm, ReLU."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        self.project = DenseProjection(capacity.dense_width, capacity, draw)
        self.norm = LayerNorm(capacity.dense_width)

    def forward(self, given: BlockInput, width: int, take: Take) -> Tensor:  # [batch, width]
        return F.relu(self.norm(self.project(given, width, take), take))


class EmbeddedFullyConnected(nn.Module):
    """EFC: FC along the rows of the sparse tensor."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        self.project = SparseProjection(capacity.sparse_width, capacity, draw)
        self.norm = LayerNorm(capacity.sparse_width)

    def forward(self, given: BlockInput, width: int, take: Take) -> Tensor:  # [batch, dim, width]
        return F.relu(self.norm(self.project(given, width, take), take))


class Gate(nn.Module):
    """Sigmoid gating: sigmoid(linear(left)) times right, linear to the width, layer norm.

    Inputs count as padded with zeros to the wider of the two; units that only padding reaches are
    zero, and are not computed.
    """

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        left, right = capacity.two
        self.gate = draw.uniform("gate", right, left, bound=1 / math.sqrt(left))
        self.gate_bias = zeros(right)
        if capacity.may_differ(max(left, right), capacity.dense_width):
            bound = 1 / math.sqrt(right)
            self.output = draw.uniform("output", capacity.dense_width, right, bound=bound)
            self.output_bias = zeros(capacity.dense_width)
        self.norm = LayerNorm(capacity.dense_width)

    def forward(self, given: BlockInput, width: int, take: Take) -> Tensor:  # [batch, width]
        left, right = given.left, given.right
        assert left is not None
        assert right is not None
        size = right.shape[1]
        weight = given.weight(take(self.gate, first(size), first(left.shape[1])))
        bias = take(self.gate_bias, first(size))
        gated = torch.sigmoid(F.linear(given.activation(left), weight, bias)) * right
        if max(left.shape[1], size) == width:
            return self.norm(F.pad(gated, (0, width - size)), take)
        weight = given.weight(take(self.output, first(width), first(size)))
        bias = take(self.output_bias, first(width))
        return self.norm(F.linear(given.activation(gated), weight, bias), take)


class Sum(nn.Module):
    """Sum of two inputs, linear without bias to the width, layer norm."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        widest = max(capacity.two)
        if capacity.may_differ(widest, capacity.dense_width):
            bound = 1 / math.sqrt(widest)
            self.output = draw.uniform("output", capacity.dense_width, widest, bound=bound)
        self.norm = LayerNorm(capacity.dense_width)

    def forward(self, given: BlockInput, width: int, take: Take) -> Tensor:  # [batch, width]
        left, right = given.left, given.right
        assert left is not None
        assert right is not None
        size = max(left.shape[1], right.shape[1])
        total = F.pad(left, (0, size - left.shape[1])) + F.pad(right, (0, size - right.shape[1]))
        if size != width:
            weight = given.weight(take(self.output, first(width), first(size)))
            total = F.linear(given.activation(total), weight)
        return self.norm(total, take)


def balanced_rows(width: int) -> int:
    """Rows to which operator balancing projects the input of a dot product of this output width.

    The paper writes ceil(sqrt(2 width)) (section 4.2); its published results rounded.
    """
    return round(math.sqrt(2 * width))


class DotProduct(nn.Module):
    """Pairwise inner products of the dense vector and the balanced sparse rows, then layer norm."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        rows = balanced_rows(capacity.dense_width)
        if capacity.may_differ(capacity.dense_total, capacity.dim):
            self.vector = DenseProjection(capacity.dim, capacity, draw.of("vector"))
            self.vector_norm = LayerNorm(capacity.dim)
        if capacity.may_differ(capacity.sparse_total, rows):
            self.balance = SparseProjection(rows, capacity, draw.of("balance"))
            self.balance_norm = LayerNorm(rows)
        pairs = rows * (rows + 1) // 2
        if capacity.may_differ(pairs, capacity.dense_width):
            bound = 1 / math.sqrt(pairs)
            self.output = draw.uniform("output", capacity.dense_width, pairs, bound=bound)
        self.norm = LayerNorm(capacity.dense_width)
        self._dim = capacity.dim
        self._triangles: dict[int, Tensor] = {}

    def forward(self, given: BlockInput, width: int, take: Take) -> Tensor:  # [batch, width]
        rows = balanced_rows(width)
        if sum(values.shape[1] for values in given.dense.values()) == self._dim:
            vector = torch.cat(list(given.dense.values()), dim=1)
        else:
            vector = self.vector_norm(self.vector(given, self._dim, take), take)
        assert given.joined is not None
        balanced = given.joined
        if balanced.shape[-1] != rows:
            balanced = self.balance_norm(self.balance(given, rows, take), take)
        stacked = torch.cat([vector.unsqueeze(-1), balanced], dim=-1)  # [batch, dim, rows + 1]
        gram = stacked.transpose(1, 2) @ stacked  #  [batch, rows + 1, rows + 1]
        pairs = gram.flatten(1).index_select(1, self._triangle(rows + 1, gram.device))
        if pairs.shape[1] != width:
            # With the dense row first, the triangle of few rows is a prefix of that of many.
            weight = take(self.output, first(width), first(pairs.shape[1]))
            pairs = F.linear(given.activation(pairs), given.weight(weight))
        return self.norm(pairs, take)

    def _triangle(self, rows: int, device: torch.device) -> Tensor:
        """Places of the strict lower triangle in a flattened matrix of `rows` x `rows`."""
        if rows not in self._triangles or self._triangles[rows].device != device:
            low, high = torch.tril_indices(rows, rows, -1, device=device)
            self._triangles[rows] = low * rows + high
        return self._triangles[rows]


class Attention(nn.Module):
    """Transformer encoder over the rows, with queries, keys and values alike."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        dim = capacity.dim
        bound = 1 / math.sqrt(dim)
        self.heads = next(h for h in range(min(NUM_HEADS, dim), 0, -1) if dim % h == 0)
        self.project = SparseProjection(capacity.sparse_width, capacity, draw)
        self.project_norm = LayerNorm(capacity.sparse_width)
        self.query_key_value = draw.uniform("query_key_value", 3 * dim, dim, bound=bound)
        self.query_key_value_bias = zeros(3 * dim)
        self.mix = draw.uniform("mix", dim, dim, bound=bound)
        self.mix_bias = zeros(dim)
        self.attention_norm = LayerNorm(dim, RESIDUAL_GAIN)
        self.inner = draw.uniform("inner", dim, dim, bound=bound)
        self.inner_bias = zeros(dim)
        self.outer = draw.uniform("outer", dim, dim, bound=bound)
        self.outer_bias = zeros(dim)
        self.feed_forward_norm = LayerNorm(dim, RESIDUAL_GAIN)

    def forward(self, given: BlockInput, width: int, take: Take) -> Tensor:  # [batch, dim, width]
        projected = self.project_norm(self.project(given, width, take), take)
        rows = projected.transpose(1, 2)  #  [batch, width, dim]
        batch, _, dim = rows.shape

        def linear(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            taken = given.weight(take(weight, first(len(weight)), first(dim)))
            return F.linear(given.activation(values), taken, take(bias, first(len(bias))))

        joint = linear(rows, self.query_key_value, self.query_key_value_bias)
        heads = joint.view(batch, width, 3, self.heads, dim // self.heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each [batch, heads, width, dim / heads]
        mixed = F.scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).reshape(batch, width, dim)
        rows = self.attention_norm(rows + linear(mixed, self.mix, self.mix_bias), take)
        inner = F.relu(linear(rows, self.inner, self.inner_bias))
        rows = self.feed_forward_norm(rows + linear(inner, self.outer, self.outer_bias), take)
        return rows.transpose(1, 2).contiguous()


class FactorizationMachine(nn.Module):
    """Sparse-to-dense merger: square of the sum minus sum of squares over rows, to the width."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        dim, width = capacity.dim, capacity.dense_width
        if capacity.may_differ(dim, width):
            self.output = draw.uniform("output", width, dim, bound=1 / math.sqrt(dim))
            self.norm = LayerNorm(width)

    def forward(self, given: BlockInput, sparse: Tensor, width: int, take: Take) -> Tensor:
        interaction = sparse.sum(dim=-1).square() - sparse.square().sum(dim=-1)  # [batch, dim]
        if interaction.shape[1] == width:
            return interaction
        weight = given.weight(take(self.output, first(width), first(interaction.shape[1])))
        return self.norm(F.linear(given.activation(interaction), weight), take)  # [batch, width]


class DenseToSparse(nn.Module):
    """Dense-to-sparse merger: the dense output as 8 more rows."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        size = MERGER_ROWS * capacity.dim
        if capacity.may_differ(capacity.dense_width, size):
            bound = 1 / math.sqrt(capacity.dense_width)
            self.output = draw.uniform("output", size, capacity.dense_width, bound=bound)
            self.norm = LayerNorm(size)
        self._dim = capacity.dim

    def forward(self, given: BlockInput, dense: Tensor, take: Take) -> Tensor:
        size = MERGER_ROWS * self._dim
        if dense.shape[1] != size:
            weight = given.weight(take(self.output, first(size), first(dense.shape[1])))
            dense = self.norm(F.linear(given.activation(dense), weight), take)
        return dense.view(-1, MERGER_ROWS, self._dim).transpose(1, 2)  # [batch, dim, 8]


DENSE_OPERATORS = {"fc": FullyConnected, "gate": Gate, "sum": Sum, "dot": DotProduct}
SPARSE_OPERATORS = {"efc": EmbeddedFullyConnected, "attn": Attention}
