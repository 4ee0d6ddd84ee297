"""Plans of genotypes: their block outputs, numbered so that shared ones have the same number.

The number of an output identifies everything that it depends on: its block, the genes in use, and
the numbers of its inputs. Two genotypes share an output exactly if it has the same number in both,
in a common prefix or in any part of the graph that a mutation did not change.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Sequence
from dataclasses import dataclass

from nasrec_opt.space import (
    ORDERED_OPS,
    BlockLiveness,
    Genotype,
    Known,
    live_parts,
    liveness,
    readings_of,
    reads,
)

RAW_DENSE, RAW_SPARSE = 0, 1  # numbers of the raw features
Key = tuple[int, int, bool]  # both outputs of the last block, and whether there is a first order


@dataclass(frozen=True, slots=True)
class Plan:
    """A genotype with the numbers of its outputs.

    Args:
        genotype: The architecture.
        lives: Which parts of each block reach the logit.
        dense: Number of the dense output of each block; entry 0 is the raw features, and -1 is an
            output that is not read.
        sparse: The same for the sparse outputs.
        dense_sums: Number of the sum of the dense operators of each block, before mergers; equal to
            that of the output if no merger adds to it.
        sparse_sums: The same for the sparse operators.
    """

    genotype: Genotype
    lives: tuple[BlockLiveness, ...]
    dense: tuple[int, ...]
    sparse: tuple[int, ...]
    dense_sums: tuple[int, ...]
    sparse_sums: tuple[int, ...]

    @property
    def key(self) -> Key:
        """The numbers of what the logit reads: equal exactly if the models are equal."""
        return self.dense[-1], self.sparse[-1], self.genotype.wide


@dataclass(frozen=True, slots=True)
class Step:
    """A block to run.

    Args:
        block: Its number, from 1.
        live: The parts of it to compute.
        reads_dense_sum: A merger reads the sum of the dense operators, which is already computed.
        reads_sparse_sum: The same for the sparse operators.
    """

    block: int
    live: BlockLiveness
    reads_dense_sum: bool
    reads_sparse_sum: bool


@dataclass(frozen=True, slots=True)
class Job:
    """The work for one genotype, given the outputs that are already computed.

    Args:
        plan: The genotype.
        steps: Blocks to run, first to last.
        dense: Blocks whose dense output is already computed and read; 0 is the raw features.
        sparse: The same for sparse outputs.
    """

    plan: Plan
    steps: tuple[Step, ...]
    dense: tuple[int, ...]
    sparse: tuple[int, ...]


class Numbering:
    """Assigns the numbers."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {"raw dense": RAW_DENSE, "raw sparse": RAW_SPARSE}

    def plan(self, genotype: Genotype) -> Plan:
        """Number the outputs of a genotype."""
        lives = liveness(genotype)
        dense, sparse = [RAW_DENSE], [RAW_SPARSE]
        dense_sums, sparse_sums = [-1], [-1]
        for block, (gene, live) in enumerate(zip(genotype.blocks, lives, strict=True), start=1):
            rows: tuple[int, ...] = ()
            if live.reads_sparse:
                rows = tuple(sparse[i] for i in gene.sparse_inputs)
            own_dense = own_sparse = -1
            two = tuple(dense[i] for i in (gene.left_input, gene.right_input) if i is not None)
            if ORDERED_OPS.isdisjoint(gene.dense_ops):
                two = tuple(sorted(two))  # a sum does not depend on the order of its inputs
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
            dense_out = (
                self._number(block, "fm", *merged, () if gene.sparse_ops else rows)
                if live.use_sparse_to_dense
                else own_dense
            )
            sparse_out = (
                self._number(block, "rows", *merged) if live.use_dense_to_sparse else own_sparse
            )
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
    """Find the blocks to run, first block first, if some outputs are already computed."""
    known = Known(
        *(_places(n, at_hand) for n in (plan.dense, plan.sparse, plan.dense_sums, plan.sparse_sums))
    )
    live = live_parts(readings_of(plan.genotype), known)
    steps = tuple(
        Step(
            number,
            block,
            reads_dense_sum=(block.dense_out or block.use_dense_to_sparse) and not block.dense_pre,
            reads_sparse_sum=(block.sparse_out or block.use_sparse_to_dense)
            and not block.sparse_pre
            and bool(plan.genotype.blocks[number - 1].sparse_ops),
        )
        for number, block in enumerate(live.blocks, start=1)
        if block.dense_out or block.sparse_out
    )
    dense, sparse = live.dense_read & known.dense, live.sparse_read & known.sparse
    blocks = range(plan.genotype.num_blocks + 1)
    return Job(
        plan,
        steps,
        tuple(number for number in blocks if (dense >> number) & 1),
        tuple(number for number in blocks if (sparse >> number) & 1),
    )


def _places(outputs: Sequence[int], at_hand: Container[int]) -> int:
    """Blocks whose output is already computed, as a mask."""
    places = 0
    for block, output in enumerate(outputs):
        if output in at_hand:
            places |= 1 << block
    return places
