"""All embedding tables as one, with the rows of a column behind an offset.

A step reads and writes only the rows that its batch names: there is no dense gradient of a table.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasrec_opt.features import FeatureSpec
from nasrec_opt.supernet._slices import Initializer

RESERVED = 2  # ids 0 (rare or unseen) and 1 (missing) keep their rows in a capped table
INITIAL_BOUND = 0.05


class FusedEmbedding(nn.Module):
    """Embedding of every sparse feature, in one table.

    Args:
        features: Cardinalities and the embedding dimension.
        draw: Draws the initial rows.
        max_rows: Maximum rows of one column; larger ids wrap around (paper, section 5.1: 0.5
            million while searching). None means that there is no maximum.
    """

    offsets: Tensor
    sizes: Tensor

    def __init__(self, features: FeatureSpec, draw: Initializer, max_rows: int | None) -> None:
        super().__init__()
        cap = max_rows or max(features.cardinalities)
        sizes = torch.tensor([min(size, cap) for size in features.cardinalities])
        self.register_buffer("sizes", sizes, persistent=False)
        self.register_buffer("offsets", sizes.cumsum(0) - sizes, persistent=False)
        self.is_capped = any(size > cap for size in features.cardinalities)
        self.table = draw.tables(
            "table", sizes.tolist(), features.embedding_dim, bound=INITIAL_BOUND
        )

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

    def forward(self, rows: Tensor) -> Tensor:  # [batch, num_sparse, dim]
        """Gather rows, `[batch, num_sparse]`."""
        return nn.functional.embedding(rows, self.table)


class PartialEmbedding(FusedEmbedding):
    """Copies of some rows of an embedding, read by the same ids: small where those are few.

    Args:
        whole: Where the rows come from.
        kept: Which rows of its table, bool `[rows]`; ids of other rows must not be read.
    """

    place: Tensor

    def __init__(self, whole: FusedEmbedding, kept: Tensor) -> None:
        nn.Module.__init__(self)
        for name in ("sizes", "offsets"):
            self.register_buffer(name, getattr(whole, name), persistent=False)
        self.register_buffer("place", kept.cumsum(0) - 1, persistent=False)
        self.is_capped = whole.is_capped
        self._whole = whole.table.detach()
        self._kept = kept.nonzero().squeeze(1)
        self.table = nn.Parameter(self._whole[self._kept])

    def rows_of(self, sparse: Tensor) -> Tensor:
        """Rows of the small table that ids name; see `FusedEmbedding`."""
        return self.place[super().rows_of(sparse)]

    def reset(self) -> None:
        """Take the rows from the whole table again."""
        with torch.no_grad():
            torch.index_select(self._whole, 0, self._kept, out=self.table.data)
