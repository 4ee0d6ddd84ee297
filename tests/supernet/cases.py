"""Spaces, genotypes and batches that several tests of the supernet draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from nasrec_opt import FeatureSpec, Genotype, SearchSpace, Supernet
from nasrec_opt.space import DENSE_OPS, SPARSE_OPS

FEATURES = FeatureSpec(5, (7, 11, 3, 20, 6, 9))
NO_DENSE = FeatureSpec(0, (4, 9, 5))
SPACES = {
    "single": SearchSpace(num_blocks=4, dense_widths=(16, 32, 128), sparse_widths=(16, 24)),
    "multi": SearchSpace(
        num_blocks=3,
        dense_ops=DENSE_OPS,  # the paper's, and any that is added
        sparse_ops=SPARSE_OPS,
        dense_widths=(16, 40, 128),
        sparse_widths=(8, 16),
        multi_operator=True,
    ),
    "plain": SearchSpace(
        num_blocks=2, dense_widths=(16, 64), sparse_widths=(16, 20), mergers=False
    ),
    "bits": SearchSpace(
        num_blocks=3, dense_widths=(16, 64), sparse_widths=(16,), bits=(4, 8, (4, 8))
    ),
    "floats": SearchSpace(
        num_blocks=3, dense_widths=(16, 64), sparse_widths=(16,), bits=(8, 32), multi_operator=True
    ),
    "wide": SearchSpace(
        num_blocks=2,
        dense_widths=(16, 64),
        sparse_widths=(16,),
        bits=(4, 8, 32),
        wide=(False, True),
    ),
    "autoctr": replace(
        SearchSpace.autoctr(3),
        name="tiny autoctr",
        dense_widths=(16, 32, 128),
        sparse_widths=(16, 32),
    ),
    "dnas": replace(
        SearchSpace.dnas(3), name="tiny dnas", dense_widths=(16, 32, 128), bits=(8, 32)
    ),
    "profit": replace(SearchSpace.profit(3), name="tiny profit", dense_widths=(16, 32, 128)),
    "no sparse": SearchSpace(  # every dense operator, in blocks without a sparse one
        num_blocks=3,
        sparse_ops=(),
        dense_widths=(16, 64),
        mergers=("sparse_to_dense",),
        multi_operator=True,
    ),
}
TABLES = ("embedding.table", "embedding.first_order")  # read by rows, all else by slices
seeds = st.integers(0, 2**32 - 1)


def make_supernet(name: str, features: FeatureSpec = FEATURES, **options) -> Supernet:
    """A supernet whose every weight matters: no bias is zero and no gain is one."""
    supernet = Supernet(SPACES[name], features, seed=1, **options)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in supernet.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    return supernet


def draw(name: str, seed: int) -> Genotype:
    return SPACES[name].sample(np.random.default_rng(seed))


def mixed(name: str, seed: int) -> Genotype:
    """A genotype some of whose blocks have no sparse operator; nobody reads their sparse output."""
    rng = np.random.default_rng(seed)
    blocks = []
    for block in SPACES[name].sample(rng).blocks:
        if rng.random() < 0.5:
            block = replace(block, sparse_ops=(), dense_to_sparse=False)
        readable = {0, *(i for i, before in enumerate(blocks, start=1) if before.sparse_ops)}
        inputs = tuple(readable.intersection(block.sparse_inputs)) or (0,)
        blocks.append(replace(block, sparse_inputs=inputs))
    return Genotype(tuple(blocks), space="mixed")


def make_batch(seed: int, features: FeatureSpec = FEATURES, rows: int = 6) -> list[Tensor]:
    """Dense, sparse and labels."""
    rng = np.random.default_rng(seed)
    dense = torch.from_numpy(rng.normal(size=(rows, features.num_dense)).astype(np.float32))
    columns = [rng.integers(0, size, rows) for size in features.cardinalities]
    sparse = torch.from_numpy(np.stack(columns, axis=1).astype(np.int32))
    labels = torch.from_numpy(rng.integers(0, 2, rows).astype(np.float32))
    return [dense, sparse, labels]


@dataclass(frozen=True)
class Rows:
    dense: np.ndarray
    sparse: np.ndarray
    labels: np.ndarray

    @property
    def num_rows(self) -> int:
        return len(self.labels)

    def batches(self, batch_size, *, seed=None, start_step=0, drop_last=False):
        order = np.random.default_rng(seed).permutation(self.num_rows)
        stop = self.num_rows - (self.num_rows % batch_size if drop_last else 0)
        for begin in range(start_step * batch_size, stop, batch_size):
            chosen = order[begin : begin + batch_size]
            yield Rows(self.dense[chosen], self.sparse[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Log:
    """A log whose label follows from one category."""

    path: Path
    rows: int = 2000
    fingerprint: str = "log"
    view: Mapping[str, Any] = field(default_factory=dict)

    def split(self, name: str) -> Rows:
        dense, sparse, _ = (x.numpy() for x in make_batch(4, rows=self.rows))
        labels = (sparse[:, 3] % 2).astype(np.float32)
        return Rows(dense, sparse, labels)
