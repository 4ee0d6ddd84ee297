"""Columns that nobody asked for: pandas' index, separators at the end of lines, no values."""

from __future__ import annotations

import logging

import polars as pl
import pytest

from nasrec_opt.data import Schema, prepare
from nasrec_opt.errors import DataError

ROWS = 200
BODY = [f"{i},{i % 2},{i % 7},{'abc'[i % 3]}" for i in range(ROWS)]


def prepared(path, lines, **schema):
    path.write_text("\n".join(lines) + "\n")
    out = path.parent / "out"
    return prepare(path, out, format=Schema(**{"label": "y", "dense": ("a",)} | schema))


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0.1", "__index_level_0__"])
def test_the_index_of_pandas_is_no_feature(tmp_path, name):
    lines = [f"{name},y,a,u", *BODY]
    left_out = prepared(tmp_path / "log.csv", lines)
    assert left_out.column_names == (("a",), ("u",))
    dropped = prepared(tmp_path / "log.csv", lines, dropped=(name,))
    assert dropped.column_names == (("a",), ("u",))
    named = prepared(tmp_path / "log.csv", lines, sparse=("u",))
    assert named.column_names == (("a",), ("u",))
    wanted = prepared(tmp_path / "log.csv", lines, sparse=("u", name))
    assert wanted.column_names == (("a",), ("u", name))


def test_the_index_of_pandas_in_parquet_is_no_feature(tmp_path):
    frame = pl.DataFrame(
        {
            "y": [0, 1] * 50,
            "u": ["a", "b"] * 50,
            "__index_level_0__": range(100),
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    dataset = prepare(tmp_path / "log.parquet", tmp_path / "out", format=Schema(label="y"))
    assert dataset.column_names == ((), ("u",))


def test_separators_at_the_end_of_lines_are_named(tmp_path):
    lines = [line + "," for line in ["id,y,a,u", *BODY]]
    with pytest.raises(DataError, match="got none for column 5, which"):
        prepared(tmp_path / "log.csv", lines)
    assert prepared(tmp_path / "log.csv", lines, dropped=("", "id")).column_names[1] == ("u",)
    with pytest.raises(DataError, match="expected a name for each, got none for columns 5, 6"):
        prepared(tmp_path / "log.csv", [line + "," for line in lines])


def test_a_header_names_each_column_once(tmp_path):
    with pytest.raises(DataError, match="columns: expected column 'u' once, got it twice"):
        prepared(tmp_path / "log.csv", ["u,y,a,u", *BODY])


def test_a_ragged_row_is_named(tmp_path):
    with pytest.raises(DataError, match=r"log\.csv:12: expected 4 columns separated by comma, got"):
        prepared(tmp_path / "log.csv", ["id,y,a,u", *BODY[:10], BODY[10] + ",", *BODY[11:]])


def test_columns_that_cannot_help_are_named_in_a_warning(tmp_path, caplog):
    lines = ["id,y,a,u,void", *(line + "," for line in BODY)]
    with caplog.at_level(logging.WARNING):
        prepared(tmp_path / "log.csv", lines)
    found = [record.getMessage() for record in caplog.records]
    assert len(found) == 2
    assert "column 'id' has a different value in each of 160 training rows" in found[0]
    assert "column 'void' has no value in 160 training rows" in found[1]
    caplog.clear()
    prepared(tmp_path / "log.csv", lines, sparse=("id", "u", "void"))  # they are asked for
    assert not caplog.records
