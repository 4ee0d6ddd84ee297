"""The rows that an oracle scores, held in memory in chunks that fit the processor's cache."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasrec_opt.data import Split
from nasrec_opt.supernet import Supernet


class Rows:
    """Some rows of a split with their embeddings.

    Args:
        name: Distinguishes these rows from others.
        supernet: Embeds them.
        split: Where they are read from, once.
        index: Their numbers.
        chunk_rows: Rows of a chunk.
        embedding_bytes: Maximum bytes of embeddings and first-order weights kept; those of further
            chunks are looked up each time.
        dtype: Type of features and embeddings.
    """

    def __init__(
        self,
        name: str,
        supernet: Supernet,
        split: Split,
        index: npt.NDArray[np.int64],
        *,
        chunk_rows: int,
        embedding_bytes: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.name = name
        # Of each row, where rows have some; not to be confused with weights of the supernet.
        self.row_weights = None if split.weights is None else split.weights[index]
        self.num_rows = len(index)
        self._supernet = supernet
        self._dtype = dtype
        self._dense: list[Tensor] = []
        self._sparse: list[Tensor] = []  # embeddings where they are kept, otherwise ids
        self._weights: list[Tensor | None] = []  # first-order, of chunks that are kept
        labels = []
        device = supernet.final.bias.device
        value_bytes = supernet.features.embedding_dim * dtype.itemsize
        if supernet.embedding.first_order is not None:
            value_bytes += torch.float32.itemsize
        row_bytes = supernet.features.num_sparse * value_bytes
        self._num_embedded = embedding_bytes // (row_bytes * chunk_rows)
        for start in range(0, len(index), chunk_rows):
            batch = split.rows(index[start : start + chunk_rows])
            self._dense.append(torch.from_numpy(batch.dense).to(device, dtype))
            ids = torch.from_numpy(batch.sparse).to(device)
            is_kept = len(self._sparse) < self._num_embedded
            self._sparse.append(supernet.embed(ids).to(dtype) if is_kept else ids)
            if is_kept:
                self._weights.append(supernet.first_order_of(ids))
            labels.append(batch.labels)
        self.labels = np.concatenate(labels)
        self.embedding_bytes = min(len(self._sparse), self._num_embedded) * row_bytes * chunk_rows

    @property
    def num_chunks(self) -> int:
        """Number of chunks."""
        return len(self._dense)

    def chunk(self, number: int) -> tuple[Tensor, Tensor]:
        """Dense features `[batch, num_dense]` and embeddings `[batch, dim, num_sparse]`."""
        sparse = self._sparse[number]
        if number >= self._num_embedded:
            sparse = self._supernet.embed(sparse).to(self._dtype)
        return self._dense[number], sparse

    def first_order(self, number: int) -> Tensor | None:
        """First-order weights of a chunk's values, float32 `[batch, num_sparse]`; None = none."""
        if number < self._num_embedded:
            return self._weights[number]
        return self._supernet.first_order_of(self._sparse[number])
