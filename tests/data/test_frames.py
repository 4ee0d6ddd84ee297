"""A table in memory is prepared as a Parquet file of its rows is, whatever library holds it."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import environment
from data.logs import content
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.data import Preprocessor, Schema, guess_schema, prepare
from nasrec_opt.data._frames import CHUNK_ROWS
from nasrec_opt.errors import DataError

SHOP = Schema(label="y", dense=("price", "age"), dropped=("object",))
TEXT = st.none() | st.text("abü \n,\"'", max_size=3)
KINDS = {
    "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
    "small": st.integers(0, 3),
    "part": st.none() | st.floats(-1e9, 1e9) | st.just(float("nan")),
    "flag": st.none() | st.booleans(),
    "text": TEXT,
    "day": st.none() | st.dates(datetime.date(1970, 1, 1), datetime.date(2100, 1, 1)),
    "time": st.none() | st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2100, 1, 1)),
}


@st.composite
def frames(draw):
    """A polars frame with a label, numbers and categories of several types."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True))
    rows = draw(st.integers(10, 40))
    columns = {
        "y": pl.Series([i % 2 for i in range(rows)]),
        "price": pl.Series(
            draw(st.lists(KINDS["part"], min_size=rows, max_size=rows)), dtype=pl.Float64
        ),
        "age": pl.Series(draw(st.lists(KINDS["small"], min_size=rows, max_size=rows))),
        "text": pl.Series(draw(st.lists(TEXT, min_size=rows, max_size=rows)), dtype=pl.String),
    }
    for kind in kinds:
        columns[kind] = pl.Series(draw(st.lists(KINDS[kind], min_size=rows, max_size=rows)))
    return pl.DataFrame(columns)


def pieces(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows in several chunks."""
    return pl.concat([frame[:3], frame[3:7], frame[7:]], rechunk=False)


class Exporter:
    """A table of a library that is not known here."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema=None):
        return self.frame.__arrow_c_stream__(requested_schema)


HOLDERS = {
    "polars": lambda frame: frame,
    "polars in chunks": pieces,
    "arrow": lambda frame: frame.to_arrow(),
    "arrow batch": lambda frame: frame.rechunk().to_arrow().combine_chunks().to_batches()[0],
    "arrow in chunks": lambda frame: pieces(frame).to_arrow(),
    "exporter": Exporter,
    "pandas": lambda frame: frame.to_pandas(),
    "pandas on arrow": lambda frame: frame.to_pandas(use_pyarrow_extension_array=True),
    "categories": lambda frame: frame.with_columns(pl.col(pl.String).cast(pl.Categorical)),
}


@settings(max_examples=25)
@given(frames(), st.sampled_from(sorted(HOLDERS)))
def test_a_table_in_memory_is_prepared_as_its_file_is(tmp_path_factory, frame, holder):
    folder, held = tmp_path_factory.mktemp("log"), HOLDERS[holder](frame)
    if isinstance(held, pd.DataFrame):
        held.to_parquet(folder / "log.parquet")
    else:
        frame.write_parquet(folder / "log.parquet")
    schema = Schema(label="y", dense=("price", "age"))
    prepare(folder / "log.parquet", folder / "file", format=schema)
    dataset = prepare(held, folder / "frame", format=schema)
    assert content(folder / "frame") == content(folder / "file")
    assert dataset.meta["source"] == "frame"


def shop(rows: int = 60) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "y": [i % 2 for i in range(rows)],
            "price": [None if i % 9 == 0 else i / 8 for i in range(rows)],
            "age": [i % 7 for i in range(rows)],
            "city": [("Ulm", "Genf", None)[i % 3] for i in range(rows)],
            "member": [i % 5 == 0 for i in range(rows)],
        }
    )


def prepared(frame, out, **options) -> bool:
    """Whether the table was read."""
    seen = []
    prepare(frame, out, progress=lambda *done: seen.append(done), **options)
    return bool(seen)


CHANGES = {
    "text": lambda frame: frame.with_columns(pl.col("city").replace("Ulm", "Bonn")),
    "number": lambda frame: frame.with_columns(pl.col("age").replace(6, 5)),
    "missing": lambda frame: frame.with_columns(pl.col("price").fill_null(0.0)),
    "flag": lambda frame: frame.with_columns(~pl.col("member")),
    "order": lambda frame: frame.reverse(),
    "cut": lambda frame: frame[:-1],
    "shifted": lambda frame: frame.with_columns(
        city=pl.Series(["Ul", "mGenf", None] * 20)  # the same letters one after the other
    ),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_second_time_nothing_is_done_whatever_holds_the_rows(tmp_path, holder):
    schema, out = Schema(label="y", dense=("price", "age")), tmp_path / "out"
    assert prepared(shop(), out, format=schema)
    was = (out / "dataset.json").stat()
    assert not prepared(HOLDERS[holder](shop()), out, format=schema)
    empty = shop().with_columns(pl.col("city").fill_null(""))  # is missing as well
    assert not prepared(HOLDERS[holder](empty), out, format=schema)
    assert (out / "dataset.json").stat() == was


@pytest.mark.parametrize("change", CHANGES)
def test_other_rows_are_prepared_again(tmp_path, change):
    schema, out = Schema(label="y", dense=("price", "age")), tmp_path / "out"
    assert prepared(shop(), out, format=schema)
    assert prepared(CHANGES[change](shop()), out, format=schema)
    assert prepared(CHANGES[change](shop()), out, format=schema, seed=1)
    assert not prepared(CHANGES[change](shop()), out, format=schema, seed=1)


def test_columns_that_are_not_read_do_not_matter(tmp_path):
    schema, frame = Schema(label="y", dense=("price", "age"), dropped=("object",)), shop()
    objects = [object() for _ in range(len(frame))]
    held = frame.to_pandas().assign(object=objects)
    assert prepared(held, tmp_path / "out", format=schema)
    assert not prepared(held.assign(object=1), tmp_path / "out", format=schema)
    assert prepared(
        frame.with_columns(pl.Series("object", objects)), tmp_path / "polars", format=schema
    )


def test_long_tables_are_read_in_pieces(tmp_path):
    rows = CHUNK_ROWS + 11
    frame = pl.DataFrame({"y": np.arange(rows) % 2, "u": (np.arange(rows) % 13).astype(str)})
    schema, seen = Schema(label="y"), []
    frame.write_parquet(tmp_path / "log.parquet")
    prepare(tmp_path / "log.parquet", tmp_path / "file", format=schema)
    prepare(frame, tmp_path / "out", format=schema, progress=lambda *done: seen.append(done))
    assert content(tmp_path / "out") == content(tmp_path / "file")
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[0] == (500 * CHUNK_ROWS // rows, 1000)


@pytest.mark.parametrize("to_file", [True, False])
def test_the_index_of_pandas_is_read_where_the_schema_names_it(tmp_path, to_file):
    held = shop().to_pandas()
    held.index = pd.Index([f"user {i % 4}" for i in range(len(held))], name="user")
    schemas = {
        ("city", "member"): Schema(label="y", dense=("price", "age")),
        ("city", "user"): Schema(label="y", dense=("price", "age"), sparse=("city", "user")),
    }
    source = held
    if to_file:
        source = tmp_path / "log.parquet"
        held.to_parquet(source)
    for expected, schema in schemas.items():
        dataset = prepare(source, tmp_path / "out", format=schema)
        assert dataset.column_names[1] == expected
        inputs = Preprocessor.load(tmp_path / "out").transform(held)
        assert (inputs.sparse[:, 1] > 1).all()
    unnamed = shop().to_pandas().sort_values("price")
    assert prepare(unnamed, tmp_path / "out", format=Schema(label="y")).column_names[1] == (
        "price", "age", "city", "member",
    )  # fmt: skip


def test_names_that_are_no_text_are_read_as_text(tmp_path):
    held = pd.DataFrame({0: [0, 1] * 10, 1: ["a", "b", "c", "d"] * 5, ("x", 2): range(20)})
    dataset = prepare(held, tmp_path / "out", format=Schema(label="0"))
    assert dataset.column_names[1] == ("1", "('x', 2)")


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (shop().rename({"y": "z"}), "frame: columns: expected 'y', got z, price"),
        (shop().with_columns(y=pl.lit(2)), "frame:1: field y: expected 0 or 1, got 2"),
        (
            shop().with_columns(price=pl.Series([None, "1.5", "x1"] * 20)),
            "frame:3: field price: expected a finite number or a missing value, got 'x1'",
        ),
        (shop().with_columns(city=pl.Series([["a"]] * 60)), "frame: field city: expected single"),
        (shop()[:0], "frame: expected a click log, got no rows"),
        (shop()[:5], "frame: expected at least 10 rows, got 5"),
        (shop().lazy(), "source: expected paths, or one table of pandas, polars or Arrow, got an "
         "object of the class LazyFrame; call collect() first"),
        ([shop(), shop()], "source: expected paths, or one table of pandas"),
        ({"y": [0, 1]}, "source: expected paths, or one table"),
        (pl.Series([1, 2]), "frame: expected a table of pandas, polars or Arrow, got an object of"),
        (17, "source: expected paths, or one table of pandas, polars or Arrow, got 17"),
        (
            pa.table([[0, 1] * 10, [1] * 20, [2] * 20], names=["y", "a", "a"]),
            "frame: columns: expected column 'a' once, got it twice",
        ),
        (
            shop().to_pandas().assign(city=[1, "x", ["a"]] * 20),
            "frame:3: field city: expected a single value, got an object of the class list",
        ),
    ],
)  # fmt: skip
def test_a_wrong_table_is_one_sentence(tmp_path, table, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        prepare(table, tmp_path / "out", format=Schema(label="y", dense=("price",), sparse=()))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_not_criteos_is_told_of_schemas(tmp_path):
    with pytest.raises(DataError, match="for other tables name a schema"):
        prepare(shop(), tmp_path / "out")


def test_integers_of_128_bits_are_read_exactly(tmp_path):
    values = [2**100 + i % 3 for i in range(60)]
    frame = shop().with_columns(city=pl.Series(values, dtype=pl.Int128))
    dataset = prepare(frame, tmp_path / "out", format=Schema(label="y", sparse=("city",)))
    assert dataset.features.cardinalities == (5,)


def test_a_schema_is_guessed_of_a_table(tmp_path):
    text = guess_schema(shop(300).to_pandas())
    assert '#   prepare(frame, "DIR", format="THIS.toml")' in text
    (tmp_path / "shop.toml").write_text(text)
    schema = Schema.from_toml(tmp_path / "shop.toml")
    assert (schema.label, schema.dense, schema.sparse) == (
        "y",
        ("price",),
        ("age", "city", "member"),
    )
    prepare(shop(300).to_pandas(), tmp_path / "out", format=schema)


ALONE = """
import sys
import polars as pl
from nasrec_opt.data import Preprocessor, Schema, prepare
frame = pl.DataFrame({"y": [0, 1] * 20, "u": ["a", "b", "c", "d"] * 10})
prepare(frame, sys.argv[1], format=Schema(label="y"))
Preprocessor.load(sys.argv[1]).transform(frame)
assert "pandas" not in sys.modules
"""


def test_pandas_is_not_imported_for_other_tables(tmp_path):
    command = [sys.executable, "-c", ALONE, str(tmp_path / "out")]
    subprocess.run(command, check=True, env=environment())
