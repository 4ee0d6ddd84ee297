"""Multi-head attention for many short sequences with very narrow heads, rows last.

With 8 heads of width 2, time goes to the `rows * rows` weights of each head, not to products. So
they are made transposed, `[keys, queries]`, where both products that read them have a short side of
`dim / heads` and a long one that is contiguous; they are never normalised, since a row of ones
beside the values yields the sums to divide by; and the exponential is one of base 2, several times
as fast as that of base e in float32. Samples go through in pieces that stay in cache, and the
backward pass computes the weights again instead of keeping them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

PIECE = 1 << 18  # attention weights at a time: 1 MiB, about a core's second-level cache
SAFE = 2.0**64  # sums of weights within 1 / SAFE and SAFE lost nothing to overflow or underflow


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Scaled dot-product attention of every head.

    Args:
        query: `[batch, dim, rows]`; head `h` has the `h`-th run of `dim / heads` entries.
        key: The same shape.
        value: The same shape.
        heads: Number of heads.

    Returns:
        The heads' results side by side, `[batch, dim, rows]`.

    References:
        Vaswani et al. 2017, section 3.2.
    """
    batch, dim, rows = query.shape
    split = [part.reshape(batch * heads, dim // heads, rows) for part in (query, key, value)]
    if query.device.type == "cpu":
        mixed = _Attend.apply(*split)
    else:
        split = [part.transpose(1, 2) for part in split]
        mixed = functional.scaled_dot_product_attention(*split).transpose(1, 2)
    return mixed.reshape(batch, dim, rows)


class _Attend(torch.autograd.Function):
    """Tensors are `[batch * heads, width, rows]`, weights `[piece, keys, queries]`."""

    # float32 whatever the precision around: heads are too narrow to gain, and softmax would lose.
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        width = query.shape[1]
        scaled = query * _log2_scale(width)
        beside = torch.cat([value, torch.ones_like(value)], dim=1)
        mixed, is_shifted = torch.empty_like(beside), False
        _mix(scaled, key, beside, out=mixed, is_shifted=is_shifted)
        if len(mixed) and not _is_safe(mixed[:, width:]):
            is_shifted = True
            _mix(scaled, key, beside, out=mixed, is_shifted=is_shifted)
        output = mixed[:, :width] / mixed[:, width:]
        if any(ctx.needs_input_grad):
            totals = mixed[:, width : width + 1].contiguous()
            ctx.save_for_backward(query, key, value, output, totals)
            ctx.is_shifted = is_shifted
        return output

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, output, totals = ctx.saved_tensors
        width = query.shape[1]
        scaled = query * _log2_scale(width)
        shared = gradient / totals
        # Gradient of a softmax: weights * (their gradient - its mean under the weights), and that
        # mean is the product of a head's output with the gradient of it.
        mean = (output * shared).sum(dim=1, keepdim=True)
        into = torch.cat([shared, mean], dim=1)
        beside = torch.cat([value, torch.full_like(mean, -1.0)], dim=1).transpose(1, 2)
        of_query, of_key, of_value = (torch.empty_like(part) for part in (query, key, value))
        rooms = _room(key), _room(key)
        for piece in _pieces(key):
            weights = _weights(scaled[piece], key[piece], rooms[0], is_shifted=ctx.is_shifted)
            torch.bmm(shared[piece], weights.transpose(1, 2), out=of_value[piece])
            scores = torch.bmm(beside[piece], into[piece], out=rooms[1][: len(weights)])
            scores *= weights
            torch.bmm(key[piece], scores, out=of_query[piece])
            torch.bmm(query[piece], scores.transpose(1, 2), out=of_key[piece])
        scale = 1 / math.sqrt(width)
        return of_query.mul_(scale), of_key.mul_(scale), of_value


def _log2_scale(width: int) -> float:
    """What makes a product of query and key the binary logarithm of a weight."""
    return math.log2(math.e) / math.sqrt(width)


def _piece_size(rows: int) -> int:
    return max(1, PIECE // rows**2)


def _pieces(values: Tensor) -> Iterator[slice]:
    size = _piece_size(values.shape[-1])
    return (slice(begin, begin + size) for begin in range(0, len(values), size))


def _mix(scaled: Tensor, key: Tensor, beside: Tensor, *, out: Tensor, is_shifted: bool) -> None:
    """Sums over keys of weights times what lies beside, `[batch * heads, 2 * width, queries]`."""
    room = _room(key)
    for piece in _pieces(key):
        weights = _weights(scaled[piece], key[piece], room, is_shifted=is_shifted)
        torch.bmm(beside[piece], weights, out=out[piece])


def _room(key: Tensor) -> Tensor:
    """Memory for the weights of a piece; pieces share it, so that it is in cache."""
    rows = key.shape[-1]
    return key.new_empty(min(len(key), _piece_size(rows)), rows, rows)


def _weights(scaled: Tensor, key: Tensor, room: Tensor, *, is_shifted: bool) -> Tensor:
    """Weights before division by their sums; shifted, the largest of each query is 1."""
    scores = torch.bmm(key.transpose(1, 2), scaled, out=room[: len(key)])  # [piece, keys, queries]
    if is_shifted:
        scores -= scores.amax(dim=1, keepdim=True)
    return scores.exp2_()


def _is_safe(totals: Tensor) -> bool:
    low, high = torch.aminmax(totals)
    return float(low) > 1 / SAFE and float(high) < SAFE
