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
        (len(block.inputs) if is_active("dense_inputs", ops) else 1)
        * (len(block.gate_inputs) if is_active("gate_inputs", ops) else 1)
        for ops in block.dense_ops
    )
    sparse = len(block.sparse_ops) * len(block.inputs)
    widths = len(block.dense_widths) * len(block.sparse_widths)
    return dense * sparse * widths * len(block.mergers) * len(block.bits) ** 2


def paper_cardinality(choices: Choices, num_dense_ops: int, num_sparse_ops: int) -> int:
    """The paper's count (section 3.3), 5.3e33 for NASRec-Full with seven blocks.

    Each block counts the non-empty subsets of operators, whatever the search allows, times widths,
    mergers and bits: 5760 in NASRec-Full, 384 in NASRec-Small. All connections together count as
    `(num_blocks!)**2`. The first-order term and accelerator genes, which the paper's spaces do not
    have, are not counted.
    """
    subsets = (2**num_dense_ops - 1) * (2**num_sparse_ops - 1)
    total = factorial(len(choices.blocks)) ** 2
    for block in choices.blocks:
        widths = len(block.dense_widths) * len(block.sparse_widths)
        total *= subsets * widths * len(block.mergers) * len(block.bits) ** 2
    return total
