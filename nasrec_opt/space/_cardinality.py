"""Number of genotypes of a space: exactly, and as the paper counts."""

from __future__ import annotations

from math import factorial, prod

from nasrec_opt.space._choices import BlockChoices, Choices, is_active


def cardinality(choices: Choices) -> int:
    """Exact number of genotypes; genotypes that build the same model all count."""
    total = len(choices.wide) * prod(_block_cardinality(block) for block in choices.blocks)
    if choices.hardware is not None:
        total *= prod(len(values) for _, values in choices.hardware.items())
    return total


def _block_cardinality(block: BlockChoices) -> int:
    dense = sum(
        (len(block.dense_inputs) if is_active("dense_inputs", ops) else 1)
        * (len(block.gate_inputs) if is_active("gate_inputs", ops) else 1)
        for ops in block.dense_ops
    )
    sparse = len(block.sparse_ops) * len(block.sparse_inputs)
    return dense * sparse * _widths_and_bits(block) * len(block.mergers)


def _widths_and_bits(block: BlockChoices) -> int:
    return prod(
        len(block.of(gene))
        for gene in ("dense_width", "sparse_width", "dense_bits", "sparse_bits")
        if gene in block.genes
    )


def paper_cardinality(choices: Choices, num_dense_ops: int, num_sparse_ops: int) -> int:
    """The paper's count (section 3.3), 5.3e33 for NASRec-Full with seven blocks.

    Each block counts the non-empty subsets of operators, whatever the search allows, times widths,
    mergers and bits: 5760 in NASRec-Full, 384 in NASRec-Small. All connections together count as
    `num_blocks!` for each branch that has a choice of them. The first-order term and accelerator
    genes, which the paper's spaces do not have, are not counted.
    """
    subsets = (2**num_dense_ops - 1) * max(2**num_sparse_ops - 1, 1)
    last = choices.blocks[-1]
    total: int = prod(
        factorial(len(sources)) for sources in (last.dense_sources, last.sparse_sources)
    )
    for block in choices.blocks:
        total *= subsets * _widths_and_bits(block) * len(block.mergers)
    return total
