"""The largest inputs and outputs of a block's operators (`Capacity`), and their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from nasrec_opt.space import MERGER_VECTORS
from nasrec_opt.supernet._quantize import round_to
from nasrec_opt.supernet._readers import Bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The largest inputs and outputs of the operators of one block.

    Args:
        dense_width: Widest dense output.
        sparse_width: Maximum number of vectors of the sparse output, without the merger's.
        dense_sources: Widest dense output of each input, by input number.
        sparse_sources: Maximum number of vectors of each input, without the merger's, by input
            number.
        dense_to_sparse_sources: Inputs that may have the vectors of a dense-to-sparse merger.
        dim: Embedding dimension.
        two: Widest left and right input of Gate and Sum.
        balance: Whether the dot product projects its vectors to a number that fits its width
            (section 4.2), or multiplies all of them.
        layer_norm: Whether a layer norm follows an operator, or only a bias its linear map.
    """

    dense_width: int
    sparse_width: int
    dense_sources: Mapping[int, int]
    sparse_sources: Mapping[int, int]
    dense_to_sparse_sources: frozenset[int]
    dim: int
    two: tuple[int, int] = (0, 0)
    balance: bool = True
    layer_norm: bool = True

    @property
    def dense_total(self) -> int:
        """Width of all dense inputs together."""
        return sum(self.dense_sources.values())

    @property
    def sparse_total(self) -> int:
        """Vectors of all sparse inputs together."""
        return sum(self.sparse_sources.values()) + MERGER_VECTORS * len(
            self.dense_to_sparse_sources
        )


@dataclass(frozen=True, slots=True)
class SparseOutput:
    """Sparse output of a block, or the raw embeddings.

    Args:
        vectors: `[batch, dim, vectors]`; the last 8 are the merger's if
            `has_dense_to_sparse`.
        has_dense_to_sparse: Whether the dense-to-sparse merger appended its vectors.
    """

    vectors: Tensor
    has_dense_to_sparse: bool = False

    @property
    def own_vectors(self) -> int:
        """Number of vectors without the merger's."""
        return self.vectors.shape[-1] - (MERGER_VECTORS if self.has_dense_to_sparse else 0)


@dataclass(frozen=True, slots=True)
class BlockInput:
    """The inputs of the operators of one block.

    Args:
        dense: Dense inputs `[batch, width]`, by input number.
        sparse: Sparse inputs, by input number.
        joined: All sparse inputs side by side, `[batch, dim, vectors]`; None if it is not read.
        left: Left input of Gate and Sum, `[batch, width]`.
        right: Right input.
        weight_bits: Bits of weights; 32 = floating point.
        activation_bits: Bits of the inputs of products.
    """

    dense: Mapping[int, Tensor]
    sparse: Mapping[int, SparseOutput]
    joined: Tensor | None
    left: Tensor | None
    right: Tensor | None
    weight_bits: int
    activation_bits: int

    @property
    def bits(self) -> Bits:
        """Bits of the weights and of the inputs of a product."""
        return self.weight_bits, self.activation_bits

    def activation(self, values: Tensor, dim: int = -1) -> Tensor:
        """An input of a product, rounded to the block's bits along `dim`."""
        return round_to(values, self.activation_bits, dim)
