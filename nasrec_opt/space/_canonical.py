"""The canonical form: the same for all genotypes that build one model."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from nasrec_opt.space._block_gene import BlockGene
from nasrec_opt.space._genotype import Genotype
from nasrec_opt.space._liveness import BlockLiveness, liveness
from nasrec_opt.space._operators import ORDERED_OPS


def canonical(genotype: Genotype) -> Genotype:
    """The representative of the genotypes that build the same model.

    Dead genes get the values of the last block, which is always live, and input 0. So the canonical
    form is in every space that contains the genotype. A Sum without a Gate is symmetric in its two
    inputs: the smaller one comes first. Applying the function twice changes nothing.
    """
    last = genotype.blocks[-1]
    blocks = tuple(
        _canonical_block(block, live, last)
        for block, live in zip(genotype.blocks, liveness(genotype), strict=True)
    )
    return genotype if blocks == genotype.blocks else replace(genotype, blocks=blocks)


@lru_cache(maxsize=4096)  # a mutation leaves all blocks but one as they were
def _canonical_block(block: BlockGene, live: BlockLiveness, last: BlockGene) -> BlockGene:
    genes: dict[str, Any] = {}
    if not live.dense_pre:
        genes |= {name: getattr(last, name) for name in ("dense_ops", "dense_width", "dense_bits")}
        genes |= {"dense_inputs": (0,), "left_input": 0, "right_input": 0}
    elif block.left_input is not None and ORDERED_OPS.isdisjoint(block.dense_ops):
        left, right = sorted((block.left_input, block.right_input or 0))
        genes |= {"left_input": left, "right_input": right}
    if not (live.sparse_pre or live.use_sparse_to_dense):  # FM reads operators or, without, inputs
        for name in ("sparse_ops", "sparse_width", "sparse_bits"):
            genes[name] = getattr(last, name)
    if not live.reads_sparse:
        genes["sparse_inputs"] = (0,)
    if not live.sparse_out:
        has_sparse = bool(genes.get("sparse_ops", block.sparse_ops))
        genes["dense_to_sparse"] = last.dense_to_sparse and has_sparse
    if not live.dense_out:
        genes["sparse_to_dense"] = last.sparse_to_dense
    # Samplers need many canonical forms, and building a gene validates it again.
    changed = any(getattr(block, name) != value for name, value in genes.items())
    return replace(block, **genes) if changed else block
