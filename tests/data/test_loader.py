"""An epoch has every row once, in an order that the seed alone decides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nasrec_opt.data import Split
from nasrec_opt.data._loader import CHUNK_ROWS, WINDOW_CHUNKS
from nasrec_opt.errors import DataError

WINDOW = CHUNK_ROWS * WINDOW_CHUNKS
# One row, about a chunk, about a window, and more than two windows with a chunk that is not full.
SIZES = (1, 7, CHUNK_ROWS - 1, CHUNK_ROWS + 1, WINDOW, WINDOW + 1, 2 * WINDOW + CHUNK_ROWS + 77)
LIMIT = np.array([np.iinfo(np.int32).max], np.int32)


def split_of(rows: int) -> Split:
    """Rows whose every entry is their number."""
    numbers = np.arange(rows)
    arrays = {
        "dense": numbers[:, None].astype(np.float32),
        "sparse": numbers[:, None].astype(np.int32),
        "labels": (numbers % 2).astype(np.uint8),
    }
    return Split("train", arrays, 1, LIMIT, False)


def order(loader) -> np.ndarray:
    batches = list(loader)
    for batch in batches:
        np.testing.assert_array_equal(batch.dense, batch.sparse)  # exact below 2**24
        np.testing.assert_array_equal(batch.labels, batch.sparse[:, 0] % 2)
    return np.concatenate([np.empty(0, np.int32), *(batch.sparse[:, 0] for batch in batches)])


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(SIZES),
    st.none() | st.integers(0, 2**32 - 1),
    st.integers(3000, 3 * WINDOW),
    st.booleans(),
    st.floats(0, 1.2),
)
@example(SIZES[-1], 0, WINDOW + 1, False, 0.5)
@example(WINDOW + 1, 0, WINDOW, True, 0.9)
@example(SIZES[-1], 0, 5000, False, 0.9)  # skips a window that no batch ends with
@example(7, 3, 2, False, 0.5)
@example(7, 3, 2, True, 1.0)
def test_every_row_once_and_exact_resumption(rows, seed, batch_size, drop_last, share):
    split = split_of(rows)
    loader = split.batches(batch_size, seed=seed, drop_last=drop_last)
    steps = rows // batch_size if drop_last else -(-rows // batch_size)
    assert len(loader) == steps == len(list(loader))
    found = order(loader)
    assert len(np.unique(found)) == len(found) == min(rows, steps * batch_size)
    start = int(share * steps)
    resumed = split.batches(batch_size, seed=seed, drop_last=drop_last, start_step=start)
    np.testing.assert_array_equal(order(resumed), found[start * batch_size :])
    assert len(resumed) == steps


def test_batches_are_full_but_for_the_last():
    sizes = [len(b.labels) for b in split_of(2 * WINDOW + 77).batches(1000, seed=1)]
    assert set(sizes[:-1]) == {1000}
    assert sizes[-1] == (2 * WINDOW + 77) % 1000


def test_the_seed_decides_the_order():
    split = split_of(5000)
    one, again, other = (order(split.batches(64, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one == other).mean() < 0.01
    np.testing.assert_array_equal(order(split.batches(64)), np.arange(5000))
    np.testing.assert_array_equal(order(split.batches(999, seed=1)), one)


def test_a_window_is_shuffled_throughout():
    found = order(split_of(WINDOW).batches(4096, seed=0)).astype(float)
    correlation = np.corrcoef(found, np.arange(WINDOW))[0, 1]
    assert abs(correlation) < 0.01  # 7 standard deviations
    assert abs(found[:4096].mean() / WINDOW - 0.5) < 0.04  # 9 standard deviations


def test_windows_come_from_everywhere():
    found = order(split_of(4 * WINDOW).batches(WINDOW, seed=0)).reshape(4, -1)
    assert (np.abs(found.mean(axis=1) / (4 * WINDOW) - 0.5) < 0.2).all()  # 5.6 standard deviations


@pytest.mark.parametrize(
    "option", [{"batch_size": 0}, {"start_step": -1}, {"seed": -1}, {"batch_size": -4}]
)
def test_options_out_of_range_are_refused(option):
    with pytest.raises(DataError, match=f"{next(iter(option))}: expected "):
        split_of(10).batches(**{"batch_size": 4} | option)
