"""All embedding tables as one, with the vectors of a column behind an offset.

A second table may hold first-order weights, one number for each vector. A step reads and writes
only the vectors of its batch: there is no dense gradient of a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nasrec_opt.features import FeatureSpec
from nasrec_opt.supernet._initializer import Initializer, zeros

RESERVED = 2  # ids 0 (rare or unseen) and 1 (missing) keep their vectors in a capped table
INITIAL_BOUND = 0.05


class FusedEmbedding(nn.Module):
    """Embedding of every sparse feature, in one table.

    Args:
        features: Cardinalities and the embedding dimension.
        draw: Draws the initial vectors.
        max_rows: Maximum vectors of one column; larger ids wrap around (paper, section 5.1: 0.5
            million while searching). None means that there is no maximum.
        has_first_order: Whether each vector also has a first-order weight; these begin at 0.
    """

    offsets: Tensor
    sizes: Tensor
    first_order: nn.Parameter | None  # [rows, 1]

    def __init__(
        self,
        features: FeatureSpec,
        draw: Initializer,
        max_rows: int | None,
        *,
        has_first_order: bool = False,
    ) -> None:
        super().__init__()
        cap = max_rows or max(features.cardinalities)
        sizes = torch.tensor([min(size, cap) for size in features.cardinalities])
        self.register_buffer("sizes", sizes, persistent=False)
        self.register_buffer("offsets", sizes.cumsum(0) - sizes, persistent=False)
        self.is_capped = any(size > cap for size in features.cardinalities)
        self.table = draw.tables(
            "table", sizes.tolist(), features.embedding_dim, bound=INITIAL_BOUND
        )
        self.first_order = zeros(len(self.table), 1) if has_first_order else None

    def rows_of(self, sparse: Tensor) -> Tensor:
        """Rows of the table that ids name.

        Args:
            sparse: Ids, integers `[batch, num_sparse]`.

        Returns:
            Row numbers, int64 `[batch, num_sparse]`.
        """
        ids = sparse.long()
        if self.is_capped:
            wrapped = (ids - RESERVED) % (self.sizes - RESERVED).clamp_min(1) + RESERVED
            ids = torch.where(ids < self.sizes, ids, torch.minimum(wrapped, self.sizes - 1))
        return ids + self.offsets

    if TYPE_CHECKING:  # torch calls `forward`, but forgets its types

        def __call__(self, rows: Tensor) -> Tensor: ...

    def forward(self, rows: Tensor) -> Tensor:  # [batch, num_sparse, dim]
        """Gather embedding vectors.

        Args:
            rows: Rows of the table, `[batch, num_sparse]`.

        Returns:
            The vectors, `[batch, num_sparse, dim]`.
        """
        return nn.functional.embedding(rows, self.table)

    def first_order_of(self, rows: Tensor) -> Tensor:  # [batch, num_sparse]
        """Gather first-order weights.

        Args:
            rows: Rows of the table, `[batch, num_sparse]`.

        Returns:
            The weights, `[batch, num_sparse]`.
        """
        assert self.first_order is not None  # only in a model that has the term
        return nn.functional.embedding(rows, self.first_order).squeeze(-1)


class PartialEmbedding(FusedEmbedding):
    """A copy of some vectors of an embedding, read by the same ids.

    Args:
        whole: The embedding with all vectors.
        kept: Which vectors to keep, bool `[rows]`; ids of others must not be read.
    """

    place: Tensor

    def __init__(self, whole: FusedEmbedding, kept: Tensor) -> None:
        nn.Module.__init__(self)
        for name in ("sizes", "offsets"):
            self.register_buffer(name, getattr(whole, name), persistent=False)
        self.register_buffer("place", kept.cumsum(0) - 1, persistent=False)
        self.is_capped = whole.is_capped
        self._whole = whole
        self._kept = kept.nonzero().squeeze(1)
        self.table = nn.Parameter(whole.table.detach()[self._kept])
        self.first_order = None
        if whole.first_order is not None:
            self.first_order = nn.Parameter(whole.first_order.detach()[self._kept])

    def rows_of(self, sparse: Tensor) -> Tensor:
        """Rows of the small table that ids name; see `FusedEmbedding`."""
        return self.place[super().rows_of(sparse)]

    def reset(self) -> None:
        """Copy the vectors from the whole tables again, to memory that nobody else has."""
        self.table.data = self._whole.table.data[self._kept]
        if self.first_order is not None and self._whole.first_order is not None:
            self.first_order.data = self._whole.first_order.data[self._kept]
