"""A vocabulary counts as `collections.Counter` does, and encodes as a dict does."""

from __future__ import annotations

from collections import Counter as NaiveCounter

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nasrec_opt.data._vocabulary import (
    FEW,
    FIRST,
    MISSING,
    RARE,
    Counter,
    Lookup,
    Vocabulary,
    by_count,
)
from nasrec_opt.errors import DataError

VALUE = st.sampled_from(["", "a", "b", "ab", "ü", "zz", "0", "\0", "long " * 9]) | st.none()
CHUNKS = st.lists(st.lists(VALUE, max_size=30), max_size=5)


@given(
    st.dictionaries(
        VALUE.filter(bool) | st.text(max_size=10) | st.text("a\0", min_size=7, max_size=10),
        st.integers(1, 3) | st.integers(1, 2**62),
    )
)
@example({"12345678b": 1, "12345678a": 1, "12345678": 1, "1234567": 1, "12345678c": 2})
def test_the_order_is_that_of_counts_and_then_of_text(counts):
    schema = {"value": pl.String, "count": pl.Int64}
    table = pl.DataFrame({"value": list(counts), "count": list(counts.values())}, schema)
    assert by_count(table).equals(table.sort(["count", "value"], descending=[True, False]))


def vocabulary_of(chunks, min_count=1):
    counter = Counter()
    for chunk in chunks:
        counter.add(pl.Series(chunk, dtype=pl.String))
    return counter.finish(min_count)


@settings(deadline=None)
@given(CHUNKS, st.integers(1, 4), st.lists(VALUE | st.text(max_size=3), max_size=20))
def test_ids_are_those_of_a_counted_dict(chunks, least, asked):
    counts = NaiveCounter(v for chunk in chunks for v in chunk if v is not None)
    kept = sorted((-n, v) for v, n in counts.items() if n >= least)
    ids = {None: MISSING} | {v: i for i, (_, v) in enumerate(kept, start=FIRST)}
    found = vocabulary_of(chunks, least)
    assert found.cardinality == FIRST + len(kept)
    assert found.counts.tolist() == [-n for n, _ in kept]
    cut = found.cut(FIRST + 2)
    assert cut.counts.tolist() == found.counts[:2].tolist()
    lookup = Lookup([found, cut, found])
    encoded = lookup.encode(pl.Series(asked * 3, dtype=pl.String))
    assert encoded.dtype == np.int32
    many = lookup.encode(pl.Series(asked * FEW * 3, dtype=pl.String))  # another way to the same
    assert many.dtype == np.int32
    assert many.tolist() == encoded.tolist() * FEW
    expected = [ids.get(v, RARE) for v in asked]
    assert encoded[:, 0].tolist() == encoded[:, 2].tolist() == expected
    assert encoded[:, 1].tolist() == [i if i < cut.cardinality else RARE for i in expected]


def test_counts_merged_on_the_way_are_the_same():
    rng = np.random.default_rng(0)
    chunks = [rng.integers(0, 300_000, 60_000).astype(str).tolist() for _ in range(6)]
    expected = NaiveCounter(value for chunk in chunks for value in chunk)
    table = vocabulary_of(chunks).table
    assert dict(table.rows()) == expected


def test_a_value_that_is_there_twice_is_refused_and_not_hashed_for_ever():
    with pytest.raises(DataError, match="vocabulary: expected each value once, got one twice"):
        Lookup([Vocabulary(pl.DataFrame({"value": ["a", "b", "a"], "count": [3, 2, 1]}))])
