"""A text file reads as Python's csv module reads it, in any chunks."""

from __future__ import annotations

import csv

import numpy as np
import polars as pl
import pytest
from data.logs import SMALL, content, small_table, write_csv, write_parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.data import Schema, prepare
from nasrec_opt.data._reading import column_names, read_chunks
from nasrec_opt.errors import DataError

TEXT = Schema(label="y", sparse=("u", "v"), columns=("y", "u", "v"))
NUMBERS = Schema(label="y", dense=("a",), sparse=("u",), columns=("y", "a", "u"))
FIELD = st.text(st.sampled_from('ab" ,ü'), max_size=4)
LINES = st.text(st.sampled_from('ab" ,ü\n'), max_size=4)


def rows_of(source, schema, **options) -> list[tuple]:
    return pl.concat(list(read_chunks(source, schema, **options))).rows()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(LINES, LINES), min_size=1, max_size=8), st.integers(1, 60))
def test_quotes_read_as_the_csv_module_reads_them(tmp_path_factory, fields, size):
    source = tmp_path_factory.mktemp("log") / "log.csv"
    with source.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("1", *pair) for pair in fields])
    expected = [(1, u or None, v or None) for u, v in fields]
    assert rows_of(source, TEXT, chunk_bytes=size) == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=5), st.integers(1, 60))
def test_quotes_written_carelessly_read_as_the_csv_module_reads_them(
    tmp_path_factory, fields, size
):
    source = tmp_path_factory.mktemp("log") / "log.csv"
    lines = [f"1,{u},{v}" for u, v in fields]
    source.write_text("\n".join(lines) + "\n")
    try:
        with source.open(newline="") as stream:
            expected = list(csv.reader(stream, strict=True))
    except csv.Error:
        expected = [[]]
    if any(len(row) != 3 for row in expected):
        with pytest.raises(DataError, match=r"log\.csv:\d+: expected "):
            rows_of(source, TEXT, chunk_bytes=size)
    else:
        found = rows_of(source, TEXT, chunk_bytes=size)
        assert found == [(1, u or None, v or None) for _, u, v in expected]


@given(st.integers(0, 4), st.booleans(), st.integers(1, 30))
def test_blank_lines_at_the_end_are_no_rows_and_elsewhere_are_refused(
    tmp_path_factory, count, is_inside, size
):
    source = tmp_path_factory.mktemp("log") / "log.csv"
    end = "\n" * count
    source.write_text(f"1,2,u\n{end}0,,v\n" if is_inside else f"1,2,u\n0,,v\n{end}")
    if is_inside and count:
        with pytest.raises(DataError, match=r"log\.csv:2: expected 3 columns"):
            rows_of(source, NUMBERS, chunk_bytes=size)
    else:
        assert rows_of(source, NUMBERS, chunk_bytes=size) == [(1, 2.0, "u"), (0, None, "v")]


@pytest.mark.parametrize("careless", ["", 'b"'])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_row_of_several_lines_is_named_by_its_first(tmp_path, careless, size):
    rows = [f'1,2,"u\n\n{i}"' for i in range(5)] + [f"1,,{careless}", '1,x,"u\nv"', "2,,u"]
    (tmp_path / "log.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match=r"log\.csv:17: field a: expected a finite number"):
        rows_of(tmp_path / "log.csv", NUMBERS, chunk_bytes=size)


@pytest.mark.parametrize("size", [3, 1 << 20])
def test_a_quote_that_never_closes_is_named_by_its_line(tmp_path, size):
    (tmp_path / "log.csv").write_text('1,2,"u\nv"\n1,3,"w\n' + "0,4,x\n" * 50)
    with pytest.raises(
        DataError, match=r"log\.csv:3: expected quotes that close, got one that doe"
    ):
        rows_of(tmp_path / "log.csv", NUMBERS, chunk_bytes=size)


def test_a_line_that_ends_early_is_refused_among_quotes(tmp_path):
    (tmp_path / "log.csv").write_text('1,"u",v\n0,u\n')
    with pytest.raises(
        DataError, match=r"log\.csv:2: expected 3 columns separated by comma, got 2"
    ):
        rows_of(tmp_path / "log.csv", TEXT)


@pytest.mark.parametrize("separator", [",", ";", "|", "\t", " "])
def test_any_separator_gives_the_same_dataset(tmp_path, separator):
    table = [row | {"v": row["v"].replace(" ", "_")} for row in small_table(200, 1)]
    other = Schema(label="y", dense=("a", "b"), sparse=("u", "v"), separator=separator)
    prepare(write_csv(tmp_path / "c.csv", table), tmp_path / "comma", format=SMALL)
    source = write_csv(tmp_path / "o.csv", table, separator=separator)
    prepare(source, tmp_path / "other", format=other)
    comma, found = content(tmp_path / "comma"), content(tmp_path / "other")
    assert found["dataset.json"]["schema"]["separator"] == separator
    for name in comma.keys() - {"dataset.json"}:
        assert found[name] == comma[name], name


def test_quotes_in_tab_separated_logs_are_characters(tmp_path):
    schema = Schema(label="y", sparse=("u", "v"), columns=("y", "u", "v"), separator="\t")
    (tmp_path / "log.txt").write_text('1\t"a\tb\n0\ta"\t""\n')
    assert rows_of(tmp_path / "log.txt", schema) == [(1, '"a', "b"), (0, 'a"', '""')]


def test_a_quoted_header_names_columns(tmp_path):
    (tmp_path / "log.csv").write_text('\ufeff"y","a, b","u ""x"""\n1,2,3\n')
    assert column_names(tmp_path / "log.csv", SMALL) == ("y", "a, b", 'u "x"')


@pytest.mark.parametrize("quoted", ["3,x", '3,"x"'])
def test_blanks_around_a_number_do_not_count(tmp_path, quoted):
    # a chunk with a quote takes another way than one without
    (tmp_path / "log.csv").write_text(f"1, 7 ,x\n0,  ,x\n1,,x\n0,{quoted}\n")
    expected = [(1, 7.0, "x"), (0, None, "x"), (1, None, "x"), (0, 3.0, "x")]
    assert rows_of(tmp_path / "log.csv", NUMBERS) == expected


def test_a_line_that_never_ends_is_no_table(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"1,2," + b"x" * (17 << 20))
    with pytest.raises(DataError, match=r"log\.csv: expected lines of at most 16 MiB"):
        rows_of(tmp_path / "log.csv", NUMBERS, chunk_bytes=1 << 20)


def test_types_of_a_parquet_file_do_not_matter(tmp_path):
    table = small_table(200, 2)
    source = write_parquet(tmp_path / "log.parquet", table)
    expected = rows_of(source, SMALL)
    frame = pl.read_parquet(source)
    variants = {
        "y": [pl.Boolean, pl.Float64, pl.UInt8],
        "a": [pl.Int16, pl.Float32, pl.String],
        "u": [pl.Categorical],
    }
    for column, types in variants.items():
        for dtype in types:
            values = frame[column].cast(pl.Int64) if dtype == pl.String else frame[column]
            frame.with_columns(values.cast(dtype).alias(column)).write_parquet(source)
            assert rows_of(source, SMALL) == expected, (column, dtype)
    nan = frame.with_columns(pl.col("a").fill_null(np.nan), pl.col("u").fill_null(""))
    nan.write_parquet(source)
    assert rows_of(source, SMALL) == expected
    nan.with_columns(pl.col("u").cast(pl.Categorical)).write_parquet(source)
    assert rows_of(source, SMALL) == expected
