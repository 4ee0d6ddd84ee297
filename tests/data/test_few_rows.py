"""Few rows are encoded value by value, and as a table of the same rows is, bit for bit."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nasrec_opt.data import Column, Preprocessor, Schema, _rows, generate_log, prepare
from nasrec_opt.data._few_rows import MOST_ROWS, FewRows, LeftToTables
from nasrec_opt.data._profiles import Profiles
from nasrec_opt.data._rows import columns_of
from nasrec_opt.errors import DataError

TEXT = st.text("ab01239eF.+-_xTtrue ,|ü٣:", max_size=9)
WORDS = st.sampled_from(
    ["True", "FALSE", "5.0", "-3.0", "+7.0", "05", "0x1f", "1e3", "f" * 18, "2|3", "|", " 4|"]
)
DATES = (
    st.datetimes().map(str)
    | st.dates().map(str)
    | st.integers(-(10**11), 10**11).map(str)
    | st.integers(0, 99999999).map(lambda v: f"{v:08}")
    | st.just("14102100.0")
)
VALUES = {
    "text": TEXT | WORDS,
    "date": DATES,
    "whole": st.integers(-(2**64), 2**64) | st.integers(-9, 9) | st.integers(0, 99999999),
    "real": st.floats() | st.integers(-9, 9).map(float),
    "flag": st.booleans(),
}
VALUES |= {
    f"list of {kind}": st.lists(st.none() | values, max_size=4) for kind, values in VALUES.items()
}
COLUMNS = {
    "plain": {},
    "iso": {"parts": ("year", "weekday", "hour")},
    "hours": {"parts": ("hour", "day"), "format": "%y%m%d%H"},
    "epoch": {"parts": ("month", "minute"), "format": "seconds"},
    "list": {"last": 3, "separator": "|"},
    "hash": {"hashed": 1000},
    "any list": {"last": 2},
    "list of hashes": {"last": 2, "separator": ",", "hashed": 7},
    "rest": {"modulo": (2147483647, 100)},
    "hex": {"modulo": (97,), "base": 16},
    "list of rests": {"last": 2, "separator": "|", "modulo": (11,)},
}
NUMBERS = {
    "number": {},
    "clipped": {"clip": (-1.5, 3.0)},
    "binned": {"bins": 4},
    "standard": {"transform": "standard"},
}
HOLDERS = {
    "dicts": lambda rows: rows,
    "polars": lambda rows: pl.DataFrame(rows, strict=False),
    "pandas": pd.DataFrame,
    "arrow": pa.Table.from_pylist,
}


class Never(FewRows):
    """Reads no rows."""

    def columns(self, values):
        raise LeftToTables


class Always(FewRows):
    """Says whether it read them."""

    was_left = False

    def columns(self, values):
        try:
            return super().columns(values)
        except LeftToTables:
            self.was_left = True
            raise


def schema_of(sparse, dense, *, has_integers=False, users="") -> Schema:
    options = [Column(name=name, **COLUMNS[name]) for name in sparse if COLUMNS[name]]
    options += [Column(name=name, **NUMBERS[name]) for name in dense if NUMBERS[name]]
    return Schema(
        label="y", dense=dense, sparse=sparse, options=tuple(options), has_integers=has_integers,
        users=users,
    )  # fmt: skip


@st.composite
def rows_and_schema(draw):
    sparse = tuple(
        draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4, unique=True))
    )
    dense = tuple(draw(st.lists(st.sampled_from(sorted(NUMBERS)), max_size=3, unique=True)))
    count = draw(st.integers(1, 3))
    rows = [{} for _ in range(count)]
    for name in sparse:
        kind = draw(st.sampled_from(sorted(VALUES)))
        for row in rows:
            row[name] = draw(st.none() | VALUES[kind])
    for name in dense:
        for row in rows:
            row[name] = draw(st.none() | VALUES["real"] | st.integers(-9, 9))
    users = draw(st.sampled_from(["", sparse[0]]))
    return rows, schema_of(sparse, dense, has_integers=draw(st.booleans()), users=users)


def outcome(held, schema, few):
    try:
        return list(columns_of(held, schema, few)), ""
    except DataError as error:
        return None, str(error)


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.numbers, other.numbers)
        signs = [np.signbit(c.numbers) & ~np.isnan(c.numbers) for c in (one, other)]
        np.testing.assert_array_equal(*signs)  # of zeros; a NaN's has no meaning
        assert one.texts.to_list() == other.texts.to_list()
        respelled = [c.texts if c.others is None else c.others for c in (one, other)]
        assert respelled[0].to_list() == respelled[1].to_list()
        assert (one.users is None) == (other.users is None)
        if one.users is not None:
            assert one.users.to_list() == other.users.to_list()


@settings(max_examples=200, deadline=None)
@given(rows_and_schema(), st.sampled_from(sorted(HOLDERS)))
@example(([{"hours": 14102100}], schema_of(("hours",), ())), "dicts")
@example(([{"plain": math.nan}, {"plain": "x"}], schema_of(("plain",), ())), "pandas")
@example(([{"plain": -0.0, "clipped": -0.0}], schema_of(("plain",), ("clipped",))), "dicts")
@example(([{"plain": "", "hash": "\x00"}], schema_of(("plain", "hash"), ())), "polars")
@example(([{"clipped": -math.nan}], schema_of((), ("clipped",))), "arrow")
@example(([{"any list": [5.0, None]}, {"any list": []}], schema_of(("any list",), ())), "dicts")
@example(([{"list": [" a", ""]}, {"list": None}], schema_of(("list",), ())), "dicts")
def test_few_rows_become_the_columns_of_a_table(case, holder):
    rows, schema = case
    try:
        held = HOLDERS[holder](rows)
    except (pa.ArrowException, pl.exceptions.PolarsError, TypeError, OverflowError):
        return  # no such table
    expected, reason = outcome(held, schema, Never(schema))
    found, said = outcome(held, schema, FewRows(schema))
    assert said == reason
    if found is not None and expected is not None:
        assert_same(found, expected)


LOGS = [
    (kind, layout)
    for kind in ("criteo", "avazu", "kdd2012")
    for layout in ("default", "published")
]  # fmt: skip


@pytest.fixture(scope="module", params=LOGS, ids=" ".join)
def log(request, tmp_path_factory):
    """A preprocessor, and rows of its log as text."""
    kind, layout = request.param
    folder = tmp_path_factory.mktemp("log")
    made = generate_log(folder / "log", like=kind, rows=400)
    prepare(made.file, folder / "out", format=kind, layout=layout, users=made.users)
    preprocessor = Preprocessor.load(folder / "out", binned_dense=True)
    schema = preprocessor.schema
    frame = pl.read_csv(
        made.file,
        separator=schema.separator,
        has_header=not schema.columns,
        new_columns=schema.columns or None,
        infer_schema=False,
    )
    return preprocessor, frame.with_columns(pl.col(schema.dense).cast(pl.Float64))


def as_integer(text):
    """A category as JSON may have it."""
    is_whole = text is not None and text.isdecimal() and text[0] != "0" and len(text) < 16
    return int(text) if is_whole else text


@pytest.mark.parametrize("holder", [*HOLDERS, "integers"])
def test_a_row_of_a_public_log_is_encoded_alone_as_among_all(log, holder):
    preprocessor, frame = log
    schema = preprocessor.schema
    whole = preprocessor.transform(frame)
    few = preprocessor._few_rows = Always(schema)
    for place in range(0, len(frame), 5):
        [row] = rows = frame[place : place + 1].to_dicts()
        if holder == "integers":  # as JSON may have them
            rows = [
                {name: as_integer(v) if name in schema.sparse else v for name, v in row.items()}
            ]
        held = HOLDERS.get(holder, lambda rows: rows[0])(rows)
        alone = preprocessor.transform(held)
        assert not few.was_left
        np.testing.assert_array_equal(alone.sparse, whole.sparse[[place]])
        np.testing.assert_array_equal(alone.dense, whole.dense[[place]])
    few_more = frame[:MOST_ROWS]
    for one, other in zip(preprocessor.transform(few_more), whole, strict=True):
        np.testing.assert_array_equal(one, other[:MOST_ROWS])
    assert not few.was_left


def test_a_row_of_a_public_log_is_encoded_value_by_value(log, monkeypatch):
    """Which benchmarks/rows.py times; as a table it takes up to 200 times as long."""
    preprocessor, frame = log
    expected = preprocessor.transform(frame[:1])

    def as_table(*_):
        raise AssertionError("the row became a table")

    monkeypatch.setattr(_rows, "_columns", as_table)
    for rows in (frame[0].to_dicts()[0], frame[0].to_dicts(), frame[:1]):
        found = preprocessor.transform(rows)
        np.testing.assert_array_equal(found.sparse, expected.sparse)


def test_a_preprocessor_that_has_read_rows_can_be_pickled(log):
    preprocessor, frame = log
    expected = preprocessor.transform(frame[0].to_dicts()[0])
    again = pickle.loads(pickle.dumps(preprocessor)).transform(frame[0])
    np.testing.assert_array_equal(again.sparse, expected.sparse)


def test_few_users_are_joined_as_many_are():
    table = {"user": [-3, 0, 5, 77], "gender": [1, 2, 0, 1], "age": [1, 2, 3, 4]}
    profiles = Profiles(pl.DataFrame(table, schema_overrides={"user": pl.Int64}))
    texts = [
        "5",
        "+5",
        "05",
        "-3",
        "78",
        "-4",
        "",
        None,
        "5.0",
        " 5",
        "5_0",
        "\u0665",
        "0" * 30 + "5",
    ]
    texts += [str(2**63 + 5), str(2**64 + 5), "x", "1e1", "--5", "0", "77"]
    many = profiles.columns(pl.Series(texts * 3, dtype=pl.String))
    for place, text in enumerate(texts):
        few = profiles.columns(pl.Series([text], dtype=pl.String))
        assert [c.to_list() for c in few] == [[c[place]] for c in many], text
        assert [c.name for c in few] == ["gender", "age"]
    none = Profiles(pl.DataFrame(schema=dict.fromkeys(table, pl.Int64)))
    assert [c.to_list() for c in none.columns(pl.Series(["5"]))] == [["0"], ["0"]]
