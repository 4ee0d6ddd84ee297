"""Weights larger than what a genotype uses, and the slices of them that it does use.

Every operator reads its weights through a `Take`: `take(weight, rows, columns)`. What a take does
decides what a pass costs: `plain` gives views for a forward pass; a `Leaves` gives views that
collect their own gradients, so that neither a gradient nor an optimizer step is ever larger than
the slice; a `Recorder` writes down what was read, which is how a subnet is cut out; a `Cast` gives
copies in another precision; a `Written` adds the errors of the place where they are stored.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nasrec_opt.options import Initialization

Index = tuple[slice, ...]
Take = Callable[..., Tensor]
Bits = tuple[int, int]  # of weights and of the inputs of a product; 32 = floating point


def plain(weight: Tensor, *index: slice) -> Tensor:
    """Read a slice of a weight as it is.

    Args:
        weight: The whole weight.
        index: One slice per dimension.

    Returns:
        A view; its gradients, if any, go to the whole weight.
    """
    return weight[index]


@dataclass(slots=True)
class Leaf:
    """One slice that a pass used: its weight, where it lies, and the view that has the gradient."""

    weight: Tensor
    index: Index
    view: Tensor


@dataclass(slots=True)
class Leaves:
    """Reads weights as views that are leaves of the autograd graph.

    Args:
        used: The views so far, in order of use.
    """

    used: list[Leaf] = field(default_factory=list)

    def __call__(self, weight: Tensor, *index: slice) -> Tensor:
        """Read a slice.

        Args:
            weight: The whole weight.
            index: One slice per dimension.

        Returns:
            A view that requires a gradient of its own.
        """
        view = weight.detach()[index].requires_grad_()
        self.used.append(Leaf(weight, index, view))
        return view


@dataclass(slots=True)
class Recorder:
    """A take that writes down every slice."""

    used: list[tuple[Tensor, Index]] = field(default_factory=list)

    def __call__(self, weight: Tensor, *index: slice) -> Tensor:
        self.used.append((weight, index))
        return weight[index]


@dataclass(slots=True)
class Cast:
    """Reads weights that do not change as copies in another precision, each slice made once.

    Args:
        dtype: Precision of the copies.
        copies: The copies so far, by weight and slice.
    """

    dtype: torch.dtype
    copies: dict[tuple[Any, ...], Tensor] = field(default_factory=dict)

    def __call__(self, weight: Tensor, *index: slice) -> Tensor:
        """Read a slice.

        Args:
            weight: The whole weight.
            index: One slice per dimension.

        Returns:
            Its copy, contiguous, the same tensor every time.
        """
        key = (id(weight), *((part.start, part.stop) for part in index))
        if key not in self.copies:
            self.copies[key] = weight[index].to(self.dtype, memory_format=torch.contiguous_format)
        return self.copies[key]


@dataclass(slots=True)
class Written:
    """Reads weights as a place with errors holds them, such as the cells of crossbars.

    A pass reads the weights of its products in the same order every time. The error of each is
    computed once, and is the same for every batch. Call `begin` before each pass. No gradients are
    kept.

    Args:
        error: Computes what is to be added to the weights of a product, `[outputs, inputs]`, from
            the number of the product in the pass, its weights, and the bits of its weights and
            inputs.
        weights: The weights of the products so far, as they are held.
        place: Number of the next product in the pass.
    """

    error: Callable[[int, Tensor, Bits], Tensor]
    weights: list[Tensor] = field(default_factory=list)
    place: int = 0

    def __call__(self, weight: Tensor, *index: slice) -> Tensor:
        """Read a slice without its errors, which `held` adds.

        Args:
            weight: The whole weight.
            index: One slice per dimension.

        Returns:
            A view without a gradient.
        """
        return weight.detach()[index]

    def begin(self) -> None:
        """The next product is the first of a pass."""
        self.place = 0

    def held(self, weight: Tensor, rounded: Tensor, bits: Bits) -> Tensor:
        """Read the weights of the next product as they are held.

        Args:
            weight: The weights before they were rounded, `[outputs, inputs]`.
            rounded: The weights as they would be without errors, `[outputs, inputs]`.
            bits: Bits of the weights and of the inputs.

        Returns:
            The weights with their errors, the same tensor in every pass.
        """
        if self.place == len(self.weights):
            self.weights.append(rounded + self.error(self.place, weight, bits))
        self.place += 1
        return self.weights[self.place - 1]


class Initializer:
    """Draws weights; each weight has its own stream, named after it.

    Args:
        seed: The one seed; None means that weights are left as memory happens to be, for a caller
            that fills them.
        prefix: Name of the module that draws.
        scheme: From which distributions; see `Initialization`.
    """

    def __init__(
        self, seed: int | None, prefix: str = "", scheme: Initialization = "uniform"
    ) -> None:
        self._seed = seed
        self._prefix = prefix
        self.scheme: Initialization = scheme

    def of(self, name: str) -> Initializer:
        """The initializer of a part."""
        return Initializer(self._seed, f"{self._prefix}.{name}", self.scheme)

    def linear(self, name: str, *shape: int, bound: float, fans: int | None = None) -> nn.Parameter:
        """Weights of a linear layer, uniform around 0.

        Args:
            name: Of the weight.
            shape: Of the weight.
            bound: Largest size of a weight, where the scheme is not `xavier`.
            fans: Inputs and outputs, added, of the layer that the weight is a part of; None means
                that the weight is the whole layer, `[outputs, inputs]`.
        """
        if self.scheme == "xavier":
            bound = math.sqrt(6 / (sum(shape) if fans is None else fans))
        weight = torch.empty(shape)
        if self._seed is not None:
            weight.uniform_(-bound, bound, generator=self._generator(name))
        return nn.Parameter(weight)

    def tables(self, name: str, sizes: Sequence[int], dim: int, *, bound: float) -> nn.Parameter:
        """Embedding tables one below the other, `[sum of sizes, dim]`.

        Args:
            name: Of the weight.
            sizes: Entries of each table.
            dim: Length of an entry.
            bound: Largest size of a weight, where the scheme is not `xavier`.
        """
        weight = torch.empty(sum(sizes), dim)
        if self._seed is None:
            return nn.Parameter(weight)
        generator = self._generator(name)
        if self.scheme == "xavier":
            for table in weight.split(list(sizes)):
                table.normal_(0, math.sqrt(2 / (len(table) + dim)), generator=generator)
        else:
            weight.uniform_(-bound, bound, generator=generator)
        return nn.Parameter(weight)

    def _generator(self, name: str) -> torch.Generator:
        # The generator uses 32 bits of its seed, so seed and name are mixed into as many.
        seed = zlib.crc32(f"{self._seed}{self._prefix}.{name}".encode())
        return torch.Generator().manual_seed(seed)


def ones(*shape: int, value: float = 1.0) -> nn.Parameter:
    """A weight of one value."""
    return nn.Parameter(torch.full(shape, value))


def zeros(*shape: int) -> nn.Parameter:
    """A weight of zeros."""
    return nn.Parameter(torch.zeros(shape))


def first(count: int) -> slice:
    """The first `count` entries of an axis."""
    return slice(0, count)
