"""Symmetric fake quantisation with straight-through gradients (co-design, section 5.1).

Scales follow the largest magnitude: of each output channel for weights, of each sample for
activations, so that an answer does not depend on which other samples are in the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor


def fake_quantize(values: Tensor, bits: int) -> Tensor:
    """Round to the nearest of `2**bits - 1` levels along the last axis; gradients pass unchanged.

    Args:
        values: Any shape; each vector along the last axis has its own scale.
        bits: 2 to 16.

    Returns:
        The same shape.
    """
    levels = 2 ** (bits - 1) - 1
    # The eight bits of a bfloat16 could not tell all levels apart.
    given = values.detach().to(torch.promote_types(values.dtype, torch.float32))
    scale = given.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / levels
    rounded = (given / scale).round() * scale
    return values + (rounded - given).to(values.dtype)
