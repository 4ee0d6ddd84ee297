"""The final layer: the linear map from the outputs of the last block to the logit."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nasrec_opt.space import MERGER_VECTORS
from nasrec_opt.supernet._initializer import Initializer, first, zeros
from nasrec_opt.supernet._inputs import SparseOutput
from nasrec_opt.supernet._readers import WeightReader

SCALE = 16  # of 4 to 64, the best for training a supernet on a synthetic log at the paper's 0.12


class FinalLayer(nn.Module):
    """The final FC: one linear layer with bias on the outputs of the last block.

    Stored weights are multiplied by `SCALE / inputs`. So logits have the same size at any width,
    and one learning rate suits 272 inputs as well as 2,176. Only this layer needs the factor: a
    layer norm follows each operator, but not the final layer. The published code has no such
    factor, so with its initial weights, `xavier`, the weights are not scaled.

    Args:
        dense_width: Widest dense output of the last block.
        sparse_width: Maximum number of vectors of its sparse output, without the merger's; 0 where
            it has none.
        dim: Embedding dimension.
        draw: Draws the weights.
        has_dense_to_sparse: Whether the last block may have a dense-to-sparse merger.
        num_first_order: Dense features that have a first-order weight.

    References:
        Yang et al. 2022 (Tensor Programs V), table 3: output weights in proportion to 1 / fan-in.
    """

    def __init__(
        self,
        dense_width: int,
        sparse_width: int,
        dim: int,
        draw: Initializer,
        *,
        has_dense_to_sparse: bool,
        num_first_order: int = 0,
    ) -> None:
        super().__init__()
        merger_vectors = MERGER_VECTORS if has_dense_to_sparse else 0
        inputs = dense_width + dim * (sparse_width + merger_vectors)
        bound, fans = 1 / math.sqrt(inputs), inputs + 1
        self.dense = draw.linear("dense", dense_width, bound=bound, fans=fans)
        if sparse_width:
            self.sparse = draw.linear("sparse", dim, sparse_width, bound=bound, fans=fans)
        if has_dense_to_sparse:
            self.merger = draw.linear("merger", dim, MERGER_VECTORS, bound=bound, fans=fans)
        if num_first_order:
            self.first_order = zeros(1, num_first_order)
        self._is_scaled = draw.scheme != "xavier"
        self.bias = zeros(1)
        self._dim = dim

    def weight(
        self, dense_width: int, sparse: SparseOutput | None, reader: WeightReader
    ) -> tuple[Tensor, Tensor]:
        """Weights for `last_features`, `[dense_width + dim * rows]`, and the bias `[1]`."""
        rows = None
        if sparse is not None:
            rows = reader.weight(self.sparse, first(self._dim), first(sparse.own_vectors))
            if sparse.has_dense_to_sparse:
                merger = reader.weight(self.merger, first(self._dim), first(MERGER_VECTORS))
                rows = torch.cat([rows, merger], dim=1)
        weight = reader.weight(self.dense, first(dense_width))
        if rows is not None:
            weight = torch.cat([weight, rows.flatten()])
        if self._is_scaled:
            weight = weight * (SCALE / len(weight))
        return weight, reader.weight(self.bias, first(1))
