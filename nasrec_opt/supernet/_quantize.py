"""Rounding to a genotype's bits, and which models are trained with it (co-design, section 5.1).

Scales are symmetric and follow the largest magnitude of each output channel for weights, and of
each vector for activations. So an answer does not depend on the other samples of a batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nasrec_opt.space import FLOAT_BITS, Genotype, SearchSpace, live_bits

LEARNT_IN_FLOATS = {8, FLOAT_BITS}  # models with no other bits are trained without rounding


def round_to(values: Tensor, bits: int, dim: int = -1) -> Tensor:
    """Round values to a number of bits; 32 is floating point, which leaves them unchanged.

    Args:
        values: Any shape.
        bits: 2 to 16, or 32.
        dim: Axis of the vectors that have a scale each.

    Returns:
        The same shape.
    """
    return values if bits == FLOAT_BITS else fake_quantize(values, bits, dim)


def fake_quantize(values: Tensor, bits: int, dim: int = -1) -> Tensor:
    """Round to the nearest of `2**bits - 1` levels along an axis; gradients pass unchanged.

    Args:
        values: Any shape; each vector along the axis has its own scale.
        bits: 2 to 16.
        dim: The axis.

    Returns:
        The same shape.
    """
    levels = 2 ** (bits - 1) - 1
    # The eight bits of a bfloat16 cannot represent all levels.
    given = values.detach().to(torch.promote_types(values.dtype, torch.float32))
    scale = given.abs().amax(dim=dim, keepdim=True).clamp_min_(1e-12).div_(levels)
    rounded = (given / scale).round_().mul_(scale)
    if not values.requires_grad:
        return rounded.to(values.dtype)
    return values + (rounded - given).to(values.dtype)


def trained_as(genotype: Genotype) -> Genotype:
    """Choose the genotype that a model is trained as: its own, or the same in floating point.

    Models of 8 bits are trained in floating point, which is less work per step
    (docs/decisions/bits.md). Models with fewer bits anywhere are trained with their rounding.
    Scores are always those of a model at its own bits.

    Args:
        genotype: The model.

    Returns:
        The genotype for the forward passes of the training.
    """
    return genotype.with_bits(FLOAT_BITS) if live_bits(genotype) <= LEARNT_IN_FLOATS else genotype


def learns_in_floats(space: SearchSpace) -> bool:
    """Check whether every genotype of a space is trained without rounding.

    Args:
        space: The space.

    Returns:
        True if all its bits are 8 or 32.
    """
    return set(space.bits) <= LEARNT_IN_FLOATS
