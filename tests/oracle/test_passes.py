"""Passes yield what a pass of one genotype yields, and run a shared block once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.models import SPACE, SPACES, draw, family, supernet_of

from nasrec_opt.data import evenly_spaced
from nasrec_opt.oracle._passes import Passes
from nasrec_opt.oracle._plan import Numbering
from nasrec_opt.oracle._prefix_cache import PrefixCache
from nasrec_opt.oracle._rows import Rows
from nasrec_opt.space import BlockGene, Genotype

CHUNK_ROWS = 32
seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(sorted(SPACES))


def rows(supernet, dataset, count=80):
    split = dataset.split("validation")
    index = evenly_spaced(split.num_rows, count)
    return Rows("some", supernet, split, index, chunk_rows=CHUNK_ROWS, embedding_bytes=1 << 30)


@settings(max_examples=8, deadline=None)
@given(seeds, names, st.sampled_from([0, 50_000, 200_000, 1 << 30]))
def test_outputs_are_those_of_a_pass_of_one_genotype(supernets, dataset, seed, name, capacity):
    supernet, rng = supernets[name], np.random.default_rng(seed)
    cache = PrefixCache(capacity)
    passes, numbering = Passes(supernet, cache), Numbering()
    genotypes = family(SPACES[name], seed)
    with torch.inference_mode():
        some = rows(supernet, dataset)
        for _ in range(3):
            chosen = [genotypes[i] for i in rng.integers(0, len(genotypes), 3)]
            seen = Counter()
            for index, found in passes.run(some, [numbering.plan(g) for g in chosen]):
                number, last = seen[index], len(chosen[index].blocks)
                expected = supernet.hidden(chosen[index], *some.chunk(number))
                assert torch.equal(found.dense[last], expected.dense[last])
                assert (last in found.sparse) == bool(SPACES[name].sparse_ops)
                if last in found.sparse:
                    one, other = found.sparse[last], expected.sparse[last]
                    assert torch.equal(one.vectors, other.vectors)
                    assert one.has_dense_to_sparse == other.has_dense_to_sparse
                assert (found.first_order is not None) == chosen[index].wide
                seen[index] += 1
            assert seen == dict.fromkeys(range(3), some.num_chunks)
            assert stored_bytes(cache) == cache.num_bytes <= capacity


def stored_bytes(cache):
    """Bytes of memory that the tensors of a cache hold on to, views of larger ones included."""
    total = 0
    for chunks, _ in cache._entries.values():
        for output in chunks:
            values = output if isinstance(output, torch.Tensor) else output.vectors
            total += values.untyped_storage().nbytes()
    return total


@pytest.fixture
def counted(dataset):
    """A supernet that counts the runs of each of its blocks."""
    supernet, runs = supernet_of(SPACE, dataset), Counter()
    for number, block in supernet.blocks.items():
        block.register_forward_pre_hook(lambda *_, n=int(number): runs.update([n]))
    return supernet, runs


def chain(*widths):
    """Every block reads the one before: all are live."""
    blocks = [
        BlockGene(dense_width=w, sparse_width=16, dense_inputs=(i,), sparse_inputs=(i,))
        for i, w in enumerate(widths)
    ]
    return Genotype(tuple(blocks), space="mine")


def run(passes, some, plans):
    with torch.inference_mode():
        return len(list(passes.run(some, plans)))


def test_blocks_that_are_shared_run_once(counted, dataset):
    supernet, runs = counted
    some = rows(supernet, dataset)
    plan = Numbering().plan
    parent, child = chain(16, 16, 32, 16), chain(16, 16, 64, 16)
    passes = Passes(supernet, PrefixCache(1 << 30))
    run(passes, some, [plan(chain(16, 16, 32, 32)), plan(parent)])
    assert runs == {1: 3, 2: 3, 3: 3, 4: 6}  # of three chunks
    runs.clear()
    run(passes, some, [plan(child)])
    assert runs == {3: 3, 4: 3}


def test_without_memory_only_neighbours_share(counted, dataset):
    supernet, runs = counted
    some = rows(supernet, dataset)
    plan = Numbering().plan
    passes = Passes(supernet, PrefixCache(0))
    for _ in range(2):
        run(passes, some, [plan(chain(16, 16, 32, 16)), plan(chain(16, 16, 64, 16))])
    assert runs == {1: 6, 2: 6, 3: 12, 4: 12}


def test_only_the_branch_that_changed_runs(counted, dataset):
    supernet, runs = counted
    seen = []
    efc = supernet.blocks["4"].sparse["efc"]
    efc.register_forward_pre_hook(lambda *_: seen.append("efc"))
    some = rows(supernet, dataset)
    plan = Numbering().plan
    parent = chain(16, 16, 16, 16)
    wider = replace(parent.blocks[-1], dense_width=32)
    child = replace(parent, blocks=(*parent.blocks[:-1], wider))
    run(Passes(supernet, PrefixCache(0)), some, [plan(parent), plan(child)])
    assert (runs[4], len(seen)) == (6, 3)


@pytest.mark.parametrize("merger", ["dense_to_sparse", "sparse_to_dense"])
def test_a_merger_that_is_switched_on_runs_no_operator(counted, dataset, merger):
    supernet, _ = counted
    seen = []
    for op in (supernet.blocks["4"].sparse["efc"], supernet.blocks["4"].dense["fc"]):
        op.register_forward_pre_hook(lambda *_: seen.append("operator"))
    some = rows(supernet, dataset)
    plan = Numbering().plan
    parent = chain(16, 16, 16, 16)
    last = replace(parent.blocks[-1], **{merger: True})
    child = replace(parent, blocks=(*parent.blocks[:-1], last))
    passes = Passes(supernet, PrefixCache(1 << 30))
    run(passes, some, [plan(parent)])
    assert len(seen) == 2 * some.num_chunks
    run(passes, some, [plan(child)])
    assert len(seen) == 2 * some.num_chunks


def test_a_run_that_is_left_early_leaves_the_cache_whole(supernet, dataset):
    cache = PrefixCache(1 << 30)
    passes, plan = Passes(supernet, cache), Numbering().plan
    some, genotype = rows(supernet, dataset), draw(SPACE, 3)
    with torch.inference_mode():
        unfinished = passes.run(some, [plan(genotype)])
        next(unfinished)
        unfinished.close()
    assert cache.num_bytes == stored_bytes(cache) == 0
    assert run(passes, some, [plan(genotype)]) == some.num_chunks
    assert cache.num_bytes == stored_bytes(cache) > 0
