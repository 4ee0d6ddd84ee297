"""Every type of Arrow is read from Parquet as label, dense and category, or refused by its name."""

from __future__ import annotations

import datetime
import decimal
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data.logs import arrays
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.data import Dataset, Schema, prepare
from nasrec_opt.data._split import split_of
from nasrec_opt.errors import DataError

ROWS = 60
DAY = datetime.date(2024, 2, 28)
NOON = datetime.datetime(2024, 2, 28, 12, 30, 15)
SECONDS = datetime.timedelta(seconds=1)
NUMBERS = {
    "uint64": (pa.uint64(), [0, 1, 2**64 - 1]),
    "int8": (pa.int8(), [-128, 0, 1]),
    "float16": (pa.float16(), [np.float16("nan"), np.float16(0.5), np.float16(1)]),
    "float32": (pa.float32(), [math.nan, 0.5, 1.0]),
    "decimal32": (pa.decimal32(5, 2), [decimal.Decimal("0.50"), decimal.Decimal(1)]),
    "decimal64": (pa.decimal64(12, 2), [decimal.Decimal("0.50"), decimal.Decimal(1)]),
    "decimal128": (pa.decimal128(38, 2), [decimal.Decimal("0.50"), decimal.Decimal(1)]),
    "decimal256": (pa.decimal256(76, 2), [decimal.Decimal("0.50"), decimal.Decimal(10**70)]),
    "bool": (pa.bool_(), [False, True]),
    "null": (pa.null(), [None]),
    "text of numbers": (pa.string_view(), ["0", "1", ""]),
    "large text of numbers": (pa.large_string(), ["0", "1.5"]),
    "bytes of numbers": (pa.binary(), [b"0", b"1"]),
    "dictionary of numbers": (pa.dictionary(pa.int8(), pa.int64()), [3, 4]),
    "dictionary of decimals": (
        pa.dictionary(pa.int8(), pa.decimal128(9, 1)),
        [decimal.Decimal("0.5"), decimal.Decimal(1)],
    ),
    "bool8": (pa.bool8(), [0, 1]),
    "opaque": (pa.opaque(pa.int32(), "number", "somebody"), [3, 4]),
}
CATEGORIES = {
    "string": (pa.string(), ["a", "b", ""]),
    "large_string": (pa.large_string(), ["a", "b", ""]),
    "string_view": (pa.string_view(), ["a", "b", ""]),
    "binary": (pa.binary(), [b"a", "ü".encode(), b""]),
    "large_binary": (pa.large_binary(), [b"a", b"b"]),
    "binary_view": (pa.binary_view(), [b"a", b"b"]),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), ["a", "b"]),
    "dictionary of bytes": (pa.dictionary(pa.int16(), pa.binary()), [b"a", b"b"]),
    "json": (pa.json_(), ['{"a": 1}', "[]"]),
    "date32": (pa.date32(), [DAY, DAY.replace(year=1)]),
    "date64": (pa.date64(), [DAY, DAY.replace(year=1999)]),
    "time32": (pa.time32("s"), [NOON.time(), datetime.time(1)]),
    "time64": (pa.time64("ns"), [NOON.time(), datetime.time(1)]),
    "timestamp": (pa.timestamp("us"), [NOON, NOON.replace(year=1)]),
    "timestamp in ns": (pa.timestamp("ns"), [NOON, NOON.replace(year=1999)]),
    "timestamp in a zone": (pa.timestamp("ms", "Europe/Berlin"), [NOON, NOON.replace(hour=0)]),
    "timestamp nowhere": (pa.timestamp("ms", "Nowhere/Atall"), [NOON, NOON.replace(hour=0)]),
    "duration": (pa.duration("ms"), [SECONDS, 2 * SECONDS]),
    "duration in ns": (pa.duration("ns"), [SECONDS, -2 * SECONDS]),
}
REFUSED = {
    "list": (pa.list_(pa.int32()), [[1], []]),
    "large_list": (pa.large_list(pa.int32()), [[1], []]),
    "fixed_size_list": (pa.list_(pa.int32(), 2), [[1, 2], [3, 4]]),
    "list_view": (pa.list_view(pa.int32()), [[1], []]),
    "struct": (pa.struct([("a", pa.int32())]), [{"a": 1}, {"a": 2}]),
    "map": (pa.map_(pa.string(), pa.int32()), [[("a", 1)], []]),
    "fixed_size_binary": (pa.binary(4), [b"abcd", b"efgh"]),
    "uuid": (pa.uuid(), [b"0123456789abcdef", b"fedcba9876543210"]),
}
EVERY = NUMBERS | CATEGORIES | REFUSED
TIMES = {name for name, (kind, _) in CATEGORIES.items() if pa.types.is_temporal(kind)}


def column(kind: pa.DataType, values: list, places: list[int]) -> pa.Array:
    """Values of a type at places: -1 is null."""
    chosen = [None if i < 0 else values[i % len(values)] for i in places]
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(chosen, kind.storage_type))
    if isinstance(kind, pa.DictionaryType):
        return pa.array(chosen, kind.value_type).dictionary_encode().cast(kind)
    if isinstance(kind, pa.TimestampType) and kind.tz:
        return pa.array(chosen, pa.timestamp(kind.unit)).cast(pa.int64()).cast(kind)
    return pa.array(chosen, kind)


def log(path, name: str, role: str, places: list[int] | None = None):
    """A log with a column `x` of a type, and the schema in which it has a role."""
    places = places if places is not None else [i % 4 - 1 for i in range(ROWS)]
    table = {
        "y": pa.array([i % 2 for i in range(ROWS)]),
        "u": pa.array([f"u{i % 3}" for i in range(ROWS)]),
        "x": column(*EVERY[name], places),
    }
    pq.write_table(pa.table(table), path)
    schemas = {
        "label": Schema(label="x", sparse=("u",)),
        "dense": Schema(label="y", dense=("x",), sparse=("u",)),
        "sparse": Schema(label="y", sparse=("u", "x")),
    }
    return path, schemas[role]


def missing(name: str, place: int) -> bool:
    values = EVERY[name][1]
    value = None if place < 0 else values[place % len(values)]
    return (
        value is None
        or value in ("", b"")
        or (isinstance(value, float | np.float16) and np.isnan(value))
    )


@pytest.mark.parametrize("role", ["label", "dense", "sparse"])
@pytest.mark.parametrize("name", EVERY)
def test_every_type_is_read_or_refused_by_column_and_type(tmp_path, name, role):
    source, schema = log(tmp_path / "log.parquet", name, role)
    try:
        dataset = prepare(source, tmp_path / "out", format=schema)
    except DataError as error:
        sentence = str(error).removeprefix(f"{source}:")
        assert "field x: expected" in sentence
        assert "\n" not in sentence
        assert len(sentence) < 200
        assert not (tmp_path / "out").exists()
        is_text = name in CATEGORIES and name not in TIMES
        is_refused = name in REFUSED or (role != "sparse" and is_text) or role == "label"
        assert is_refused, sentence
        return
    assert isinstance(dataset, Dataset)
    assert name in NUMBERS or (role == "sparse" and name in CATEGORIES) or name in TIMES


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(NUMBERS | CATEGORIES)),
    places=st.lists(st.integers(-1, 2), min_size=ROWS, max_size=ROWS),
)
def test_rows_share_a_category_where_they_share_a_value(tmp_path_factory, name, places):
    folder = tmp_path_factory.mktemp("log")
    source, schema = log(folder / "log.parquet", name, "sparse", places)
    dataset = prepare(source, folder / "out", format=schema)
    batch = dataset.split("train").rows(slice(None))
    ids = batch.sparse[:, 1].tolist()
    kept = [
        place
        for place, part in zip(places, split_of(0, ROWS, 0).tolist(), strict=True)
        if part == 0
    ]
    values = EVERY[name][1]
    seen: dict[object, int] = {}
    for place, found in zip(kept, ids, strict=True):
        if missing(name, place):
            assert found == 1
        else:
            key = place % len(values)
            assert seen.setdefault(key, found) == found
            assert found > 1
    assert len(set(seen.values())) == len(seen)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_every_type_are_those_of_float64(tmp_path, name):
    values = NUMBERS[name][1]
    source, schema = log(tmp_path / "log.parquet", name, "dense")
    found = arrays(prepare(source, tmp_path / "out", format=schema))
    plain = [None if v is None or v in ("", b"") else float(v) for v in values]
    places = [i % 4 - 1 for i in range(ROWS)]
    EVERY["plain"] = (pa.float64(), plain)
    try:
        other, schema = log(tmp_path / "plain.parquet", "plain", "dense", places)
        expected = arrays(prepare(other, tmp_path / "plain", format=schema))
    finally:
        del EVERY["plain"]
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array)


@pytest.mark.parametrize(
    ("kind", "number"), [(pa.decimal128(3, 1), decimal.Decimal), (pa.float16(), np.float16)]
)
def test_labels_of_rarer_types_are_clicks(tmp_path, kind, number):
    clicks = pa.array([number(i % 2) for i in range(ROWS)], kind)
    table = pa.table({"y": clicks, "u": ["a", "b", "c"] * (ROWS // 3)})
    pq.write_table(table, tmp_path / "log.pq")  # known by its first bytes, not by its name
    dataset = prepare(tmp_path / "log.pq", tmp_path / "out", format=Schema(label="y"))
    assert sum(dataset.meta["clicks"].values()) == ROWS // 2
