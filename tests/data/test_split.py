"""The split is exactly 80/10/10 and depends on the seed and the row alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.data._split import split_of

SEED = st.integers(0, 2**32 - 1)


@given(SEED, st.integers(0, 10**12), st.integers(1, 3000))
def test_of_every_ten_rows_eight_one_and_one(seed, ten, tens):
    groups = split_of(10 * ten, 10 * tens, seed).reshape(tens, 10)
    assert (np.sort(groups, axis=1) == [0] * 8 + [1, 2]).all()


@given(SEED, st.integers(0, 10**6), st.lists(st.integers(0, 12_000), max_size=6))
def test_pieces_of_a_range_join_to_the_whole(seed, first, counts):
    starts = first + np.concatenate([[0], np.cumsum(counts, dtype=int)])
    pieces = [split_of(int(s), c, seed) for s, c in zip(starts, counts, strict=False)]
    whole = split_of(first, sum(counts), seed)
    np.testing.assert_array_equal(np.concatenate([whole[:0], *pieces]), whole)


def test_places_within_ten_rows_are_equally_likely():
    groups = split_of(0, 200_000, 7).reshape(-1, 10)
    for split in (1, 2):
        shares = (groups == split).mean(axis=0)
        np.testing.assert_allclose(shares, 0.1, atol=0.012)  # 5.6 standard deviations


def test_another_seed_is_another_split():
    one, other = split_of(0, 50_000, 0), split_of(0, 50_000, 1)
    assert 0.6 < (one == other).mean() < 0.72  # 0.66 if independent
    blocks = split_of(0, 20_000, 0).reshape(2, -1)
    assert 0.6 < (blocks[0] == blocks[1]).mean() < 0.72
