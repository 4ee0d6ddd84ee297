"""Numbers say what two genotypes share; a job runs what is missing and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.models import SPACES, draw, family, rows_of

from nasrec_opt.oracle import architecture
from nasrec_opt.oracle._plan import RAW_DENSE, RAW_SPARSE, Numbering, job_of

seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(sorted(SPACES))


@settings(max_examples=25, deadline=None)
@given(seeds, names)
def test_outputs_share_a_number_exactly_when_they_are_equal(supernets, dataset, seed, name):
    supernet = supernets[name]
    numbering = Numbering()
    batch = rows_of(dataset, "validation", 24)
    dense, sparse = torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse)
    by_number, by_value = {}, {}
    with torch.inference_mode():
        embedded = supernet.embed(sparse)
        for genotype in family(SPACES[name], seed, children=6):
            plan = numbering.plan(genotype)
            hidden = supernet.hidden(genotype, dense, embedded)
            outputs = [(plan.dense, i, values) for i, values in hidden.dense.items()]
            outputs += [(plan.sparse, i, output.vectors) for i, output in hidden.sparse.items()]
            for numbers, block, values in outputs:
                value = (tuple(values.shape), values.numpy().tobytes())
                assert by_number.setdefault(numbers[block], value) == value
                assert by_value.setdefault(value, numbers[block]) == numbers[block]
            for numbers, computed in ((plan.dense, hidden.dense), (plan.sparse, hidden.sparse)):
                assert [i for i, number in enumerate(numbers) if number >= 0] == sorted(computed)


@settings(max_examples=100, deadline=None)
@given(seeds, names)
def test_keys_are_equal_exactly_when_canonical_forms_are(seed, name):
    space, rng = SPACES[name], np.random.default_rng(seed)
    numbering = Numbering()
    genotypes = [space.sample(rng)]
    for _ in range(8):
        genotypes.append(space.mutate(genotypes[-1], rng))
    genotypes += [genotype.canonical() for genotype in genotypes]
    forms, keys = {}, {}
    for genotype in genotypes:
        form, key = architecture(sums_sorted(genotype)), numbering.plan(genotype).key
        assert forms.setdefault(key, form) == form
        assert keys.setdefault(form, key) == key


def sums_sorted(genotype):
    """The same model with the two inputs of each Sum that no Gate shares in ascending order."""
    blocks = []
    for gene in genotype.blocks:
        if gene.left_input is not None and "gate" not in gene.dense_ops:
            left, right = sorted((gene.left_input, gene.right_input))
            gene = replace(gene, left_input=left, right_input=right)
        blocks.append(gene)
    return replace(genotype, blocks=tuple(blocks))


def test_bits_tell_outputs_apart():
    genotype = draw(SPACES["bits"], 0)
    last = genotype.blocks[-1]
    other = replace(
        genotype,
        blocks=(*genotype.blocks[:-1], replace(last, dense_bits=5, sparse_bits=(7, 6))),
    )
    numbering = Numbering()
    one, two = numbering.plan(genotype).key, numbering.plan(other).key
    assert one[0] != two[0]
    assert one[1] != two[1]


@settings(max_examples=150, deadline=None)
@given(seeds, names, st.floats(0, 1))
def test_a_job_runs_all_that_is_missing_and_nothing_else(seed, name, share):
    rng = np.random.default_rng(seed)
    plan = Numbering().plan(SPACES[name].sample(rng))
    numbers = {*plan.dense, *plan.sparse, *plan.dense_sums, *plan.sparse_sums}
    outputs = sorted(numbers - {-1, RAW_DENSE, RAW_SPARSE})
    kept = {number for number in outputs if rng.random() < share}
    at_hand = {RAW_DENSE, RAW_SPARSE} | kept
    job = job_of(plan, at_hand)
    dense, sparse = set(job.dense), set(job.sparse)
    assert {plan.dense[i] for i in dense} | {plan.sparse[i] for i in sparse} <= at_hand
    read_dense = {plan.genotype.num_blocks}
    read_sparse = read_dense.copy() if plan.genotype.blocks[-1].sparse_ops else set()
    for step in job.steps:
        gene, live = plan.genotype.blocks[step.block - 1], step.live
        if live.dense_pre:
            read = {*gene.dense_inputs, gene.left_input, gene.right_input} - {None}
            assert read <= dense
            read_dense |= read
        if live.reads_sparse:
            assert {*gene.sparse_inputs} <= sparse
            read_sparse |= {*gene.sparse_inputs}
        # Nothing that is at hand is an output again, and no sum is formed for nothing.
        assert not live.dense_out or plan.dense[step.block] not in at_hand
        assert not live.sparse_out or plan.sparse[step.block] not in at_hand
        assert live.dense_out or live.sparse_out
        assert live.use_sparse_to_dense == (live.dense_out and gene.sparse_to_dense)
        assert live.use_dense_to_sparse == (live.sparse_out and gene.dense_to_sparse)
        assert (live.dense_pre or step.reads_dense_sum) == (
            live.dense_out or live.use_dense_to_sparse
        )
        assert (live.sparse_pre or step.reads_sparse_sum) == (
            bool(gene.sparse_ops) and (live.sparse_out or live.use_sparse_to_dense)
        )
        for is_run, is_read, numbers in (
            (live.dense_pre, step.reads_dense_sum, plan.dense_sums),
            (live.sparse_pre, step.reads_sparse_sum, plan.sparse_sums),
        ):
            assert not (is_run and is_read)
            assert not is_read or numbers[step.block] in at_hand
            assert not is_run or numbers[step.block] not in at_hand
        dense |= {step.block} if live.dense_out else set()
        sparse |= {step.block} if live.sparse_out else set()
    # What is read is there, what is there is read, and the logit finds all of its inputs.
    assert dense == read_dense
    assert sparse == read_sparse


def test_what_is_at_hand_at_the_end_leaves_nothing_to_run():
    plan = Numbering().plan(draw(SPACES["multi"], 1))
    last = plan.genotype.num_blocks
    job = job_of(plan, set(plan.key))
    assert (job.steps, job.dense, job.sparse) == ((), (last,), (last,))
