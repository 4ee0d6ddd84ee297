"""What of a genotype reaches the logit, and the form that genotypes of one model share.

Each block has four nodes: the sums of its dense and of its sparse operators (`dense_pre`,
`sparse_pre`), and its two outputs, which are those sums with the mergers' parts. The mergers read
the sums, not the outputs: FM the sparse rows before eight are appended, the dense-to-sparse merger
the dense vector before FM is added. The supernet, the lowering and the drawings all ask
`liveness`, so that work that cannot reach the logit is nowhere run, counted or drawn as used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from nasrec_opt.space._genotype import Bits, BlockGene, Genotype
from nasrec_opt.space._operators import ORDERED_OPS, reads


@dataclass(frozen=True, slots=True)
class BlockLiveness:
    """Which parts of one block reach the logit.

    Args:
        dense_pre: The dense operators run.
        sparse_pre: The sparse operators run.
        dense_out: Somebody reads the block's dense output.
        sparse_out: Somebody reads the block's sparse output.
        use_fm: The sparse-to-dense merger is chosen and its result is read.
        use_rows: The dense-to-sparse merger is chosen and its rows are read.
    """

    dense_pre: bool
    sparse_pre: bool
    dense_out: bool
    sparse_out: bool
    use_fm: bool
    use_rows: bool


def liveness(genotype: Genotype) -> tuple[BlockLiveness, ...]:
    """Which parts of each block reach the logit, first block first."""
    count = genotype.num_blocks
    dense_read = [False] * (count + 1)  # by input number; 0, the raw features, is not looked at
    sparse_read = [False] * (count + 1)
    dense_read[count] = sparse_read[count] = True  # the logit reads both outputs of the last block
    found: list[BlockLiveness] = []
    for number in range(count, 0, -1):
        block = genotype.blocks[number - 1]
        dense_out, sparse_out = dense_read[number], sparse_read[number]
        use_fm = dense_out and block.sparse_to_dense
        use_rows = sparse_out and block.dense_to_sparse
        live = BlockLiveness(
            dense_pre=dense_out or use_rows,
            sparse_pre=sparse_out or use_fm,
            dense_out=dense_out,
            sparse_out=sparse_out,
            use_fm=use_fm,
            use_rows=use_rows,
        )
        if live.dense_pre:
            for index in (*block.dense_inputs, block.left_input, block.right_input):
                if index is not None:
                    dense_read[index] = True
        if reads_sparse_inputs(block, live):
            for index in block.sparse_inputs:
                sparse_read[index] = True
        found.append(live)
    return tuple(reversed(found))


def reads_sparse_inputs(block: BlockGene, live: BlockLiveness) -> bool:
    """Whether something that reaches the logit reads `sparse_inputs`."""
    return live.sparse_pre or (live.dense_pre and reads("sparse_inputs", block.dense_ops))


def live_bits(genotype: Genotype) -> set[Bits]:
    """The bits of all branches that reach the logit."""
    found: set[Bits] = set()
    for block, live in zip(genotype.blocks, liveness(genotype), strict=True):
        found |= {block.dense_bits} if live.dense_pre else set()
        found |= {block.sparse_bits} if live.sparse_pre else set()
    return found


def canonical(genotype: Genotype) -> Genotype:
    """The representative of the genotypes that build the same model.

    Dead genes take the values of the last block, which is always live, and input 0: so the
    canonical form stays inside every space that holds the genotype. A Sum without a Gate, which
    reads the same two inputs, is symmetric: the smaller input comes first. Applying it twice
    changes nothing.
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
    if not live.sparse_pre:
        for name in ("sparse_ops", "sparse_width", "sparse_bits"):
            genes[name] = getattr(last, name)
    if not reads_sparse_inputs(block, live):
        genes["sparse_inputs"] = (0,)
    if not live.sparse_out:
        genes["dense_to_sparse"] = last.dense_to_sparse
    if not live.dense_out:
        genes["sparse_to_dense"] = last.sparse_to_dense
    # Samplers ask for canonical forms all the time, and building a gene validates it anew.
    changed = any(getattr(block, name) != value for name, value in genes.items())
    return replace(block, **genes) if changed else block
