"""Multi-head attention for many short sequences with very narrow heads, sequences last.

With 8 heads of width 2, the weights of each head (the squared number of vectors) take the time, not
the products. So they are computed transposed, `[keys, queries]`: both products that read them then
have a short side of `dim / heads` and a long, contiguous one. They are never normalised: a vector
of ones beside the values yields the sums to divide by. The exponential has base 2, which is several
times as fast as base e in float32. Samples are processed in pieces that stay in cache. The backward
pass computes the weights again from the logarithm of their sums, as FlashAttention does.

References:
    Dao et al. 2022, FlashAttention, section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

PIECE = 1 << 19  # attention weights at a time: 2 MiB, what a core has close by
VECTORS = 32  # floats that the stock maximum takes at a time: it is quick for multiples of them


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Scaled dot-product attention of every head.

    Args:
        query: `[batch, dim, vectors]`; head `h` has the `h`-th run of `dim / heads` entries.
        key: The same shape.
        value: The same shape.
        heads: Number of heads.

    Returns:
        The heads' results side by side, `[batch, dim, vectors]`.

    References:
        Vaswani et al. 2017, section 3.2.
    """
    batch, dim, vectors = query.shape
    if torch.compiler.is_compiling():  # the stock operation as every runtime knows it
        query, key, value = (
            part.reshape(batch, heads, dim // heads, vectors).transpose(2, 3)
            for part in (query, key, value)
        )
        stock = functional.scaled_dot_product_attention(query, key, value)
        return stock.transpose(2, 3).reshape(batch, dim, vectors)
    query, key, value = (
        part.reshape(batch * heads, dim // heads, vectors) for part in (query, key, value)
    )
    mixed: Tensor
    if query.device.type == "cpu":
        mixed = _Attend.apply(query, key, value)  # type: ignore[no-untyped-call]  # torch's
    else:
        mixed = functional.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        ).transpose(1, 2)
    return mixed.reshape(batch, dim, vectors)


class _Attend(torch.autograd.Function):
    """Tensors are `[batch * heads, width, vectors]`, weights `[piece, keys, queries]`."""

    # Always float32: heads are too narrow to gain from less, and softmax would lose accuracy.
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]  # torch's
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        width = query.shape[1]
        scaled = query * _log2_scale(width)
        beside = torch.cat([value, torch.ones_like(value)], dim=1)
        mixed, largest = torch.empty_like(beside), query.new_empty(len(query), 1, query.shape[2])
        room = _room(key)
        for piece in _pieces(key):
            scores = room[: len(key[piece])]  # [piece, keys, queries]
            torch.bmm(key[piece].transpose(1, 2), scaled[piece], out=scores)
            largest[piece] = _largest(scores)
            weights = scores.sub_(largest[piece]).exp2_()
            torch.bmm(beside[piece], weights, out=mixed[piece])
        output = mixed[:, :width] / mixed[:, width:]
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(
                query, key, value, output, largest + mixed[:, width : width + 1].log2()
            )
        return output

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]  # torch's
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, output, log2_sums = ctx.saved_tensors
        width = query.shape[1]
        minus_one = torch.full_like(log2_sums, -1.0)
        scaled = torch.cat([query * _log2_scale(width), log2_sums], dim=1)
        beside_key = torch.cat([key, minus_one], dim=1).transpose(1, 2)
        # Gradient of a softmax: weights * (their gradient - its mean under the weights), and that
        # mean is the product of a head's output with the gradient of it.
        mean = (output * gradient).sum(dim=1, keepdim=True)
        into = torch.cat([gradient, mean], dim=1)
        beside_value = torch.cat([value, minus_one], dim=1).transpose(1, 2)
        of_query, of_key, of_value = (torch.empty_like(part) for part in (query, key, value))
        rooms = _room(key), _room(key)
        for piece in _pieces(key):
            weights, scores = (room[: len(key[piece])] for room in rooms)
            torch.bmm(beside_key[piece], scaled[piece], out=weights).exp2_()
            torch.bmm(gradient[piece], weights.transpose(1, 2), out=of_value[piece])
            torch.bmm(beside_value[piece], into[piece], out=scores).mul_(weights)
            torch.bmm(key[piece], scores, out=of_query[piece])
            torch.bmm(query[piece], scores.transpose(1, 2), out=of_key[piece])
        scale = 1 / math.sqrt(width)
        return of_query.mul_(scale), of_key.mul_(scale), of_value


def _log2_scale(width: int) -> float:
    """The factor that turns a product of query and key into the binary logarithm of a weight."""
    return math.log2(math.e) / math.sqrt(width)


def _piece_size(vectors: int) -> int:
    return max(1, PIECE // vectors**2)


def _pieces(values: Tensor) -> Iterator[slice]:
    size = _piece_size(values.shape[-1])
    return (slice(begin, begin + size) for begin in range(0, len(values), size))


def _room(key: Tensor) -> Tensor:
    """Memory for the weights of a piece; pieces share it, so that it stays in cache."""
    vectors = key.shape[-1]
    return key.new_empty(min(len(key), _piece_size(vectors)), vectors, vectors)


def _largest(scores: Tensor) -> Tensor:
    """Largest score of each query, `[piece, 1, queries]`."""
    rows = scores.shape[1]
    if rows == 1 or scores.shape[2] % VECTORS == 0:
        return scores.amax(dim=1, keepdim=True)
    while rows > 1:
        half = rows // 2
        larger = torch.maximum(scores[:, :half], scores[:, half : 2 * half])
        if rows % 2:
            torch.maximum(larger[:, :1], scores[:, -1:], out=larger[:, :1])
        scores, rows = larger, half
    return scores
