"""Values of every type of Arrow are read exactly, or are refused in one sentence.

What they are read as is said twice: here, in Python, and by the library. A log of the types has to
become the same dataset as a log of the numbers and texts that this file makes of them.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from data.logs import arrays
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from nasrec_opt.data import Column, Dataset, Preprocessor, Schema, prepare
from nasrec_opt.errors import DataError

ROWS = 20
PLAIN = [f"u{i % 3}" for i in range(ROWS)]
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
DAY, EPOCH = 86_400, datetime.datetime(1970, 1, 1)


@dataclass(frozen=True)
class Kind:
    """A type of Arrow.

    Args:
        arrow: The type.
        values: Numbers of which `array` makes values.
        number: What a value is as a number; None where it is none.
        text: What it is as text.
        array: Makes an array of values with None.
    """

    arrow: pa.DataType
    values: st.SearchStrategy
    number: Callable[[Any], float | None] | None
    text: Callable[[Any], str | None]
    array: Callable[[list, pa.DataType], pa.Array] = pa.array


def cast(values: list, kind: pa.DataType) -> pa.Array:
    """Ticks as times."""
    width = pa.int32() if kind.bit_width == 32 else pa.int64()
    return pa.array(values, width).cast(kind)


def digits(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(ticks: int, per_second: int, form: str) -> str:
    """A time in ISO 8601 without zeros at the end of its fraction."""
    seconds, rest = divmod(ticks, per_second)
    whole = (EPOCH + datetime.timedelta(seconds=seconds)).strftime(form)
    return whole + (f".{rest:0{len(str(per_second)) - 1}d}".rstrip("0") if rest else "")


def integers(name: str) -> Kind:
    kind = getattr(pa, name)()
    bits = kind.bit_width
    low, high = (0, 2**bits) if name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return Kind(kind, st.integers(low, high - 1), float, str)


def real(width: int) -> Kind:
    kinds = {16: pa.float16(), 32: pa.float32(), 64: pa.float64()}
    numbers = {16: np.float16, 32: np.float32, 64: np.float64}
    values = st.floats(width=width, allow_infinity=False) if width > 16 else st.floats(
        -60000, 60000, width=16
    ) | st.just(math.nan)  # fmt: skip
    own = np.float32 if width == 16 else numbers[width]

    def text(value: float) -> str | None:
        if math.isnan(value):
            return None
        return pl.Series([own(value)], dtype=pl.Float64 if width == 64 else pl.Float32).cast(
            pl.String
        )[0]

    return Kind(
        kinds[width],
        values,
        lambda v: None if math.isnan(v) else float(v),
        text,
        lambda vs, kind: pa.array([None if v is None else numbers[width](v) for v in vs], kind),
    )


def decimals(kind: pa.DataType) -> Kind:
    most = 10 ** min(kind.precision, 30) - 1
    values = st.integers(-most, most) | st.integers(-200, 200)
    return Kind(
        kind,
        values.map(lambda v: Decimal(v).scaleb(-kind.scale, context=WIDE)),
        lambda v: float(pa.array([v], kind).cast(pa.float64())[0].as_py()),
        digits,
    )


def words(kind: pa.DataType) -> Kind:
    values = st.sampled_from(["", "a", "ü", " b", "5.0", "true", 'x\n,"'])
    return Kind(kind, values, None, lambda v: v or None)


def numbers_as(kind: pa.DataType) -> Kind:
    return Kind(kind, st.integers(-5, 5).map(str), float, str)


WIDE = Context(prec=80)
KINDS = {
    **{name: integers(name) for n in (8, 16, 32, 64) for name in (f"int{n}", f"uint{n}")},
    **{f"float{n}": real(n) for n in (16, 32, 64)},
    **{
        str(kind): decimals(kind)
        for kind in (
            pa.decimal32(5, 2), pa.decimal64(12, 2), pa.decimal128(38, 0), pa.decimal128(38, 9),
            pa.decimal128(5, -2), pa.decimal256(76, 2), pa.decimal256(40, 20),
        )
    },
    "bool": Kind(pa.bool_(), st.booleans(), float, lambda v: str(v).lower()),
    "null": Kind(pa.null(), st.none(), float, str),
    "string": words(pa.string()),
    "large_string": words(pa.large_string()),
    "string_view": words(pa.string_view()),
    "numbers as text": numbers_as(pa.string()),
    "numbers as large text": numbers_as(pa.large_string()),
    "numbers as views": numbers_as(pa.string_view()),
    "date32": Kind(
        pa.date32(), st.integers(-100_000, 2_000_000), float,
        lambda v: moment(v * DAY, 1, "%Y-%m-%d"), cast,
    ),
    "date64": Kind(
        pa.date64(), st.integers(-100_000, 2_000_000).map(lambda v: v * DAY * 1000),
        lambda v: v / (DAY * 1000), lambda v: moment(v // 1000, 1, "%Y-%m-%d"), cast,
    ),
    **{
        f"time in {unit}": Kind(
            pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit),
            st.integers(0, DAY * per - 1) | st.integers(0, DAY - 1).map(lambda v, per=per: v * per),
            lambda v, per=per: v / per, lambda v, per=per: moment(v, per, "%H:%M:%S"), cast,
        )
        for unit, per in UNITS.items()
    },
    **{
        f"timestamp in {unit}{zone or ''}": Kind(
            pa.timestamp(unit, zone),
            st.integers(-3 * 10**9, 6 * 10**9).flatmap(
                lambda v, per=per: st.integers(v * per, v * per + per - 1) | st.just(v * per)
            ),
            lambda v, per=per: float(v) / per,
            lambda v, per=per: moment(v, per, "%Y-%m-%d %H:%M:%S"), cast,
        )
        for unit, per in UNITS.items()
        for zone in (None, "Europe/Berlin", "+05:30")
    },
    **{
        f"duration in {unit}": Kind(
            pa.duration(unit), st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(-3, 3),
            lambda v, per=per: float(v) / per,
            lambda v, unit=unit: digits(Decimal(v).scaleb(-len(str(UNITS[unit])) + 1)), cast,
        )
        for unit, per in UNITS.items()
    },
}  # fmt: skip
REFUSED = {
    "list": pa.array([[1], []] * 10),
    "list of text": pa.array([["a"], ["b", "c"]] * 10),
    "large list": pa.array([[1], []] * 10, pa.large_list(pa.int8())),
    "fixed list": pa.array([[1, 2]] * 20, pa.list_(pa.int8(), 2)),
    "struct": pa.array([{"a": 1}] * 20),
    "map": pa.array([[("a", 1)]] * 20, pa.map_(pa.string(), pa.int8())),
    "interval": pa.array([pa.MonthDayNano([1, 2, 3])] * 20),
    "fixed binary": pa.array([b"ab"] * 20, pa.binary(2)),
}
WRAPPED = ("", "dictionary", "runs")
SCHEMAS = {
    "dense": Schema(label="y", dense=("x",), sparse=("u",)),
    "sparse": Schema(label="y", sparse=("u", "x")),
    "weight": Schema(label="y", sparse=("u",), weight="x"),
    "label": Schema(label="x", sparse=("u",)),
    "above": Schema(label="x", above=0.0, sparse=("u",)),
    "time": Schema(label="y", sparse=("u",), time="x"),
    "parts": Schema(
        label="y", sparse=("u",), options=(Column(name="x", parts=("year", "minute")),)
    ),
}
HOLDERS = ("file", "arrow", "folder", "frame")


def held(folder: Path, holder: str, table: pa.Table) -> Any:
    """A table where a user may have it."""
    if holder == "frame":
        return table
    if holder == "folder":
        (folder / "days").mkdir()
        pq.write_table(table[: ROWS // 2], folder / "days" / "day_1.parquet")
        pq.write_table(table[ROWS // 2 :], folder / "days" / "day_2.parquet")
        return folder / "days"
    if holder == "file":
        pq.write_table(table, folder / "log.parquet")
    else:
        with pa.ipc.new_file(folder / "log.parquet", table.schema) as writer:
            writer.write_table(table)
    return folder / "log.parquet"


def wrapped(values: pa.Array, how: str) -> pa.Array:
    if how == "dictionary" and not pa.types.is_null(values.type):
        try:
            return values.dictionary_encode()
        except pa.ArrowNotImplementedError:
            return values
    if how == "runs":
        try:
            return pa.compute.run_end_encode(values)
        except pa.ArrowNotImplementedError:
            return values
    return values


def outcome(source: Any, out: Path, schema: Schema) -> tuple[Dataset | None, str]:
    try:
        return prepare(source, out, format=schema), ""
    except DataError as error:
        assert not out.exists()
        return None, str(error)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_values_of_every_type_are_read_exactly(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("log")
    kind = KINDS[data.draw(st.sampled_from(sorted(KINDS)))]
    role = data.draw(st.sampled_from(sorted(SCHEMAS)))
    holder = data.draw(st.sampled_from(HOLDERS))
    how = data.draw(st.sampled_from(WRAPPED if holder in ("arrow", "frame") else WRAPPED[:2]))
    pool = data.draw(st.lists(st.none() | kind.values, min_size=1, max_size=8))
    values = [pool[i % len(pool)] for i in range(ROWS)]
    array = wrapped(kind.array(values, kind.arrow), how)
    others = {"y": pa.array([i % 2 for i in range(ROWS)]), "u": pa.array(PLAIN)}
    schema = SCHEMAS[role]
    is_text = role in ("sparse", "time", "parts")
    is_time = pa.types.is_temporal(kind.arrow)
    try:
        source = held(folder, holder, pa.table(others | {"x": array}))
    except (OSError, pa.ArrowNotImplementedError):  # negative scales, dictionaries of views
        reject()
    found, said = outcome(source, folder / "out", schema)
    number = kind.number or {"5.0": 5.0}.get  # of words, the one that is a number
    if (kind.number is None and not is_text and any(v and number(v) is None for v in values)) or (
        role == "label" and is_time
    ):
        assert found is None
        assert "field x: expected" in said
        return
    if is_text:
        plain = pa.array([None if v is None else kind.text(v) for v in values], pa.string())
    else:
        plain = pa.array([None if v is None else number(v) for v in values], pa.float64())
    expected, reason = outcome(pa.table(others | {"x": plain}), folder / "plain", schema)
    assert "\n" not in said
    if expected is None:  # too few times, a label that is none, a negative weight
        assert found is None, reason
        assert said.partition(" expected ")[0].count(":") == reason.partition(" expected ")[
            0
        ].count(":")
        return
    assert found is not None, said
    for name, array in arrays(expected).items():
        np.testing.assert_array_equal(arrays(found)[name], array, err_msg=name)
    tables = [Preprocessor.load(folder / name)._vocabularies for name in ("out", "plain")]
    for one, other in zip(*tables, strict=True):
        assert one.table.equals(other.table)


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_by_column_and_type(tmp_path, name, holder):
    table = pa.table({"y": [0, 1] * 10, "u": PLAIN, "x": REFUSED[name]})
    try:
        source = held(tmp_path, holder, table)
    except pa.ArrowException:  # Parquet has no intervals
        pytest.skip("no such file")
    for role, schema in SCHEMAS.items():
        found, said = outcome(source, tmp_path / "out", schema)
        assert found is None
        expected = "single values" if role in ("sparse", "time", "parts") else "numbers"
        kind = str(REFUSED[name].type).partition("<")[0]
        assert f"field x: expected {expected}, got {kind}" in said
        assert "\n" not in said


@pytest.mark.parametrize("unit", UNITS)
def test_a_category_is_found_in_any_unit_and_scale(tmp_path, unit):
    """Libraries store the same time or price in several ways."""
    rows = [i % 5 for i in range(ROWS)]
    table = {
        "y": [i % 2 for i in range(ROWS)],
        "when": pa.array([1_700_000_000 + i for i in rows], pa.timestamp("s")).cast(
            pa.timestamp(unit)
        ),
        "took": pa.array(rows, pa.duration("s")).cast(pa.duration(unit)),
        "price": pa.array([Decimal(i) / 2 for i in rows], pa.decimal128(9, 3)),
    }
    prepare(pa.table(table), tmp_path / "out", format=Schema(label="y"))
    preprocessor = Preprocessor.load(tmp_path / "out")
    expected = preprocessor.transform(pa.table(table)).sparse
    assert expected.min() > 1
    row = [
        {
            "when": datetime.datetime.fromtimestamp(1_700_000_000 + i, datetime.UTC).replace(
                tzinfo=None
            ),
            "took": datetime.timedelta(seconds=i),
            "price": Decimal(i) / 2,
        }
        for i in rows
    ]
    np.testing.assert_array_equal(preprocessor.transform(row).sparse, expected)
    np.testing.assert_array_equal(preprocessor.transform(pl.DataFrame(row)).sparse, expected)
    feather.write_feather(pl.DataFrame(row).to_arrow(), tmp_path / "rows.feather")
    [read] = preprocessor.read(tmp_path / "rows.feather")
    np.testing.assert_array_equal(read.sparse, expected)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view()])
def test_entries_of_a_dictionary_may_be_views(tmp_path, kind):
    """Arrow itself takes no views by their index."""
    entries = pa.array(["7", "8"]).cast(kind)
    codes = pa.array([1, 0, None, 1] * 10, pa.int32())
    table = pa.table({"label": [0, 1] * 20, "x": pa.DictionaryArray.from_arrays(codes, entries)})
    plain = table.set_column(1, "x", pa.array(["8", "7", None, "8"] * 10))
    schema = Schema(label="label", dense=(), sparse=("x",))
    found, expected = (
        prepare(given, tmp_path / name, format=schema, min_count=1)
        for name, given in (("views", table), ("plain", plain))
    )
    for name, values in arrays(expected).items():
        np.testing.assert_array_equal(arrays(found)[name], values)
