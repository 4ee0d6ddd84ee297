"""Raw rows in a program are encoded as `prepare` encoded them, bit for bit, whatever holds them."""

from __future__ import annotations

import json
import re
import shutil
from decimal import Decimal
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from conftest import DATA
from data.logs import SMALL, small_table, write_csv, write_parquet
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nasrec_opt import FeatureSpec
from nasrec_opt.data import (
    Dataset,
    Preprocessor,
    Schema,
    generate_log,
    generate_synthetic,
    prepare,
)
from nasrec_opt.data._split import SPLITS, split_of
from nasrec_opt.errors import DataError

SEED = st.integers(0, 2**32 - 1)


def plain(table, schema):
    """Rows of text as a program has them: numbers as numbers, missing values as None."""
    number = int if schema.has_integers else float
    return [
        {
            name: (text or None) if name not in schema.dense else number(text) if text else None
            for name, text in row.items()
        }
        for row in table
    ]


def as_pandas(rows):
    return pl.DataFrame(rows, infer_schema_length=None).to_pandas()


HOLDERS = {
    "dicts": lambda rows: rows,
    "polars": lambda rows: pl.DataFrame(rows, infer_schema_length=None),
    "categorical": lambda rows: pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.col(pl.String).cast(pl.Categorical)
    ),
    "arrow": lambda rows: pa.Table.from_pylist(rows),
    "batch": lambda rows: pa.RecordBatch.from_pylist(rows),
    "pandas": as_pandas,
    "objects": lambda rows: as_pandas(rows).astype(object),
    "text": lambda rows: [
        {name: value if value is None else str(value) for name, value in row.items()}
        for row in rows
    ],
}


def assert_same(inputs, batch):
    for name in ("dense", "sparse"):
        found, expected = getattr(inputs, name), getattr(batch, name)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected, err_msg=name)


def assert_encodes(preprocessor, rows, dataset, seed, holder):
    assert preprocessor.features == dataset.features
    split = split_of(0, len(rows), seed)
    for part, name in enumerate(SPLITS):
        chosen = [row for row, p in zip(rows, split, strict=True) if p == part]
        assert_same(preprocessor.transform(holder(chosen)), dataset.split(name).rows(slice(None)))


@st.composite
def logs(draw):
    """A schema and rows as text, the label first: skewed, missing and rare values."""
    dense = tuple(f"n{i}" for i in range(draw(st.integers(0, 3))))
    sparse = tuple(f"s{i}" for i in range(draw(st.integers(1, 3))))
    has_integers = draw(st.booleans())
    columns = draw(st.permutations(["y", *dense, *sparse, "unused"]))
    schema = Schema(
        label="y",
        dense=dense,
        sparse=sparse,
        columns=tuple(columns) if draw(st.booleans()) else (),
        separator=draw(st.sampled_from("\t,;|")),
        has_integers=has_integers,
        min_count=draw(st.integers(1, 3)),
    )
    rng = np.random.default_rng(draw(SEED))
    rows = draw(st.integers(10, 80))
    table = []
    for i in range(rows):
        values = {"y": str(i % 2), "unused": "x"}
        for name in dense:
            number = rng.integers(-9, 60) if has_integers else rng.normal(0, 20)
            values[name] = "" if rng.random() < 0.2 else str(number)
        for name in sparse:
            values[name] = "" if rng.random() < 0.2 else f"ü {rng.zipf(1.7) % 30}"
        table.append({name: values[name] for name in columns})
    return schema, table


def write_log(path, schema, table):
    write_csv(path, table, separator=schema.separator)
    if schema.columns:
        path.write_text(path.read_text().partition("\n")[2])
    return path


@settings(max_examples=25)
@given(logs(), SEED, st.integers(1, 4), st.booleans(), st.sampled_from(sorted(HOLDERS)))
def test_rows_in_memory_are_encoded_as_the_log_was(
    tmp_path_factory, log, seed, least, is_binned, holder
):
    (schema, table), folder = log, tmp_path_factory.mktemp("log")
    view = {"min_count": least, "binned_dense": is_binned}
    source = write_log(folder / "log.txt", schema, table)
    prepare(source, folder / "out", format=schema, seed=seed)
    dataset = Dataset.open(folder / "out", **view)
    preprocessor = Preprocessor.load(folder / "out", **view)
    rows = plain(table, schema)
    assert_encodes(preprocessor, rows, dataset, seed, HOLDERS[holder])
    whole = preprocessor.transform(HOLDERS[holder](rows))
    for number in range(0, len(rows), 7):  # alone as among others
        alone = preprocessor.transform(rows[number])
        np.testing.assert_array_equal(alone.sparse, whole.sparse[[number]])
        np.testing.assert_array_equal(alone.dense, whole.dense[[number]])
    cut = Preprocessor.load(folder / "out", binned_dense=is_binned).cut_to(dataset.features)
    cut.save(folder / "saved")
    again = Preprocessor.load(folder / "saved", binned_dense=cut.binned_dense)
    assert_same(again.transform(rows), whole)
    [read] = preprocessor.read(source)
    assert_same(read, whole)


@settings(max_examples=25)
@given(logs(), st.booleans())
def test_a_file_of_rows_may_lack_the_label(tmp_path_factory, log, has_label):
    (schema, table), folder = log, tmp_path_factory.mktemp("log")
    prepare(write_log(folder / "log.txt", schema, table), folder / "out", format=schema)
    preprocessor = Preprocessor.load(folder / "out")
    if not has_label:
        table = [{k: v for k, v in row.items() if k != "y"} for row in table]
    expected = preprocessor.transform(plain(table, schema))
    [read] = preprocessor.read(write_log(folder / "rows.txt", schema, table))
    assert_same(read, expected)


LIMIT = 10_000  # rows of a round trip
REAL = {
    "criteo/criteo_sample.txt": "criteo",
    "avazu/avazu_sample.csv": "avazu",
    "frappe/frappe.csv": Schema(label="label"),
}


def assert_round_trip(source, out, holders, **options):
    """Raw rows are encoded as those of the dataset that is made of the same rows."""
    prepare(source, out, **options)
    dataset = Dataset.open(out, min_count=2, binned_dense=True)
    preprocessor = Preprocessor.load(out, min_count=2, binned_dense=True)
    schema = preprocessor.schema
    lines = [line.split(schema.separator) for line in source.read_text().splitlines()]
    columns = schema.columns or lines.pop(0)
    rows = plain([dict(zip(columns, line, strict=True)) for line in lines], schema)
    for holder in holders:
        assert_encodes(preprocessor, rows, dataset, 0, HOLDERS[holder])


@pytest.mark.parametrize("name", REAL)
@pytest.mark.skipif(not DATA.exists(), reason="no real logs here")
def test_real_rows_are_encoded_as_the_log_was(tmp_path, name):
    has_header = name.endswith(".csv")
    with (DATA / name).open() as stream:
        head = list(islice(stream, LIMIT + has_header))
    (tmp_path / "log.txt").write_text("".join(head))
    holders = ("dicts", "polars", "pandas")
    assert_round_trip(tmp_path / "log.txt", tmp_path / "out", holders, format=REAL[name])


@pytest.mark.parametrize("layout", ["default", "published"])
@pytest.mark.parametrize("kind", ["criteo", "avazu", "kdd2012"])
def test_generated_rows_are_encoded_as_the_log_was(tmp_path, kind, layout):
    log = generate_log(tmp_path / "log", like=kind, rows=LIMIT)
    holders = ("dicts", "polars", "pandas") if layout == "default" else ("dicts",)
    options = {"format": kind, "layout": layout, "users": log.users}
    assert_round_trip(log.file, tmp_path / "out", holders, **options)


def test_the_synthetic_log_read_from_its_file_is_the_dataset(tmp_path):
    from nasrec_opt.data._synthetic import write_log as write_synthetic

    write_synthetic(tmp_path / "log.txt", 3000, 0)
    prepare(tmp_path / "log.txt", tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out", binned_dense=True)
    [read] = Preprocessor.load(tmp_path / "out", binned_dense=True).read(tmp_path / "log.txt")
    split = split_of(0, 3000, 0)
    for part, name in enumerate(SPLITS):
        expected = dataset.split(name).rows(slice(None))
        np.testing.assert_array_equal(read.sparse[split == part], expected.sparse)
        np.testing.assert_array_equal(read.dense[split == part], expected.dense)


def test_a_row_alone_is_encoded_as_among_many(tmp_path):
    generate_synthetic(tmp_path / "log", rows=2000)
    preprocessor = Preprocessor.load(tmp_path / "log", min_count=2, binned_dense=True)
    rng, known = np.random.default_rng(0), preprocessor.example()
    rows = [
        {
            name: None
            if rng.random() < 0.2
            else value
            if rng.random() < 0.3
            else f"{rng.integers(99)}"
            for name, value in known.items()
        }
        | {f"I{i}": None if rng.random() < 0.2 else int(rng.lognormal(3, 3)) for i in range(1, 14)}
        for _ in range(300)
    ]
    many = preprocessor.transform(rows)
    alone = [preprocessor.transform(row) for row in rows]
    np.testing.assert_array_equal(np.concatenate([one.dense for one in alone]), many.dense)
    np.testing.assert_array_equal(np.concatenate([one.sparse for one in alone]), many.sparse)
    assert {0, 1, 2} < set(many.sparse.ravel())


def typed_log(path, *, as_text):
    """Categories that are numbers, as a CSV or as Parquet with types."""
    frame = pl.DataFrame(
        {
            "y": [0, 1] * 50,
            "whole": [i % 7 for i in range(100)],
            "part": [i % 5 + 0.5 * (i % 2) for i in range(100)],
            "flag": [i % 3 == 0 for i in range(100)],
            "price": [i / 8 for i in range(100)],
        }
    )
    if as_text == "pandas":  # integers that had a missing value, booleans as Python prints them
        frame.to_pandas().astype({"whole": float}).to_csv(path, index=False)
    elif as_text:
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    return frame


@pytest.mark.parametrize("as_text", [True, False, "pandas"])
@pytest.mark.parametrize("holder", ["dicts", "polars", "pandas", "floats", "parquet"])
def test_numbers_among_categories_are_found_in_either_spelling(tmp_path, as_text, holder):
    frame = typed_log(tmp_path / "log", as_text=as_text)
    schema = Schema(label="y", dense=("price",))
    (tmp_path / "log").rename(tmp_path / ("log.csv" if as_text else "log.parquet"))
    source = next(tmp_path.glob("log.*"))
    dataset = prepare(source, tmp_path / "out", format=schema)
    preprocessor = Preprocessor.load(tmp_path / "out")
    floats = frame.with_columns(pl.col("whole").cast(pl.Float64))
    if holder == "parquet":
        floats.write_parquet(tmp_path / "rows.parquet")
        [found] = preprocessor.read(tmp_path / "rows.parquet")
    else:
        held = {
            "dicts": frame.to_dicts(),
            "polars": frame,
            "pandas": frame.to_pandas(),
            "floats": floats.to_pandas(),
        }
        found = preprocessor.transform(held[holder])
    train = found.sparse[split_of(0, 100, 0) == 0]
    np.testing.assert_array_equal(train, dataset.split("train").rows(slice(None)).sparse)
    assert (train > 1).all()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    prepare(write_csv(folder / "log.csv", small_table(300, 1)), folder / "out", format=SMALL)
    return folder


ROW = {"a": 3.0, "b": -1.5, "u": "ü1", "v": "v 2"}


def test_what_no_training_row_had_is_rare_and_what_is_missing_is_missing(small):
    preprocessor = Preprocessor.load(small / "out", binned_dense=True)
    rows = [ROW | {"u": "never seen"}, ROW | {"u": None, "v": ""}, ROW | {"a": float("nan")}]
    dense, sparse = preprocessor.transform(rows)
    assert sparse[:, 0].tolist()[:2] == [0, 1]
    assert sparse[1, 1] == 1
    assert sparse[2, 2] == 1
    assert dense[2, 0] == 0.0
    far = preprocessor.transform([ROW | {"a": -1e9}, ROW | {"a": 1e300}])
    assert far.dense[0, 0] == 0.0  # as the smallest value of the training rows
    assert np.isfinite(far.dense).all()
    assert far.sparse[:, 2].tolist() == [0, 0]


def test_no_rows_are_no_rows(small):
    preprocessor = Preprocessor.load(small / "out")
    empty = pl.DataFrame(schema={"a": pl.Float64, "b": pl.Float64, "u": pl.String, "v": pl.String})
    for rows in ([], empty, empty.to_pandas(), empty.to_arrow()):
        dense, sparse = preprocessor.transform(rows)
        assert (dense.shape, sparse.shape) == ((0, 2), (0, 2))


def without(row, name):
    return {key: value for key, value in row.items() if key != name}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (without(ROW, "u"), "rows:1: expected a column 'u', got a, b, v"),
        ([ROW, without(ROW, "a")], "rows:2: expected a column 'a', got b, u, v"),
        (pl.DataFrame([without(ROW, "v")]), "rows: expected a column 'v', got a, b, u"),
        ([ROW, ROW | {"a": "x1"}], "rows:2: field a: expected a finite number or a missing value"),
        ([ROW, ROW | {"b": float("inf")}], "rows:2: field b: expected a finite number"),
        (ROW | {"a": [1.0]}, "rows: field a: expected numbers, got list"),
        (ROW | {"v": ["x", "y"]}, "rows: field v: expected single values, got list"),
        ([ROW, ROW | {"v": {"x": 1}}], "rows:2: field v: expected a single value, got an object"),
        (ROW | {"u": "\ud800"}, "rows:1: field u: expected text, got half of a surrogate pair"),
        ([ROW, 5], "rows:2: expected a dict, got 5"),
        ("a,b,u,v", "rows: expected a dict, a list of dicts, or a table of pandas"),
        (None, "rows: expected a dict"),
        (np.zeros((3, 4)), "rows: expected a dict"),
        (pl.DataFrame([ROW]).with_columns(pl.Series("u", [b"\xff"])), "UTF-8 text, got byte 0xff"),
    ],
)
def test_wrong_rows_are_one_sentence(small, rows, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        Preprocessor.load(small / "out").transform(rows)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [1.5, "1.5", 2**70, "x", True])
def test_integers_of_a_log_stay_integers(tmp_path, value):
    generate_synthetic(tmp_path / "log", rows=200)
    preprocessor = Preprocessor.load(tmp_path / "log")
    row = dict.fromkeys(preprocessor.schema.used(has_label=False))
    if value is True:  # a flag is 0 or 1
        assert preprocessor.transform(row | {"I1": True}).dense[0, 0] > 0
        return
    with pytest.raises(DataError, match="rows:1: field I1: expected an integer"):
        preprocessor.transform(row | {"I1": value})


VALUE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=3)
    | st.lists(st.integers(), max_size=2)
    | st.dates()
    | st.decimals()
)


@settings(max_examples=200)
@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys("abuv", VALUE)), max_size=4))
@example(rows=[dict.fromkeys("abuv", True), dict.fromkeys("abuv", Decimal("sNaN"))])
@example(rows=[dict.fromkeys("abuv", "x"), dict.fromkeys("abuv", np.zeros(2))])
def test_any_rows_are_encoded_or_are_one_sentence(small, rows):
    preprocessor = Preprocessor.load(small / "out", binned_dense=True)
    said, inputs = "rows", None
    try:
        inputs = preprocessor.transform(rows)
    except DataError as error:
        said = str(error)
    assert said.startswith("rows")
    assert "\n" not in said
    if inputs is not None:
        assert np.isfinite(inputs.dense).all()
        assert (inputs.sparse >= 0).all()
        assert (inputs.sparse < preprocessor.features.cardinalities).all()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b,u\n1,2,x\n", "rows.csv: expected a column 'v', got a, b, u"),
        ("a,b,u,v\n1,2,x,y\n1,z,x,y\n", "rows.csv:3: field b: expected a finite number"),
        ("a,b,u,v\n1,2,x\n", "rows.csv:2: expected 4 columns"),
        ("a,b,u,v\n", "rows.csv: expected a click log, got no row below the header"),
        ("a,b,u,v,v\n1,2,x,y,y\n", "rows.csv: expected column 'v' once, got it twice"),
        ("", "rows.csv: expected a header line, got an empty file"),
    ],
)
def test_a_wrong_file_is_one_sentence(small, tmp_path, text, sentence):
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(DataError, match=re.escape(sentence)):
        list(Preprocessor.load(small / "out").read(tmp_path / "rows.csv"))


def test_a_parquet_file_may_lack_the_label(small, tmp_path):
    table = small_table(50, 9)
    write_parquet(tmp_path / "with.parquet", table)
    pl.read_parquet(tmp_path / "with.parquet").drop("y").write_parquet(tmp_path / "rows.parquet")
    preprocessor = Preprocessor.load(small / "out")
    [expected] = preprocessor.read(write_csv(tmp_path / "rows.csv", table))
    for name in ("with.parquet", "rows.parquet"):
        [found] = preprocessor.read(tmp_path / name)
        assert_same(found, expected)


def changed(small: Path, tmp_path: Path, **values) -> Path:
    shutil.copytree(small / "out", tmp_path / "out")
    file = tmp_path / "out" / "dataset.json"
    meta = json.loads(file.read_text()) | values
    file.write_text(json.dumps({k: v for k, v in meta.items() if v is not ...}))
    return tmp_path / "out"


def test_a_dataset_of_an_older_version_has_one_too(small, tmp_path):
    old = changed(small, tmp_path, dense_minima=...)
    rows = plain(small_table(100, 5), SMALL)
    expected = Preprocessor.load(small / "out", binned_dense=True).transform(rows)
    found = Preprocessor.load(old, binned_dense=True).transform(rows)
    np.testing.assert_array_equal(found.sparse, expected.sparse)
    np.testing.assert_allclose(found.dense, expected.dense, rtol=1e-6)
    again = changed(small, tmp_path / "again", schema=...)
    with pytest.raises(DataError, match="got no 'schema'; if an older version made it, prepare"):
        Preprocessor.load(again)


@pytest.mark.parametrize(
    ("content", "sentence"), [(None, "No such file"), (b"", "Parquet"), (b"PAR1xx", "Parquet")]
)
def test_a_damaged_vocabulary_is_one_sentence(small, tmp_path, content, sentence):
    out = changed(small, tmp_path)
    file = out / "vocabularies" / "001.parquet"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(DataError, match=r"001\.parquet: expected a vocabulary in Parquet, got: "):
        Preprocessor.load(out)


def test_a_vocabulary_of_another_log_is_refused(small, tmp_path):
    out = changed(small, tmp_path, cardinalities=[9, 9, 9, 9])
    with pytest.raises(DataError, match=r"000\.parquet: expected a vocabulary of 9 ids, got"):
        Preprocessor.load(out)


def test_a_model_of_another_log_is_refused(small):
    preprocessor = Preprocessor.load(small / "out")
    sizes = preprocessor.features.cardinalities
    with pytest.raises(DataError, match="got one of 3 and 2"):
        preprocessor.cut_to(FeatureSpec(3, sizes))
    with pytest.raises(DataError, match="sparse column 2, got 999: it was trained on another log"):
        preprocessor.cut_to(FeatureSpec(2, (sizes[0], 999)))


def test_a_folder_of_something_else_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"found neither dataset\.json nor preprocessor\.json"):
        Preprocessor.load(tmp_path)
    (tmp_path / "preprocessor.json").write_text("{")
    with pytest.raises(DataError, match=r"preprocessor\.json: expected a description in JSON"):
        Preprocessor.load(tmp_path)
    with pytest.raises(DataError, match="min_count: expected 1 or more, got 0"):
        Preprocessor.load(tmp_path, min_count=0)
