"""Forward passes of many genotypes over the same rows; a shared block output is computed once.

Chunks of rows are the outer loop: all genotypes use a chunk while it is in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nasrec_opt.oracle._plan import RAW_DENSE, RAW_SPARSE, Job, Plan, Step, job_of
from nasrec_opt.oracle._prefix_cache import Key, PrefixCache
from nasrec_opt.oracle._rows import Rows
from nasrec_opt.space import MERGER_VECTORS, Genotype
from nasrec_opt.supernet import (
    Activations,
    CastingReader,
    SparseOutput,
    Supernet,
    ViewReader,
    WeightReader,
)


@dataclass(slots=True)
class _Schedule:
    """Jobs in order, and the last use of each output.

    Args:
        jobs: One for each plan.
        cached: Outputs read from the cache.
        made: Bytes per row of each output computed, earliest blocks first.
        last_use: Index of the last job that uses an output.
    """

    jobs: list[Job] = field(default_factory=list)
    cached: set[int] = field(default_factory=set)
    made: dict[int, int] = field(default_factory=dict)
    last_use: dict[int, int] = field(default_factory=dict)


class Passes:
    """Runs genotypes on a supernet.

    Args:
        supernet: Its weights must not change.
        cache: Keeps block outputs between calls.
        dtype: Type of products and outputs; layer norms, softmax and FM always sum in float32.
    """

    def __init__(
        self, supernet: Supernet, cache: PrefixCache, dtype: torch.dtype = torch.float32
    ) -> None:
        self._supernet = supernet
        self._cache = cache
        self._dtype = dtype

    def run(self, rows: Rows, plans: Sequence[Plan]) -> Iterator[tuple[int, Activations]]:
        """Outputs of the last block: chunk by chunk, and in each chunk plan by plan.

        Args:
            rows: The rows.
            plans: The genotypes; put those with common parts next to each other.

        Yields:
            Index of the plan, and activations that hold at least the last block.
        """
        is_cast = self._dtype != torch.float32
        reader = CastingReader(self._dtype) if is_cast else ViewReader()
        if self._supernet.masking == "zero":  # for comparison only: nothing is shared
            for number in range(rows.num_chunks):
                dense, embedded = rows.chunk(number)
                term = _FirstOrder(self._supernet, rows, number)
                for index, plan in enumerate(plans):
                    hidden = self._supernet.hidden(plan.genotype, dense, embedded, reader)
                    yield index, term.put(plan.genotype, hidden)
            return
        schedule = self._schedule(rows, plans)
        keys = {output: (rows.name, output) for output in (*schedule.cached, *schedule.made)}
        wanted = {
            keys[output]: num_bytes * rows.num_rows for output, num_bytes in schedule.made.items()
        }
        in_use = [keys[output] for output in sorted(schedule.cached)]
        kept: dict[Key, list[Any]] = {key: [] for key in self._cache.reserve(wanted, in_use)}
        cached = {output: self._cache.read(keys[output]) for output in schedule.cached}
        for number in range(rows.num_chunks):
            start = self._supernet.begin(*rows.chunk(number))
            term = _FirstOrder(self._supernet, rows, number)
            at_hand: dict[int, Any] = {output: chunks[number] for output, chunks in cached.items()}
            at_hand |= {RAW_DENSE: start.dense[0], RAW_SPARSE: start.sparse[0]}
            for index, job in enumerate(schedule.jobs):
                activations, made = self._run(job, at_hand, reader)
                for output in made:
                    if keys[output] in kept:
                        kept[keys[output]].append(at_hand[output])
                yield index, term.put(job.plan.genotype, activations)
                for output in _numbers(job.plan):
                    if schedule.last_use.get(output) == index:
                        del at_hand[output]
        for key, chunks in kept.items():
            self._cache.put(key, chunks, wanted[key])

    def _schedule(self, rows: Rows, plans: Sequence[Plan]) -> _Schedule:
        schedule = _Schedule()
        outputs = {number for plan in plans for number in _numbers(plan)}
        in_cache = {output for output in outputs if (rows.name, output) in self._cache}
        at_hand = {RAW_DENSE, RAW_SPARSE} | in_cache
        made: list[tuple[bool, int, int, int]] = []
        for index, plan in enumerate(plans):
            job = job_of(plan, at_hand)
            schedule.jobs.append(job)
            used = {plan.dense[block] for block in job.dense}
            used |= {plan.sparse[block] for block in job.sparse}
            for step in job.steps:
                used |= {plan.dense_sums[step.block]} if step.reads_dense_sum else set()
                used |= {plan.sparse_sums[step.block]} if step.reads_sparse_sum else set()
                made += self._made(plan, step)
            schedule.cached |= used & in_cache
            used |= {output for _, _, output, _ in made}
            at_hand |= used
            schedule.last_use |= dict.fromkeys(
                used & _numbers(plan) - {RAW_DENSE, RAW_SPARSE} - in_cache, index
            )
        # Earlier blocks are more likely to be shared, so they get space first; sums that only
        # mergers read come after all outputs.
        schedule.made = {output: size for _, _, output, size in sorted(made)}
        return schedule

    def _made(self, plan: Plan, step: Step) -> Iterator[tuple[bool, int, int, int]]:
        """The outputs that a step computes: whether only a sum, block, number, bytes per row."""
        block, live, gene = step.block, step.live, plan.genotype.blocks[step.block - 1]
        column = self._supernet.features.embedding_dim * self._dtype.itemsize
        dense_bytes = gene.dense_width * self._dtype.itemsize
        sparse_bytes = gene.sparse_width * column
        if live.dense_out:
            yield False, block, plan.dense[block], dense_bytes
        if live.dense_pre and not (live.dense_out and plan.dense[block] == plan.dense_sums[block]):
            yield True, block, plan.dense_sums[block], dense_bytes
        if live.sparse_out:
            merger_bytes = MERGER_VECTORS * column * live.use_dense_to_sparse
            yield False, block, plan.sparse[block], sparse_bytes + merger_bytes
        if live.sparse_pre and not (
            live.sparse_out and plan.sparse[block] == plan.sparse_sums[block]
        ):
            yield True, block, plan.sparse_sums[block], sparse_bytes

    def _run(
        self, job: Job, at_hand: dict[int, Any], reader: WeightReader
    ) -> tuple[Activations, list[int]]:
        """Compute the missing outputs, add them to `at_hand`, and return their names."""
        plan, made = job.plan, []
        dense: dict[int, Tensor] = {i: at_hand[plan.dense[i]] for i in job.dense}
        sparse = {i: at_hand[plan.sparse[i]] for i in job.sparse}
        for step in job.steps:
            block, live = step.block, step.live
            sums = plan.dense_sums[block], plan.sparse_sums[block]
            found = self._supernet.blocks[str(block)](
                plan.genotype.blocks[block - 1],
                live,
                dense,
                sparse,
                reader,
                dense_sum=at_hand[sums[0]] if step.reads_dense_sum else None,
                sparse_sum=at_hand[sums[1]].vectors if step.reads_sparse_sum else None,
            )
            if live.dense_pre:
                at_hand[sums[0]] = found.dense_sum
            if live.sparse_pre:
                at_hand[sums[1]] = SparseOutput(found.sparse_sum)
            if live.dense_out:
                dense[block] = at_hand[plan.dense[block]] = found.dense
            if live.sparse_out:
                sparse[block] = at_hand[plan.sparse[block]] = found.sparse
            made += [output for _, _, output, _ in self._made(plan, step)]
        return Activations(dense, sparse), made


class _FirstOrder:
    """The first-order term of one chunk, which all genotypes of the same bits share.

    Args:
        supernet: Has the weights.
        rows: The rows.
        number: Number of the chunk.
    """

    def __init__(self, supernet: Supernet, rows: Rows, number: int) -> None:
        self._supernet = supernet
        self._rows = rows
        self._number = number
        self._of_bits: dict[int, Tensor] = {}

    def put(self, genotype: Genotype, activations: Activations) -> Activations:
        """The activations, with the term if the genotype has it."""
        if not genotype.wide:
            return activations
        bits = genotype.final_bits
        if bits not in self._of_bits:
            weights = self._rows.first_order(self._number)
            assert weights is not None  # checked at the oracle's door
            dense, _ = self._rows.chunk(self._number)
            self._of_bits[bits] = self._supernet.first_order(bits, dense, weights)
        activations.first_order = self._of_bits[bits]
        return activations


def _numbers(plan: Plan) -> set[int]:
    """Of all that a genotype computes."""
    return {*plan.dense, *plan.sparse, *plan.dense_sums, *plan.sparse_sums}
