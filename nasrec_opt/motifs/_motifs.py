"""The design motifs of one architecture, as figures: those of the paper's section 6.1.

Only what reaches the logit counts: a block with attention that nothing reads is no motif of the
model. "First block" is the first one that reaches the logit; it can read raw features only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nasrec_opt.space import (
    DENSE_OPS,
    OPERATORS,
    SPARSE_OPS,
    BlockGene,
    BlockLiveness,
    Genotype,
    liveness,
    reads,
)

ATTENTION, GATE = "attn", "gate"
RAW = 0  # the input that is the raw features

Live = Sequence[tuple[BlockGene, BlockLiveness]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Motif:
    """How a figure is read.

    Args:
        label: The figure in words.
        kind: `share`, 0 to 1; over several models, the mean of their shares, or the share of the
            models that have a motif. `number` is a count or a width.
    """

    label: str
    kind: Literal["share", "number"] = "share"


# In the order of tables.
MOTIFS: dict[str, Motif] = {
    "live_blocks": Motif(label="blocks that reach the logit", kind="number"),
    "attention_blocks": Motif(label="live blocks with attention"),
    "first_block_attends": Motif(label="first block attends to raw embeddings"),
    "stacked_attention": Motif(label="attention that reads attention"),
    "attention_depth": Motif(label="attention blocks in a chain", kind="number"),
    "self_gating": Motif(label="self-gating: a Gate with one input twice"),
    "raw_self_gating": Motif(label="self-gating on raw dense features"),
    "connections": Motif(label="connections", kind="number"),
    "connectivity": Motif(label="share of the possible connections"),
    "dense_connectivity": Motif(label="share of the possible, dense branches"),
    "sparse_connectivity": Motif(label="share of the possible, sparse inputs"),
    "operator_kinds": Motif(label="different operators", kind="number"),
    "operators_per_dense_branch": Motif(label="operators per dense branch", kind="number"),
    "operators_per_sparse_branch": Motif(label="operators per sparse branch", kind="number"),
    **{op: Motif(label=f"dense branches with {OPERATORS[op].label}") for op in DENSE_OPS},
    **{op: Motif(label=f"sparse branches with {OPERATORS[op].label}") for op in SPARSE_OPS},
    "sparse_to_dense": Motif(label="live blocks with FM"),
    "dense_to_sparse": Motif(label="live blocks with dense-to-sparse"),
    "dense_width": Motif(label="mean dense width", kind="number"),
    "sparse_width": Motif(label="mean sparse width, vectors", kind="number"),
}


def motifs_of(genotype: Genotype) -> dict[str, float]:
    """Measure the motifs of one architecture.

    A motif that a model has or has not, such as self-gating, is 1 or 0. Connections are the inputs
    that live branches read; connectivity divides them by the number that they could read, where a
    branch of block *b* has *b* inputs to choose from. The sparse inputs of a block count once, also
    where both of its branches read them.

    Args:
        genotype: The architecture.

    Returns:
        Figures by the names of `MOTIFS`.

    Example:
        >>> from nasrec_opt.space import published_model
        >>> found = motifs_of(published_model("criteo-full").genotype)
        >>> found["live_blocks"], found["first_block_attends"], found["raw_self_gating"]
        (4.0, 1.0, 1.0)
    """
    parts = list(zip(genotype.blocks, liveness(genotype), strict=True))
    # The last block reaches the logit with both branches, so that no list is empty.
    live = [(gene, part) for gene, part in parts if part.dense_pre or part.sparse_pre]
    dense = [gene for gene, part in live if part.dense_pre]
    sparse = [gene for gene, part in live if part.sparse_pre]
    used = {op for gene in dense for op in gene.dense_ops}
    used |= {op for gene in sparse for op in gene.sparse_ops}
    depths = _attention_depths(parts)
    found = {
        "live_blocks": len(live),
        "attention_blocks": _share([_attends(gene, part) for gene, part in live]),
        "first_block_attends": _attends(*live[0]),
        "stacked_attention": max(depths) > 1,
        "attention_depth": max(depths),
        **_self_gating(dense),
        **_connectivity(parts),
        "operator_kinds": len(used),
        "operators_per_dense_branch": _share([len(gene.dense_ops) for gene in dense]),
        "operators_per_sparse_branch": _share([len(gene.sparse_ops) for gene in sparse]),
        **{op: _share([op in gene.dense_ops for gene in dense]) for op in DENSE_OPS},
        **{op: _share([op in gene.sparse_ops for gene in sparse]) for op in SPARSE_OPS},
        "sparse_to_dense": _share([part.use_sparse_to_dense for _, part in live]),
        "dense_to_sparse": _share([part.use_dense_to_sparse for _, part in live]),
        "dense_width": _share([gene.dense_width for gene in dense]),
        "sparse_width": _share([gene.sparse_width for gene in sparse]),
    }
    return {name: float(found[name]) for name in MOTIFS}


def _attends(gene: BlockGene, part: BlockLiveness) -> bool:
    return bool(part.sparse_pre) and ATTENTION in gene.sparse_ops


def _attention_depths(parts: Live) -> list[int]:
    """Of each block, and of the raw features before them: attention blocks in a row up to it."""
    depths = [0]
    for gene, part in parts:
        below = max(depths[source] for source in gene.sparse_inputs)
        depths.append(1 + below if _attends(gene, part) else 0)
    return depths


def _self_gating(dense: Sequence[BlockGene]) -> dict[str, bool]:
    twice = [
        gene.left_input
        for gene in dense
        if GATE in gene.dense_ops and gene.left_input == gene.right_input
    ]
    return {"self_gating": bool(twice), "raw_self_gating": RAW in twice}


def _connectivity(parts: Live) -> dict[str, float]:
    """Connections of live branches, and their share of those possible, in all and by branch."""
    read, possible = {"dense": 0, "sparse": 0}, {"dense": 0, "sparse": 0}
    for number, (gene, part) in enumerate(parts, start=1):
        two = {i for i in (gene.left_input, gene.right_input) if i is not None}
        if part.dense_pre and (two or reads("dense_inputs", gene.dense_ops)):
            read["dense"] += len({*gene.dense_inputs, *two})
            possible["dense"] += number
        if part.reads_sparse:
            read["sparse"] += len(gene.sparse_inputs)
            possible["sparse"] += 1 + sum(
                bool(before.sparse_ops) for before, _ in parts[: number - 1]
            )
    count = sum(read.values())
    # An operator of one's own may read no dense input at all.
    each = {f"{s}_connectivity": read[s] / max(possible[s], 1) for s in ("dense", "sparse")}
    return {"connections": count, "connectivity": count / sum(possible.values()), **each}


def _share(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0  # of no sparse branch
