"""Whatever is wrong with a log is one sentence with its row and field, and nothing is left."""

from __future__ import annotations

import gzip
import os

import polars as pl
import pytest
from data.logs import GOOD, SMALL, good_lines, small_table, write_csv, write_parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.data import prepare
from nasrec_opt.data._prepare import OTHER_TABLES
from nasrec_opt.errors import DataError

LOG = "\n".join(good_lines(40)).encode() + b"\n"
BIG = 2**63
DEFECTS = {  # what is done to a good line of Criteo's layout, and what is said about it
    "columns": (lambda line: line + "\tx", "expected 40 columns separated by tab, got 41"),
    "short": (
        lambda line: line.rpartition("\t")[0],
        "expected 40 columns separated by tab, got 39",
    ),
    "blank": (lambda line: "", "expected 40 columns separated by tab, got an empty line"),
    "separator": (
        lambda line: line.replace("\t", ","),
        "expected 40 columns separated by tab, got 40 separated by comma",
    ),
    "label": (lambda line: "2" + line[1:], "field label: expected 0 or 1, got '2'"),
    "no label": (lambda line: line[1:], "field label: expected 0 or 1, got nothing"),
    "text": (
        lambda line: line.replace("\t1", "\tx1", 1),
        "field I1: expected an integer or a missing value, got 'x1'",
    ),
    "fraction": (
        lambda line: line.replace("\t1", "\t1.5", 1),
        "field I1: expected an integer or a missing value, got '1.5'",
    ),
    "overflow": (
        lambda line: line.replace("\t1\t0a", f"\t{BIG}\t0a"),
        f"field I13: expected an integer of 64 bits or a missing value, got '{BIG}'",
    ),
    "quotes": (
        lambda line: line.replace("\t1", '\t"1"', 1),
        "field I1: expected an integer or a missing value, got '\"1\"'",
    ),
    "bytes": (
        lambda line: line + "\udcff",
        "expected UTF-8 text, got byte 0xff at position 262",
    ),
    "nul": (lambda line: line[:-1] + "\0", "expected text, got a NUL byte"),
}


def refused(folder, source, **options) -> str:
    """The sentence with which a log is refused, without the folder that it is in."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(DataError) as caught:
        prepare(source, folder / "out", **options)
    assert sorted(folder.rglob("*")) == before
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence.replace(f"{folder}/", "")


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(DEFECTS)),
    st.integers(0, 299),
    st.integers(0, 299),
    st.sampled_from([16_000, 40_000, 1 << 25]),
)
def test_the_first_bad_row_is_named_across_chunks(tmp_path_factory, defect, row, later, size):
    folder, lines = tmp_path_factory.mktemp("log"), good_lines(301)  # a blank end is no defect
    damage, sentence = DEFECTS[defect]
    for number in {row, max(row, later)}:
        lines[number] = damage(lines[number])
    text = "\n".join(lines) + "\n"
    (folder / "log.txt").write_bytes(text.encode(errors="surrogateescape"))
    found = refused(folder, folder / "log.txt", chunk_bytes=size)
    hint = OTHER_TABLES if row == 0 and sentence.startswith("expected 40 columns") else ""
    assert found == f"log.txt:{row + 1}: {sentence}{hint}"


def test_a_row_far_into_a_large_log_is_named(tmp_path):
    lines = good_lines(200_000)
    lines[180_123] = lines[180_123].replace("\t1", "\t1e3", 1)
    source = tmp_path / "log.txt"
    source.write_text("\n".join(lines))
    sentence = "log.txt:180124: field I1: expected an integer or a missing value, got '1e3'"
    assert refused(tmp_path, source) == sentence


@pytest.mark.parametrize("value", ["x", "1e999", "nan", "-inf", "1_0", "0x10", "- 1"])
def test_a_number_must_be_finite(tmp_path, value):
    table = small_table(150, 0)
    table[70]["b"] = value
    source = write_csv(tmp_path / "log.csv", table)
    sentence = f"log.csv:72: field b: expected a finite number or a missing value, got {value!r}"
    assert refused(tmp_path, source, format=SMALL, chunk_bytes=900) == sentence


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.txt", None, "expected a click log, found nothing there"),
        ("empty.txt", b"", "expected a click log, got an empty file"),
        ("empty.txt.gz", gzip.compress(b"", mtime=0), "expected a click log, got an empty file"),
        ("nine.txt", "\n".join(good_lines(9)).encode(), "expected at least 10 rows, got 9"),
        (
            "single.txt",
            f"{GOOD}\n".encode() * 50,
            "expected both classes in the label, got only 0 in 50 rows",
        ),
        (
            "clicks.txt",
            b"1" + f"{GOOD}\n1".encode()[1:] * 1 + f"{GOOD[1:]}\n1".encode() * 48
            + GOOD[1:].encode(),
            "expected both classes in the label, got only 1 in 50 rows",
        ),
        (
            "plain.txt.gz",
            LOG,
            "expected a whole gzip file, got: Not a gzipped file (b'0\\t')",
        ),
        (
            "cut.txt.gz",
            gzip.compress(LOG, mtime=0)[:-20],
            "expected a whole gzip file, got: Compressed file ended before the end-of-stream "
            "marker was reached",
        ),
        (
            "utf16.txt",
            LOG.decode().encode("utf-16-le"),
            "expected UTF-8 text, got UTF-16 text; save it as UTF-8",
        ),
    ],
)  # fmt: skip
def test_what_is_no_log_is_refused(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    separator = "" if sentence.startswith(":") else ": "
    assert refused(tmp_path, tmp_path / name) == f"{name}{separator}{sentence}"


def test_a_gzip_with_a_flipped_bit_is_refused(tmp_path):
    packed = bytearray(gzip.compress(LOG * 50))
    packed[-6] ^= 1  # of the checksum
    (tmp_path / "log.txt.gz").write_bytes(packed)
    assert "log.txt.gz: expected a whole gzip file" in refused(tmp_path, tmp_path / "log.txt.gz")


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    sentence = refused(tmp_path, tmp_path / "folder")
    assert sentence == "folder: expected a click log, found a folder without files"
    os.mkfifo(tmp_path / "pipe")
    sentence = refused(tmp_path, tmp_path / "pipe")
    assert sentence == "pipe: expected a regular file, which is read twice, found a pipe or device"


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("y;a;u;extra;v;b", "header: expected a column 'y', got y;a;u;extra;v;b (separated by s"),
        ("z,a,u,extra,v,b", "header: expected a column 'y', got z, a, u, extra, v, b"),
        ("y,a,u,extra,v,c", "columns: expected 'b', got y, a, u, extra, v, c"),
        ("y,a,u,u,v,b", "columns: expected column 'u' once, got it twice"),
        ("", "expected a header line, got an empty file"),
        ('y,"a,u,extra,v,b', "header: expected quotes that close, got one that does not"),
        ("y,a,u,\udcff,v,b", "header: expected UTF-8 text, got bytes that are not"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, header, sentence):
    source = write_csv(tmp_path / "log.csv", small_table(50, 0))
    rows = source.read_bytes().partition(b"\n")[2]
    source.write_bytes(header.encode(errors="surrogateescape") + b"\n" + rows)
    assert refused(tmp_path, source, format=SMALL).startswith(f"log.csv: {sentence}")


def test_a_header_alone_is_an_empty_log(tmp_path):
    (tmp_path / "log.csv").write_text("y,a,u,extra,v,b\n")
    sentence = refused(tmp_path, tmp_path / "log.csv", format=SMALL)
    assert sentence == "log.csv: expected a click log, got no row below the header"


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("y", [0, 1, 2, 0], ":3: field y: expected 0 or 1, got 2"),
        ("y", [0.0, 1.0, float("nan"), 0.0], ":3: field y: expected 0 or 1, got nothing"),
        ("y", [0.0, 0.5, 1.0, 0.0], ":2: field y: expected 0 or 1, got 0.5"),
        (
            "a",
            [None, 1.0, 2.0, float("inf")],
            ":4: field a: expected a finite number or a missing value",
        ),
        (
            "a",
            [None, "1", "2", "x"],
            ":4: field a: expected a finite number or a missing value, got 'x'",
        ),
        (
            "a",
            [[1], [2], [3], []],
            ": field a: expected numbers, got large_list<element: int64>",
        ),
        (
            "u",
            [b"1", b"2", b"\xff", b""],
            ":3: field u: expected UTF-8 text, got byte 0xff at position 1",
        ),
    ],
)
def test_a_bad_column_of_a_parquet_file_is_named(tmp_path, column, values, sentence):
    source = write_parquet(tmp_path / "log.parquet", small_table(4, 0))
    pl.read_parquet(source).with_columns(pl.Series(column, values)).write_parquet(source)
    found = refused(tmp_path, source, format=SMALL)
    assert found.startswith(f"log.parquet{sentence}")


def test_a_row_far_into_a_parquet_file_is_named(tmp_path):
    rows, source = 140_000, tmp_path / "log.parquet"
    labels = pl.Series("y", [0, 1]).extend(pl.Series([1] * (rows - 2)))
    labels[139_000] = 7
    frame = pl.DataFrame({"y": labels}).with_columns(a=1.0, b=2.0, u=pl.lit("u"), v=pl.lit("v"))
    frame.write_parquet(source)
    sentence = refused(tmp_path, source, format=SMALL)
    assert sentence == "log.parquet:139001: field y: expected 0 or 1, got 7"


@pytest.mark.parametrize("kept", [0, 3, 0.5, 0.99])
def test_a_cut_parquet_file_is_refused(tmp_path, kept):
    source = write_parquet(tmp_path / "log.parquet", small_table(500, 0))
    data = source.read_bytes()
    source.write_bytes(data[: int(kept * len(data)) if kept < 1 else kept])
    sentence = refused(tmp_path, source, format=SMALL)
    assert sentence.startswith("log.parquet: expected a whole Parquet file, got: ")


def test_settings_out_of_range_are_refused(tmp_path):
    source = write_csv(tmp_path / "log.csv", small_table(50, 0))
    for option in ("min_count", "seed"):
        sentence = refused(tmp_path, source, format=SMALL, **{option: -1})
        assert sentence.startswith(f"{option}: expected ")
