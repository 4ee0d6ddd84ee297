"""Multi-head attention for many short sequences with very narrow heads.

With 8 heads of width 2, a product for each head and sample is all overhead. Here the heads of a
sample share one product: each head's queries are the sample's queries with the other heads' entries
put to zero, so that `heads * rows` queries meet `rows` keys. Samples go through in pieces that stay
in cache, and the backward pass computes the weights again instead of keeping them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

PIECE = 1 << 19  # floats of attention weights at a time: 2 MiB, about a core's cache


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Scaled dot-product attention of every head.

    Args:
        query: `[batch, rows, dim]`; head `h` has the `h`-th run of `dim / heads` entries.
        key: The same shape.
        value: The same shape.
        heads: Number of heads.

    Returns:
        The heads' results side by side, `[batch, rows, dim]`.

    References:
        Vaswani et al. 2017, section 3.2.
    """
    if query.device.type == "cpu":
        return _Attend.apply(query, key, value, heads)
    batch, rows, dim = query.shape
    split = (values.view(batch, rows, heads, dim // heads) for values in (query, key, value))
    mixed = functional.scaled_dot_product_attention(*(values.transpose(1, 2) for values in split))
    return mixed.transpose(1, 2).reshape(batch, rows, dim)


class _Attend(torch.autograd.Function):
    # float32 whatever the precision around: heads are too narrow to gain, and softmax would lose.
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
        mask = _Mask(query, heads)
        output = torch.empty_like(value)
        for piece in _pieces(query, heads):
            weights = _weights(query[piece] * mask.scale, key[piece], mask.heads)
            mixed = torch.bmm(weights, value[piece])
            output[piece] = _per_head(mixed, mask.heads)
        ctx.save_for_backward(query, key, value, output)
        ctx.heads = heads
        return output

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        query, key, value, output = ctx.saved_tensors
        mask = _Mask(query, ctx.heads)
        of_query, of_key, of_value = (torch.empty_like(values) for values in (query, key, value))
        for piece in _pieces(query, ctx.heads):
            scaled = query[piece] * mask.scale
            weights = _weights(scaled, key[piece], mask.heads)
            into = _spread(gradient[piece], mask.heads)  #  [piece, heads * rows, dim]
            torch.bmm(weights.transpose(1, 2), into, out=of_value[piece])
            # Gradient of a softmax: weights * (their gradient - its mean under the weights), and
            # that mean is the product of a head's output with the gradient of it.
            mean = (into * _spread(output[piece], mask.heads)).sum(dim=-1, keepdim=True)
            scores = torch.bmm(into, value[piece].transpose(1, 2))
            scores.sub_(mean).mul_(weights)  #  [piece, heads * rows, rows]
            of_query[piece] = _per_head(torch.bmm(scores, key[piece]), mask.heads) * mask.scale
            torch.bmm(scores.transpose(1, 2), _spread(scaled, mask.heads), out=of_key[piece])
        return of_query, of_key, of_value, None


class _Mask:
    """Which entries belong to which head, `[heads, 1, dim]`, and the scale of the products."""

    def __init__(self, values: Tensor, heads: int) -> None:
        dim = values.shape[-1]
        owner = torch.arange(dim, device=values.device) // (dim // heads)
        number = torch.arange(heads, device=values.device).view(-1, 1, 1)
        self.heads = (owner == number).to(values.dtype)
        self.scale = 1 / math.sqrt(dim // heads)


def _pieces(values: Tensor, heads: int) -> Iterator[slice]:
    batch, rows, _ = values.shape
    size = max(1, PIECE // (heads * rows * rows))
    return (slice(begin, begin + size) for begin in range(0, batch, size))


def _weights(query: Tensor, key: Tensor, mask: Tensor) -> Tensor:  # [piece, heads * rows, rows]
    return torch.bmm(_spread(query, mask), key.transpose(1, 2)).softmax(dim=-1)


def _spread(values: Tensor, mask: Tensor) -> Tensor:  # [piece, heads * rows, dim]
    piece, _, dim = values.shape
    return (values.unsqueeze(1) * mask).view(piece, -1, dim)


def _per_head(values: Tensor, mask: Tensor) -> Tensor:  # [piece, rows, dim]
    piece, _, dim = values.shape
    return (values.view(piece, len(mask), -1, dim) * mask).sum(dim=1)
