"""Initial weights: each weight is drawn from a stream of its own, named after it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import torch
from torch import nn

from nasrec_opt.options import Initialization


class Initializer:
    """Draws weights; each weight has its own stream, named after it.

    Args:
        seed: The seed; None leaves weights uninitialised, for a caller that fills them.
        prefix: Name of the module that draws.
        scheme: The distributions; see `Initialization`.
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
        """Draw concatenated embedding tables, `[sum of sizes, dim]`.

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
