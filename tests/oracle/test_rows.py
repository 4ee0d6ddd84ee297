"""The rows of an answer: spread over the split, and the same whatever is kept."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.data import evenly_spaced
from nasrec_opt.oracle._rows import Rows


@given(st.integers(1, 10**9), st.integers(1, 3000))
def test_rows_are_evenly_spread(available, wanted):
    found = evenly_spaced(available, wanted)
    assert len(found) == min(wanted, available)
    assert found[0] == 0
    assert found[-1] < available
    gaps = np.diff(np.append(found, available))  # the last gap reaches to the end
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


@given(st.integers(0, 3000), st.none() | st.just(10**12))
def test_all_rows_are_all_rows(available, wanted):
    assert evenly_spaced(available, wanted).tolist() == list(range(available))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 120), st.integers(1, 130), st.integers(0, 300_000))
def test_chunks_are_the_rows_in_order_whatever_is_kept(
    supernet, dataset, count, chunk_rows, embedding_bytes
):
    split = dataset.split("validation")
    index = evenly_spaced(split.num_rows, count)
    with torch.inference_mode():
        some = Rows(
            "some",
            supernet,
            split,
            index,
            chunk_rows=chunk_rows,
            embedding_bytes=embedding_bytes,
        )
        chunks = [some.chunk(number) for number in range(some.num_chunks)]
        batch = split.rows(index)
        embedded = supernet.embed(torch.from_numpy(batch.sparse))
    assert [len(dense) for dense, _ in chunks[:-1]] == [chunk_rows] * (some.num_chunks - 1)
    assert torch.equal(torch.cat([dense for dense, _ in chunks]), torch.from_numpy(batch.dense))
    assert torch.equal(torch.cat([sparse for _, sparse in chunks]), embedded)
    np.testing.assert_array_equal(some.labels, batch.labels)
    kept = [values for values in some._sparse if values.is_floating_point()]
    assert sum(values.nbytes for values in kept) <= some.embedding_bytes <= embedding_bytes
    room = embedding_bytes // (embedded[0].nbytes * chunk_rows)
    assert len(kept) == min(room, some.num_chunks)


def test_kept_embeddings_are_looked_up_once(supernet, dataset):
    split = dataset.split("validation")
    some = Rows(
        "some", supernet, split, evenly_spaced(250, 9), chunk_rows=3, embedding_bytes=1 << 20
    )
    assert some.chunk(1)[1] is some.chunk(1)[1]
    none = Rows("some", supernet, split, evenly_spaced(250, 9), chunk_rows=3, embedding_bytes=0)
    assert none.chunk(1)[1] is not none.chunk(1)[1]
    assert none.embedding_bytes == 0
    assert some.embedding_bytes == 9 * 26 * 16 * 4
