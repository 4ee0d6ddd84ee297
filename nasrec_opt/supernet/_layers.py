"""Layers that read weights by slices: layer norm or bias, and projections of joined inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasrec_opt.space import MERGER_VECTORS
from nasrec_opt.supernet._initializer import Initializer, first, ones, zeros
from nasrec_opt.supernet._inputs import BlockInput, Capacity
from nasrec_opt.supernet._quantize import round_to
from nasrec_opt.supernet._readers import WeightReader

EPSILON = 1e-5


class LayerNorm(nn.Module):
    """Layer normalisation over the active units."""

    def __init__(self, width: int, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = ones(width, value=gain)
        self.bias = zeros(width)

    if TYPE_CHECKING:  # torch calls `forward`, but forgets its types

        def __call__(
            self, values: Tensor, reader: WeightReader, *, is_product: bool = True
        ) -> Tensor: ...

    def forward(
        self, values: Tensor, reader: WeightReader, *, is_product: bool = True
    ) -> Tensor:  # [..., width]
        width = values.shape[-1]
        gain, bias = reader.weight(self.gain, first(width)), reader.weight(self.bias, first(width))
        # Products may be bfloat16 (autocast); the result has the weights' precision again.
        return functional.layer_norm(values.to(gain.dtype), (width,), gain, bias, EPSILON)

    def of_centred(self, values: Tensor, reader: WeightReader) -> Tensor:  # [..., width]
        """The same for float32 values whose mean is already 0; overwrites them.

        The stock kernel spends 30 ns on each vector, however short; these passes do not.
        """
        width = values.shape[-1]
        gain, bias = (
            wide(reader.weight(self.gain, first(width))),
            wide(reader.weight(self.bias, first(width))),
        )
        values = wide(values)
        scale = values.square().mean(dim=-1, keepdim=True).add_(EPSILON).rsqrt_()
        return torch.addcmul(bias, values.mul_(scale), gain)

    def across_dim(self, values: Tensor, reader: WeightReader) -> Tensor:  # [batch, width, rows]
        """The same along the middle axis, without a transpose; never of less than float32."""
        width = values.shape[1]
        gain, bias = reader.weight(self.gain, first(width)), reader.weight(self.bias, first(width))
        normal: Tensor
        normal = _NormAcrossDim.apply(  # type: ignore[no-untyped-call]  # torch's
            wide(values), wide(gain), wide(bias)
        )
        return normal


class Bias(nn.Module):
    """What a model without layer norms has in their place: the bias of the linear map before."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = zeros(width)

    if TYPE_CHECKING:  # torch calls `forward`, but forgets its types

        def __call__(
            self, values: Tensor, reader: WeightReader, *, is_product: bool = True
        ) -> Tensor: ...

    def forward(
        self, values: Tensor, reader: WeightReader, *, is_product: bool = True
    ) -> Tensor:  # [..., width]
        if not is_product:  # without a linear map before it
            return values
        bias = reader.weight(self.bias, first(values.shape[-1]))
        return values.to(bias.dtype) + bias


Norm = LayerNorm | Bias


def norm_of(width: int, capacity: Capacity) -> Norm:
    """What follows an operator or a linear map inside it, as the capacity says."""
    return LayerNorm(width) if capacity.layer_norm else Bias(width)


def wide(values: Tensor) -> Tensor:
    """The values in at least float32, for sums that would lose digits in a shorter type."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class _NormAcrossDim(torch.autograd.Function):
    """Layer norm along the middle axis: sums run over whole rows, vector by vector."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        normal = values - values.mean(dim=1, keepdim=True)
        scale = normal.square().mean(dim=1, keepdim=True).add_(EPSILON).rsqrt_()
        normal *= scale
        ctx.save_for_backward(normal, scale, gain)
        return torch.addcmul(bias.unsqueeze(1), normal, gain.unsqueeze(1))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        normal, scale, gain = ctx.saved_tensors
        of_gain, of_bias = (gradient * normal).sum(dim=(0, 2)), gradient.sum(dim=(0, 2))
        scaled = gradient * gain.unsqueeze(1)
        share = (scaled * normal).mean(dim=1, keepdim=True)
        of_values = scaled - scaled.mean(dim=1, keepdim=True)
        of_values.addcmul_(normal, share, value=-1).mul_(scale)
        return of_values, of_gain, of_bias


class DenseProjection(nn.Module):
    """Linear map of concatenated dense inputs: a weight for each input, their products added."""

    def __init__(self, width: int, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        sizes = capacity.dense_sources
        fans = sum(sizes.values()) + width
        self.weights = nn.ParameterDict(
            {
                str(source): draw.linear(
                    f"dense{source}", width, size, bound=_bound(size), fans=fans
                )
                for source, size in sizes.items()
            }
        )

    def forward(
        self, given: BlockInput, width: int, reader: WeightReader
    ) -> Tensor:  # [batch, width]
        total: Tensor | None = None
        for source, values in given.dense.items():
            weight = reader.weight(self.weights[str(source)], first(width), first(values.shape[1]))
            total = reader.linear(given.activation(values), weight, total, bits=given.bits)
        assert total is not None  # a block that reads dense inputs has at least one of them
        return total


class SparseProjection(nn.Module):
    """Linear map over the vectors of concatenated sparse inputs, and layer norm."""

    def __init__(self, width: int, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        sizes, mergers = capacity.sparse_sources, sorted(capacity.dense_to_sparse_sources)
        fans = sum(sizes.values()) + MERGER_VECTORS * len(mergers) + width
        self.weights = nn.ParameterDict(
            {
                str(source): draw.linear(
                    f"sparse{source}", width, size, bound=_bound(size), fans=fans
                )
                for source, size in sizes.items()
            }
        )
        bound = _bound(MERGER_VECTORS)
        self.merger_weights = nn.ParameterDict(
            {
                str(source): draw.linear(
                    f"merger{source}", width, MERGER_VECTORS, bound=bound, fans=fans
                )
                for source in mergers
            }
        )

    def weight(
        self, given: BlockInput, width: int, reader: WeightReader
    ) -> Tensor:  # [width, rows]
        """Weights of all inputs side by side, which are small compared with the batch."""
        parts = []
        for source, values in given.sparse.items():
            key = str(source)
            parts.append(reader.weight(self.weights[key], first(width), first(values.own_vectors)))
            if values.has_dense_to_sparse:
                parts.append(
                    reader.weight(self.merger_weights[key], first(width), first(MERGER_VECTORS))
                )
        return torch.cat(parts, dim=1)

    def forward(
        self, given: BlockInput, width: int, norm: Norm, reader: WeightReader
    ) -> Tensor:  # [batch, dim, width]
        """The product and its layer norm or bias."""
        weight = self.weight(given, width, reader)
        assert given.joined is not None
        rows = given.activation(given.joined)
        if not reader.can_fold or isinstance(norm, Bias):
            return norm(reader.linear(rows, weight, bits=given.bits), reader)
        # The mean of the products is the product with the mean of the weights, which is small.
        weight = round_to(weight, given.weight_bits)
        return norm.of_centred(reader.linear(rows, weight - weight.mean(dim=0)), reader)


def _bound(inputs: int) -> float:
    """Bound of initial weights; by one input's width, as which inputs are active varies."""
    return 1 / math.sqrt(inputs)
