"""Codes become the ids that a vocabulary of `collections.Counter`'s counts gives."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.data._codes import CodeBook, IntegerIds
from nasrec_opt.data._spilled_codes import SpilledCodeBook
from nasrec_opt.data._spool import Spool
from nasrec_opt.data._vocabulary import FIRST, MISSING, RARE, Vocabulary

VALUE = st.sampled_from(["", "a", "b", "ab", "ü", "zz", "0", "\0", "long " * 9]) | st.none()
ROW = st.tuples(VALUE, VALUE, st.booleans())  # two columns, and whether the row trains
CHUNKS = st.lists(st.lists(ROW, min_size=1, max_size=30), max_size=5)
NAMES = ["x", ""]
TYPES = dict.fromkeys(NAMES, pl.String)


@settings(deadline=None)
@given(CHUNKS, st.integers(0, 4), st.none() | st.integers(1, 5), st.none() | st.integers(1, 4))
def test_codes_and_counts_are_those_of_dicts(tmp_path_factory, chunks, least, most, at_once):
    with ExitStack() as stack:
        book = CodeBook(NAMES)
        if most is not None and at_once is not None:
            folder = tmp_path_factory.mktemp("values")
            book = stack.enter_context(SpilledCodeBook(NAMES, folder, most, at_once=at_once))
        check_book(book, chunks, least, most)


def check_book(book, chunks, least, most):
    coded = []
    for chunk in chunks:
        frame = pl.DataFrame([row[:2] for row in chunk], TYPES, orient="row")
        coded.append(book.encode(frame))
    for frame, chunk in zip(coded, chunks, strict=True):
        book.count(frame.filter(pl.Series([row[2] for row in chunk])))
    rows = [row for chunk in chunks for row in chunk]
    counts = [Counter(r[i] for r in rows if r[2] and r[i] is not None) for i in (0, 1)]
    assert list(book.num_values().values()) == [len(count) for count in counts]
    for place, (vocabulary, ids) in enumerate(book.finish(least, most)):
        kept = sorted((-n, v) for v, n in counts[place].items() if n >= least)[:most]
        assert vocabulary.table.rows() == [(value, -count) for count, value in kept]
        expected = {None: MISSING} | {v: i for i, (_, v) in enumerate(kept, start=FIRST)}
        codes = [code for frame in coded for code in frame[NAMES[place]]]
        assert ids[codes].tolist() == [expected.get(row[place], RARE) for row in rows]


def test_counts_of_many_values_grow_with_them():
    book, seen = CodeBook(["x"]), Counter()
    for first in (0, 50_000, 100_000, 10):  # few values of many at last
        values = [str(value) for value in range(first, first + (60_000 if first != 10 else 20))]
        seen.update(values)
        book.count(book.encode(pl.DataFrame({"x": values})))
    [(vocabulary, _)] = book.finish(1)
    assert dict(vocabulary.table.rows()) == seen


@given(
    st.lists(st.integers(-(2**62), 2**62), unique=True, max_size=8),
    st.lists(st.integers(-3, 3) | st.integers(-(2**62), 2**62) | st.none(), max_size=8),
)
def test_integers_are_found_among_those_known(known, asked):
    table = pl.DataFrame({"value": list(map(str, known)), "count": [1] * len(known)})
    ids = IntegerIds(Vocabulary(table.cast({"value": pl.String, "count": pl.Int64})))
    expected = {None: MISSING} | {value: i for i, value in enumerate(known, start=FIRST)}
    asked = asked + known
    found = ids.encode(pl.Series(asked, dtype=pl.Int64))
    assert found.tolist() == [expected.get(value, RARE) for value in asked]


def test_a_spool_gives_frames_back_and_removes_its_file(tmp_path):
    frames = [
        pl.DataFrame({"": [1, None], "\0time": [0.5, float("nan")]}),
        pl.DataFrame({"": [2], "\0time": [None]}, {"": pl.Int64, "\0time": pl.Float64}),
    ]
    with Spool(tmp_path / "rows") as spool:
        for frame in frames:
            spool.append(frame)
        for _ in range(2):  # each pass reads all
            for found, expected in zip(spool.frames(), frames, strict=True):
                assert found.equals(expected)
        [second] = spool.frames(1, 2)
        assert second.equals(frames[1])
    assert not list(tmp_path.iterdir())
    with Spool(tmp_path / "rows") as spool:
        assert not list(spool.frames())
