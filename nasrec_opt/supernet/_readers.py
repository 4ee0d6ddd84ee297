"""Readers of weights: a pass reads slices of weights that are larger than a genotype needs.

Every layer reads its weights, and multiplies by them, through a `WeightReader`. The reader decides
what a pass costs and what it leaves behind: views whose gradients go to whole weights
(`ViewReader`), views with gradients of their own, so that neither a gradient nor an optimizer step
is ever larger than the slice (`LeafReader`), a list of what was read, which is how a subnet is cut
out (`SliceRecorder`), copies in another precision (`CastingReader`). `NoisyOracle` has one more,
which multiplies as the cells of a crossbar do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from nasrec_opt.space import FLOAT_BITS
from nasrec_opt.supernet._quantize import round_to

Index = tuple[slice, ...]
Bits = tuple[int, int]  # of weights and of the inputs of a product; 32 = floating point
FLOATS: Bits = (FLOAT_BITS, FLOAT_BITS)


class WeightReader(Protocol):
    """Reads slices of weights, and multiplies by them.

    A reader of your own derives from this class, and has to define `weight` alone.
    """

    @property
    def can_fold(self) -> bool:
        """Whether layers may fold other operations into a weight before they multiply by it.

        False if gradients are needed, or if products must use the weights as stored.
        """
        return False

    def weight(self, whole: Tensor, *index: slice) -> Tensor:
        """Read a slice.

        Args:
            whole: The whole weight.
            index: One slice per dimension.

        Returns:
            The slice, in the shape that the index gives it.
        """

    def linear(
        self,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        bits: Bits = FLOATS,
        dim: int = -1,
    ) -> Tensor:
        """Multiply vectors by a weight, and add a bias.

        Args:
            inputs: `[..., inputs]`, at their bits already; `[batch, inputs, vectors]` where `dim`
                is 1.
            weight: `[outputs, inputs]`, as `weight` reads it, not yet rounded.
            bias: What is added: `[outputs]`, or the shape of the result. None adds nothing.
            bits: Bits of the weight, to which it is rounded here, and of the inputs.
            dim: Axis of the vectors, -1 or 1.

        Returns:
            The products, in the shape of the inputs but for the axis of the vectors.
        """
        return multiply(inputs, round_to(weight, bits[0]), bias, dim)


def multiply(inputs: Tensor, weight: Tensor, bias: Tensor | None = None, dim: int = -1) -> Tensor:
    """Multiply as `WeightReader.linear` does, by a weight that is rounded already.

    Args:
        inputs: `[..., inputs]`, or `[batch, inputs, vectors]` where `dim` is 1.
        weight: `[outputs, inputs]`.
        bias: What is added: `[outputs]`, or the shape of the result. None adds nothing.
        dim: Axis of the vectors, -1 or 1.

    Returns:
        The products, in the shape of the inputs but for the axis of the vectors.
    """
    if dim == 1:
        taken, values = weight.expand(inputs.shape[0], -1, -1), inputs.to(weight.dtype)
        if bias is None:
            return torch.bmm(taken, values)
        return torch.baddbmm(bias.unsqueeze(1), taken, values)
    if bias is not None and bias.ndim > 1:
        return torch.addmm(bias, inputs, weight.t())
    return functional.linear(inputs, weight, bias)


class ViewReader(WeightReader):
    """Reads weights as they are; gradients, where they are enabled, go to the whole weights."""

    @property
    def can_fold(self) -> bool:
        """Whether gradients are disabled, so that no gradient of a weight is needed."""
        return not torch.is_grad_enabled()

    def weight(self, whole: Tensor, *index: slice) -> Tensor:
        """Read a slice.

        Args:
            whole: The whole weight.
            index: One slice per dimension.

        Returns:
            A view.
        """
        return whole[index]


VIEWS = ViewReader()  # the default reader


@dataclass(slots=True)
class Leaf:
    """One slice that a pass used: its weight, where it lies, and the view that has the gradient."""

    weight: Tensor
    index: Index
    view: Tensor


class LeafReader(WeightReader):
    """Reads weights as views that are leaves of the autograd graph.

    Attributes:
        used: The views so far, in order of use.
    """

    def __init__(self) -> None:
        self.used: list[Leaf] = []

    def weight(self, whole: Tensor, *index: slice) -> Tensor:
        """Read a slice.

        Args:
            whole: The whole weight.
            index: One slice per dimension.

        Returns:
            A view that requires a gradient of its own.
        """
        view = whole.detach()[index].requires_grad_()
        self.used.append(Leaf(whole, index, view))
        return view


class SliceRecorder(WeightReader):
    """Records every slice that a pass reads.

    Attributes:
        used: Weights and slices so far, in order of use.
    """

    def __init__(self) -> None:
        self.used: list[tuple[Tensor, Index]] = []

    def weight(self, whole: Tensor, *index: slice) -> Tensor:
        """Read a slice, and record it.

        Args:
            whole: The whole weight.
            index: One slice per dimension.

        Returns:
            A view.
        """
        self.used.append((whole, index))
        return whole[index]


class CastingReader(WeightReader):
    """Reads constant weights as copies in another precision; each slice is copied once.

    Args:
        dtype: Precision of the copies.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._copies: dict[tuple[Any, ...], Tensor] = {}

    @property
    def can_fold(self) -> bool:
        """Always: copies have no gradients."""
        return True

    def weight(self, whole: Tensor, *index: slice) -> Tensor:
        """Read a slice.

        Args:
            whole: The whole weight.
            index: One slice per dimension.

        Returns:
            Its copy, contiguous, the same tensor every time.
        """
        key = (id(whole), *((part.start, part.stop) for part in index))
        if key not in self._copies:
            self._copies[key] = whole[index].to(self.dtype, memory_format=torch.contiguous_format)
        return self._copies[key]
