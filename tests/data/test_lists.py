"""The last entries of native lists are categories, when a log is prepared and when rows are served.

Two references: a log whose entries are columns of their own, made in Python, and one whose lists
are text with a separator.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data.logs import arrays
from data.test_arrow_types import HOLDERS, KINDS, PLAIN, ROWS, held, outcome, wrapped
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from nasrec_opt.data import Column, Preprocessor, Schema, guess_schema, prepare
from nasrec_opt.errors import DataError

LAST = 2
SHAPES = ("list", "large list", "fixed list")
SCHEMA = Schema(label="y", sparse=("u", "seen"), options=(Column(name="seen", last=LAST),))
ENTRIES = {
    "text": st.sampled_from(["", "a", "b ", " b", "ü", "5.0", "true", "a|b"]),
    "integers": st.integers(-3, 3) | st.integers(-(2**62), 2**62),
    "floats": st.sampled_from([0.5, 2.0, -1.0]),
    "booleans": st.booleans(),
}


def lists_log(values: list, kind: pa.DataType | None = None) -> pa.Table:
    rows = len(values)
    labels, users = [i % 2 for i in range(rows)], [PLAIN[i % ROWS] for i in range(rows)]
    return pa.table({"y": labels, "u": users, "seen": pa.array(values, kind)})


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_entries_of_every_type_are_the_columns_that_they_would_be(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("log")
    kind = KINDS[data.draw(st.sampled_from(sorted(KINDS)))]
    shape = data.draw(st.sampled_from(SHAPES))
    holder = data.draw(st.sampled_from(HOLDERS))
    how = data.draw(st.sampled_from(["", "dictionary"]))
    sizes = {"min_size": 3, "max_size": 3} if shape == "fixed list" else {"max_size": 4}
    one = st.none() | st.lists(st.none() | kind.values, **sizes)
    pool = data.draw(st.lists(one, min_size=1, max_size=6))
    values = [pool[i % len(pool)] for i in range(ROWS)]
    if shape == "fixed list" and holder in ("file", "folder"):  # Arrow reads no missing ones there
        values = [value or [None] * 3 for value in values]
    flat = [entry for value in values for entry in value or [None] * sizes.get("min_size", 0)]
    entries = wrapped(kind.array(flat, kind.arrow), how)
    gone = pa.array([value is None for value in values])
    if shape == "fixed list":
        seen = pa.FixedSizeListArray.from_arrays(entries, 3, mask=gone)
    else:
        ends = np.cumsum([0, *(len(value or []) for value in values)])
        array = pa.ListArray if shape == "list" else pa.LargeListArray
        ends = pa.array(ends, pa.int32() if shape == "list" else pa.int64())
        seen = array.from_arrays(ends, entries, mask=gone)
    others = {"y": pa.array([i % 2 for i in range(ROWS)]), "u": pa.array(PLAIN)}
    try:
        source = held(folder, holder, pa.table(others | {"seen": seen}))
    except (OSError, pa.ArrowNotImplementedError):  # Parquet has no negative scales
        reject()
    found, said = outcome(source, folder / "out", SCHEMA)
    assert found is not None, said
    columns = {}
    for place in range(1, LAST + 1):
        chosen = [v[-place] if v is not None and len(v) >= place else None for v in values]
        texts = [None if v is None else (kind.text(v) or "").strip(" ") or None for v in chosen]
        columns[f"seen.{place}"] = pa.array(texts, pa.string())
    plain = Schema(label="y", sparse=("u", *columns))
    expected = prepare(pa.table(others | columns), folder / "plain", format=plain)
    assert found.column_names == expected.column_names
    for name, array in arrays(expected).items():
        np.testing.assert_array_equal(arrays(found)[name], array, err_msg=name)


SERVED = {
    "dicts": lambda rows: rows,
    "tuples": lambda rows: [
        row | {"seen": row["seen"] and tuple(row["seen"])} for row in rows
    ],
    "arrays": lambda rows: [
        row | {"seen": None if row["seen"] is None else np.array(row["seen"], object)}
        for row in rows
    ],
    "polars": lambda rows: pl.DataFrame(rows, infer_schema_length=None),
    "pandas": pd.DataFrame,
    "arrow": pa.Table.from_pylist,
    "parquet": pa.Table.from_pylist,
}  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(sorted(ENTRIES)),
    holder=st.sampled_from(sorted(SERVED)),
    size=st.sampled_from([1, 3, 40]),
    setting=st.sampled_from([{}, {"hashed": 7}, {"separator": "|"}]),
    data=st.data(),
)
def test_served_lists_are_read_as_the_log_was(
    tmp_path_factory, kind, holder, size, setting, data
):  # fmt: skip
    folder = tmp_path_factory.mktemp("log")
    one = st.none() | st.lists(st.none() | ENTRIES[kind], max_size=4)
    pool = data.draw(st.lists(one, min_size=2, max_size=9))
    table = lists_log([pool[i % len(pool)] for i in range(40)])
    options = (Column(name="seen", last=LAST, **setting),)
    schema = Schema(label="y", sparse=("u", "seen"), options=options)
    dataset = prepare(table, folder / "out", format=schema)
    preprocessor = Preprocessor.load(folder / "out")
    every = preprocessor.transform(table).sparse
    written = np.concatenate(
        [dataset.split(name).rows(slice(None)).sparse for name in ("train", "validation", "test")]
    )
    assert sorted(map(tuple, every.tolist())) == sorted(
        map(tuple, written[:, : every.shape[1]].tolist())
    )
    for first in range(0, 40, size):
        rows = table.slice(first, size).to_pylist()
        try:
            given_rows = SERVED[holder](rows)
        except pl.exceptions.PolarsError:
            reject()
        if holder == "parquet":
            pq.write_table(given_rows, folder / "rows.parquet")
            found = np.concatenate([i.sparse for i in preprocessor.read(folder / "rows.parquet")])
        else:
            found = preprocessor.transform(given_rows).sparse
        np.testing.assert_array_equal(found, every[first : first + size])


def test_lists_of_text_and_native_ones_are_read_alike(tmp_path):
    texts = ["a|b|c", "", "b", "a| c", "|a", "c|"] * 10
    rows = "".join(f"{i % 2},{PLAIN[i % ROWS]},{text}\n" for i, text in enumerate(texts))
    (tmp_path / "log.csv").write_text("y,u,seen\n" + rows)
    column = Column(name="seen", last=LAST, separator="|")
    schema = Schema(label="y", sparse=("u", "seen"), options=(column,))
    native = lists_log([text.split("|") for text in texts])
    one, other = (
        prepare(source, tmp_path / name, format=schema)
        for name, source in (("text", tmp_path / "log.csv"), ("native", native))
    )
    for name, array in arrays(one).items():
        np.testing.assert_array_equal(arrays(other)[name], array, err_msg=name)
    preprocessor = Preprocessor.load(tmp_path / "text")
    both = [preprocessor.transform({"u": "u1", "seen": s}).sparse for s in ("a|b", ["a", "b"])]
    np.testing.assert_array_equal(*both)


def test_text_of_a_column_without_separator_is_refused_with_its_row(tmp_path):
    (tmp_path / "log.csv").write_text("y,u,seen\n" + "0,a,\n1,b,x|y\n" * 20)
    sentence = r"log.csv:3: field seen: expected a list; for text, separator under \[columns.seen\]"
    with pytest.raises(DataError, match=sentence):
        prepare(tmp_path / "log.csv", tmp_path / "out", format=SCHEMA)
    prepare(lists_log([["a", "b"]] * 40), tmp_path / "out", format=SCHEMA)
    preprocessor = Preprocessor.load(tmp_path / "out")
    for seen, expected in {
        "a|b": "rows:1: field seen: expected a list; for text",
        7: "rows:1: field seen: expected a list; for text",
    }.items():
        with pytest.raises(DataError, match=expected):
            preprocessor.transform({"u": "a", "seen": seen})
    with pytest.raises(DataError, match="rows:2: field seen: expected a list as in rows before"):
        preprocessor.transform([{"u": "a", "seen": ["a"]}, {"u": "a", "seen": "b"}])
    with pytest.raises(DataError, match="rows: field seen: expected single values, got list"):
        preprocessor.transform({"u": "a", "seen": [["a"]]})
    missing = preprocessor.transform([{"u": "a", "seen": seen} for seen in (None, [], [None])])
    assert (missing.sparse[:, 1:] == 1).all()


@pytest.mark.parametrize(
    ("schema", "values", "sentence"),
    [
        (Schema(label="y", sparse=("u", "seen")), [["a"]], "last = 5 under [columns.seen] reads"),
        (SCHEMA, [[["a"]]], "field seen: expected single values, got list"),
        (SCHEMA, [[{"a": 1}]], "field seen: expected single values, got list"),
        (Schema(label="y", dense=("seen",), sparse=("u",)), [[1]], "expected numbers, got list"),
        (
            Schema(label="y", sparse=SCHEMA.sparse, options=SCHEMA.options, time="seen"),
            [["a"]],
            "field seen: expected single values, got list",
        ),
        (
            Schema(label="y", options=(Column(name="seen", last=1, modulo=(7,)),)),
            [["7", None], ["x"]],
            "frame:2: field seen: expected an integer in decimal or hexadecimal digits",
        ),
    ],
)  # fmt: skip
def test_other_lists_are_refused_in_one_sentence(tmp_path, schema, values, sentence):
    found, said = outcome(lists_log(values * 20), tmp_path / "out", schema)
    assert found is None
    assert sentence in said
    assert "\n" not in said


def test_an_entry_that_is_no_utf8_is_named_with_its_row(tmp_path):
    values = [[b"a"], None, [b"b", b"\xff"]] + [[b"c"]] * 37
    found, said = outcome(lists_log(values), tmp_path / "out", SCHEMA)
    assert found is None
    assert said.startswith("frame:3: field seen: expected UTF-8 text, got byte 0xff at position 1")


def test_equal_lists_are_prepared_once_whatever_holds_them(tmp_path):
    table = lists_log([["a", None], ["b", "c"]] * 30)
    made = prepare(table, tmp_path / "out", format=SCHEMA).meta
    assert prepare(pl.DataFrame(table), tmp_path / "out", format=SCHEMA).meta == made
    for other in ([["a", ""], ["c", "b"]], [["a"], [None, "b", "c"]]):
        changed = prepare(lists_log(other * 30), tmp_path / "out", format=SCHEMA).meta
        assert changed != made
        made = changed


def test_files_of_a_log_have_entries_of_one_spelling(tmp_path):
    for name, values in (("1", [[1, 2]]), ("2", [[1.0, 2.0]])):
        pq.write_table(lists_log(values * 20), tmp_path / f"{name}.parquet")
    found, said = outcome(tmp_path, tmp_path / "out", SCHEMA)
    assert found is None
    assert "field seen: expected int64 as in" in said


def test_a_guessed_schema_reads_lists_and_its_example_is_one(tmp_path):
    table = lists_log([["a", "b"], ["c"]] * 30)
    (tmp_path / "log.toml").write_text(guess_schema(table))
    dataset = prepare(table, tmp_path / "out", format=tmp_path / "log.toml")
    assert "seen.5" in dataset.column_names[1]
    preprocessor = Preprocessor.load(tmp_path / "out")
    example = preprocessor.example()
    assert isinstance(example["seen"], list)
    assert preprocessor.transform(example).sparse[0].tolist()[:2] == [2, 2]
