"""Which block outputs a genotype consists of, and which of them two genotypes share.

Every output gets a number that stands for all that it depends on: its block, the genes in use,
and the numbers of what it reads. Two genotypes share an output exactly when they share its number,
be it a common prefix or a part of the graph that a mutation did not reach.
"""

from __future__ import annotations

from collections.abc import Container, Hashable
from dataclasses import dataclass

from nasrec_opt.space import (
    ORDERED_OPS,
    BlockLiveness,
    Genotype,
    liveness,
    reads,
    reads_sparse_inputs,
)

RAW_DENSE, RAW_SPARSE = 0, 1  # numbers of the raw features
Key = tuple[int, int, bool]  # both outputs of the last block, and whether there is a first order


@dataclass(frozen=True, slots=True)
class Plan:
    """A genotype with the numbers of its outputs.

    Args:
        genotype: The architecture.
        lives: What of each block reaches the logit.
        dense: Number of the dense output of each block, from 0 for raw features; -1 means not read.
        sparse: The same of the sparse outputs.
        dense_sums: Number of the sum of the dense operators of each block, before mergers: that of
            the output where no merger adds to it.
        sparse_sums: The same of the sparse operators.
    """

    genotype: Genotype
    lives: tuple[BlockLiveness, ...]
    dense: tuple[int, ...]
    sparse: tuple[int, ...]
    dense_sums: tuple[int, ...]
    sparse_sums: tuple[int, ...]

    @property
    def key(self) -> Key:
        """What the logit reads: equal exactly when the models are."""
        return self.dense[-1], self.sparse[-1], self.genotype.wide


@dataclass(frozen=True, slots=True)
class Step:
    """A block to run.

    Args:
        block: Its number, from 1.
        live: What of it to compute.
        reads_dense_sum: A merger needs the sum of the dense operators, and it is at hand.
        reads_sparse_sum: The same of the sparse operators.
    """

    block: int
    live: BlockLiveness
    reads_dense_sum: bool
    reads_sparse_sum: bool


@dataclass(frozen=True, slots=True)
class Job:
    """How one genotype is run, given what is at hand.

    Args:
        plan: The genotype.
        steps: Blocks to run, first to last.
        dense: Blocks whose dense output is read from what is at hand; 0 = raw features.
        sparse: The same of sparse outputs.
    """

    plan: Plan
    steps: tuple[Step, ...]
    dense: tuple[int, ...]
    sparse: tuple[int, ...]


class Numbering:
    """Gives out the numbers."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {"raw dense": RAW_DENSE, "raw sparse": RAW_SPARSE}

    def plan(self, genotype: Genotype) -> Plan:
        """Number the outputs of a genotype."""
        lives = liveness(genotype)
        dense, sparse = [RAW_DENSE], [RAW_SPARSE]
        dense_sums, sparse_sums = [-1], [-1]
        for block, (gene, live) in enumerate(zip(genotype.blocks, lives, strict=True), start=1):
            rows: tuple[int, ...] = ()
            if reads_sparse_inputs(gene, live):
                rows = tuple(sparse[i] for i in gene.sparse_inputs)
            own_dense = own_sparse = -1
            two = tuple(dense[i] for i in (gene.left_input, gene.right_input) if i is not None)
            if ORDERED_OPS.isdisjoint(gene.dense_ops):
                two = tuple(sorted(two))  # a sum is the same either way round
            if live.dense_pre:
                own_dense = self._number(
                    block,
                    gene.dense_ops,
                    gene.dense_width,
                    tuple(dense[i] for i in gene.dense_inputs),
                    two,
                    rows if reads("sparse_inputs", gene.dense_ops) else (),
                    gene.dense_bits,
                )
            if live.sparse_pre:
                own_sparse = self._number(
                    block,
                    gene.sparse_ops,
                    gene.sparse_width,
                    rows,
                    gene.sparse_bits,
                )
            dense_sums.append(own_dense)
            sparse_sums.append(own_sparse)
            merged = (own_dense, own_sparse)
            dense_out = self._number(block, "fm", *merged) if live.use_fm else own_dense
            sparse_out = self._number(block, "rows", *merged) if live.use_rows else own_sparse
            dense.append(dense_out if live.dense_out else -1)
            sparse.append(sparse_out if live.sparse_out else -1)
        return Plan(
            genotype,
            lives,
            tuple(dense),
            tuple(sparse),
            tuple(dense_sums),
            tuple(sparse_sums),
        )

    def _number(self, *description: Hashable) -> int:
        return self._numbers.setdefault(description, len(self._numbers))


def job_of(plan: Plan, at_hand: Container[int]) -> Job:
    """What has to be run, last block first, where some outputs are at hand."""
    last = plan.genotype.num_blocks
    dense_needed, sparse_needed = {last}, {last}
    dense_read, sparse_read = set(), set()
    steps = []
    for block in range(last, -1, -1):
        need_dense, need_sparse = block in dense_needed, block in sparse_needed
        if need_dense and plan.dense[block] in at_hand:
            dense_read.add(block)
            need_dense = False
        if need_sparse and plan.sparse[block] in at_hand:
            sparse_read.add(block)
            need_sparse = False
        if not (need_dense or need_sparse):
            continue
        gene, whole = plan.genotype.blocks[block - 1], plan.lives[block - 1]
        use_fm, use_rows = need_dense and whole.use_fm, need_sparse and whole.use_rows
        needs_dense_sum, needs_sparse_sum = need_dense or use_rows, need_sparse or use_fm
        has_dense_sum = plan.dense_sums[block] in at_hand
        has_sparse_sum = plan.sparse_sums[block] in at_hand
        live = BlockLiveness(
            dense_pre=needs_dense_sum and not has_dense_sum,
            sparse_pre=needs_sparse_sum and not has_sparse_sum,
            dense_out=need_dense,
            sparse_out=need_sparse,
            use_fm=use_fm,
            use_rows=use_rows,
        )
        reads = needs_dense_sum and has_dense_sum, needs_sparse_sum and has_sparse_sum
        steps.append(Step(block, live, *reads))
        if live.dense_pre:
            two = (i for i in (gene.left_input, gene.right_input) if i is not None)
            dense_needed.update(gene.dense_inputs, two)
        if reads_sparse_inputs(gene, live):
            sparse_needed.update(gene.sparse_inputs)
    return Job(plan, tuple(reversed(steps)), tuple(sorted(dense_read)), tuple(sorted(sparse_read)))
