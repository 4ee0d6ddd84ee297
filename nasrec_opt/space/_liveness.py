"""Which parts of each block reach the logit: one walk, for one genotype and for many at once.

Each block has four nodes: the sums of its dense and of its sparse operators (`dense_pre`,
`sparse_pre`), and its two outputs, which are those sums with the results of the mergers. The
mergers read the sums, not the outputs: the sparse-to-dense merger (FM) reads the sparse vectors
before eight are appended, and the dense-to-sparse merger reads the dense vector before FM is added.
The supernet, oracles, the lowering and the drawings all use this module. So work that cannot reach
the logit is nowhere run, counted or drawn as used. A block without a sparse operator has no sparse
output, and its FM reads its sparse inputs.

Inputs are bit masks, bit *i* for input *i*. The walk is arithmetic that holds for integers, one
genotype, and for arrays with an entry for each of many genotypes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from nasrec_opt.space._block_gene import Bits, BlockGene
from nasrec_opt.space._genotype import Genotype
from nasrec_opt.space._operators import DENSE_OPS, SPARSE_OPS, reads

Mask = Any  # an int, or an int64 array `[genotypes]`
Flag = Any  # a bool, or a bool array `[genotypes]`
MAX_KNOWN = 1 << 16  # masks kept; a space has a few thousand subsets

_BITS = {op: 1 << place for ops in (DENSE_OPS, SPARSE_OPS) for place, op in enumerate(ops)}


class _Masks(dict[tuple[Any, ...], int]):
    """Subsets as bit masks; genes repeat, so each is computed once."""

    def __missing__(self, members: tuple[Any, ...]) -> int:
        if len(self) >= MAX_KNOWN:
            self.clear()
        mask = self[members] = sum(_BITS.get(member) or 1 << member for member in members)
        return mask


_masks = _Masks()
# Dense operators that read the sparse inputs as well.
READ_SPARSE = sum(_BITS[op] for op in DENSE_OPS if reads("sparse_inputs", (op,)))


def mask_of(members: tuple[Any, ...]) -> int:
    """Encode a subset as a bit mask: of inputs, or of the operators of one branch by their table.

    Args:
        members: Numbers of inputs, or names of operators.

    Returns:
        The mask.

    Example:
        >>> mask_of((0, 2)), mask_of(("fc", "dot"))
        (5, 9)
    """
    return _masks[members]


class BlockLiveness(NamedTuple):
    """Which parts of one block reach the logit.

    Args:
        dense_pre: The dense operators run.
        sparse_pre: The sparse operators run; never without any.
        dense_out: The block's dense output is read.
        sparse_out: The block's sparse output is read.
        use_sparse_to_dense: The sparse-to-dense merger is chosen and its result is read.
        use_dense_to_sparse: The dense-to-sparse merger is chosen and its rows are read.
        reads_sparse: A part that runs reads `sparse_inputs`.
    """

    dense_pre: Flag
    sparse_pre: Flag
    dense_out: Flag
    sparse_out: Flag
    use_sparse_to_dense: Flag
    use_dense_to_sparse: Flag
    reads_sparse: Flag


class Reading(NamedTuple):
    """What the parts of one block read.

    Args:
        dense: Inputs whose dense output the dense operators read.
        sparse: Inputs whose sparse output is read: `sparse_inputs`.
        dense_reads_sparse: Some dense operator reads `sparse_inputs`.
        has_sparse: There is a sparse operator.
        dense_to_sparse: The dense-to-sparse merger is chosen.
        sparse_to_dense: The sparse-to-dense merger is chosen.
    """

    dense: Mask
    sparse: Mask
    dense_reads_sparse: Flag
    has_sparse: Flag
    dense_to_sparse: Flag
    sparse_to_dense: Flag


class Known(NamedTuple):
    """Outputs that are already known and need not be computed, as masks of block numbers.

    Args:
        dense: Dense outputs; bit 0 for the raw features.
        sparse: Sparse outputs.
        dense_sums: Sums of dense operators, before mergers.
        sparse_sums: Sums of sparse operators.
    """

    dense: Mask = 0
    sparse: Mask = 0
    dense_sums: Mask = 0
    sparse_sums: Mask = 0


NONE_KNOWN = Known()


class Live(NamedTuple):
    """Which parts have to run, and which outputs are read.

    Args:
        blocks: Of each block, first block first.
        dense_read: Dense outputs that are read, a mask of block numbers.
        sparse_read: Sparse outputs that are read, a mask of block numbers.
    """

    blocks: tuple[BlockLiveness, ...]
    dense_read: Mask
    sparse_read: Mask


def live_parts(readings: Sequence[Reading], known: Known = NONE_KNOWN) -> Live:
    """Find which parts of each block have to run for the logit, from the last block to the first.

    Args:
        readings: What each block reads, first block first.
        known: Outputs that are already known. Only missing parts run, and only their inputs are
            read.

    Returns:
        What runs and what is read, first block first.
    """
    count = len(readings)
    dense_read: Mask = 1 << count  # the logit reads both outputs of the last block
    sparse_read: Mask = 1 << count
    found: list[BlockLiveness] = []
    for number in range(count, 0, -1):
        reading = readings[number - 1]
        dense_out = ((dense_read & ~known.dense) >> number) & 1 > 0
        sparse_out = (((sparse_read & ~known.sparse) >> number) & 1 > 0) & reading.has_sparse
        use_sparse_to_dense = dense_out & reading.sparse_to_dense
        use_dense_to_sparse = sparse_out & reading.dense_to_sparse
        dense_pre = dense_out | use_dense_to_sparse
        sparse_pre = sparse_out | (use_sparse_to_dense & reading.has_sparse)
        if known is not NONE_KNOWN:
            dense_pre = dense_pre & ((known.dense_sums >> number) & 1 == 0)
            sparse_pre = sparse_pre & ((known.sparse_sums >> number) & 1 == 0)
        reads_sparse = sparse_pre | (dense_pre & reading.dense_reads_sparse)
        reads_sparse = reads_sparse | (use_sparse_to_dense > reading.has_sparse)  # FM of the inputs
        dense_read = dense_read | dense_pre * reading.dense
        sparse_read = sparse_read | reads_sparse * reading.sparse
        found.append(
            BlockLiveness(
                dense_pre,
                sparse_pre,
                dense_out,
                sparse_out,
                use_sparse_to_dense,
                use_dense_to_sparse,
                reads_sparse,
            )
        )
    found.reverse()
    return Live(tuple(found), dense_read, sparse_read)


def readings_of(genotype: Genotype) -> list[Reading]:
    """List what each block of a genotype reads.

    Args:
        genotype: The model.

    Returns:
        The readings of each block, first block first.
    """
    return [_reading(block) for block in genotype.blocks]


def _reading(block: BlockGene) -> Reading:
    dense = _masks[block.dense_inputs]
    if block.left_input is not None and block.right_input is not None:
        dense |= 1 << block.left_input | 1 << block.right_input
    return Reading(
        dense,
        _masks[block.sparse_inputs],
        _masks[block.dense_ops] & READ_SPARSE > 0,
        bool(block.sparse_ops),
        block.dense_to_sparse,
        block.sparse_to_dense,
    )


def liveness(genotype: Genotype) -> tuple[BlockLiveness, ...]:
    """Find the parts of each block that reach the logit.

    Args:
        genotype: The model.

    Returns:
        The parts of each block, first block first.
    """
    return live_parts(readings_of(genotype)).blocks


def live_bits(genotype: Genotype) -> set[Bits]:
    """List the bits of all branches that reach the logit.

    Args:
        genotype: The model.

    Returns:
        The bits, each once.
    """
    found: set[Bits] = set()
    for block, live in zip(genotype.blocks, liveness(genotype), strict=True):
        found |= {block.dense_bits} if live.dense_pre else set()
        found |= {block.sparse_bits} if live.sparse_pre else set()
    return found
