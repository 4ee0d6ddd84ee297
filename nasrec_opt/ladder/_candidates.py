"""Candidates: searched genotypes, with what is known about them before training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering import lower
from nasrec_opt.space import (
    DENSE_OPS,
    SPARSE_OPS,
    Genotype,
    liveness,
)

STEP_OVERHEAD = 170_000.0  # MACs per sample that take as long as the fixed part of a step; measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that the search has scored.

    Args:
        genotype: The architecture.
        trial: Number of its trial.
        score: Log loss from the search.
        costs: Its other objectives, all minimised, in the study's order.
        features: Other inputs of a correction, in the order of `feature_names`.
        work: Relative cost of a training step; see `training_work`.
    """

    genotype: Genotype
    trial: int
    score: float
    costs: tuple[float, ...]
    features: tuple[float, ...]
    work: float = 1.0


def training_work(genotype: Genotype, features: FeatureSpec) -> float:
    """Compute the relative cost of a training step, among models of the same input.

    Args:
        genotype: The architecture.
        features: Shape of the input.

    Returns:
        MACs of a sample plus `STEP_OVERHEAD`. No clock is read, so the result is the same on any
        machine.
    """
    return STEP_OVERHEAD + float(lower(genotype, features).macs)


def feature_names() -> tuple[str, ...]:
    """List the names of the features that `features_of` computes.

    Returns:
        Names, in the order of the features.
    """
    operators = (*DENSE_OPS, *SPARSE_OPS)
    return (
        "log2 MACs",
        "depth",
        "log2 dense width",
        "log2 sparse width",
        *operators,
        "mergers",
        "wide",
    )


def features_of(genotype: Genotype, features: FeatureSpec) -> tuple[float, ...]:
    """Cheap features of a genotype; only what reaches the logit counts.

    Args:
        genotype: The architecture.
        features: Shape of the input.

    Returns:
        MACs of a sample, blocks, mean widths, all but the number of blocks as logarithms; how many
        branches have each operator; the number of mergers; and whether there is a first-order term.
    """
    counts = dict.fromkeys((*DENSE_OPS, *SPARSE_OPS), 0)
    dense, sparse, mergers, depth = [], [], 0, 0
    for block, live in zip(genotype.blocks, liveness(genotype), strict=True):
        depth += live.dense_pre or live.sparse_pre or live.reads_sparse
        if live.dense_pre:
            dense.append(math.log2(block.dense_width))
            for name in block.dense_ops:
                counts[name] += 1
        if live.sparse_pre:
            sparse.append(math.log2(block.sparse_width))
            for name in block.sparse_ops:
                counts[name] += 1
        mergers += live.use_sparse_to_dense + live.use_dense_to_sparse
    return (
        math.log2(1 + lower(genotype, features).macs),
        float(depth),
        _mean(dense),
        _mean(sparse),
        *map(float, counts.values()),
        float(mergers),
        float(genotype.wide),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
