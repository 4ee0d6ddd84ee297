"""Columns that a schema derives are those of plain Python, in the log and in served rows alike."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from data.logs import arrays
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nasrec_opt.data import Column, Dataset, Preprocessor, Schema, prepare
from nasrec_opt.data._dates import PARTS, part_of, seconds_of
from nasrec_opt.data._hashing import hashed, remainders
from nasrec_opt.data._sketch import Sketch
from nasrec_opt.data._split import SPLITS, TimeCounter, split_of
from nasrec_opt.errors import DataError

ROWS = 400
TOML = """
dense = ["age", "clipped"]
weight = "weight"
dropped = ["id"]

[label]
column = "rating"
above = 3

[columns.price]
transform = "standard"

[columns.raw]
transform = "none"

[columns.old]
transform = "published"

[columns.clipped]
clip = [0, 20]

[columns.binned]
bins = 4

[columns.user]
hashed = 50

[columns.hex]
modulo = 97
base = 16

[columns.when]
format = "%y%m%d%H"
parts = ["hour", "weekday"]

[columns.seen]
last = 2
separator = "|"
"""


def table(rows: int = ROWS, seed: int = 0) -> list[dict[str, str]]:
    """Rows as text, with missing values in every column of features."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(rows):
        row = {
            "id": str(i),
            "rating": str(rng.integers(1, 6)),
            "weight": f"{rng.random():.3f}",
            "age": str(rng.integers(-3, 60)),
            "price": f"{rng.lognormal():.3f}",
            "raw": f"{rng.normal():.3f}",
            "old": str(rng.integers(-5, 50)),
            "clipped": str(rng.integers(-9, 60)),
            "binned": str(rng.integers(0, 30)),
            "city": f"ü{rng.zipf(1.7) % 20}",
            "user": f"user {rng.integers(0, 300)}",
            "hex": f"{rng.integers(0, 2**32):08x}",
            "when": f"2410{rng.integers(1, 29):02}{rng.integers(0, 24):02}",
            "seen": "|".join(map(str, rng.integers(0, 5, rng.integers(0, 4)))),
        }
        for name in [*row][3:]:
            row[name] = "" if rng.random() < 0.1 else row[name]
        found.append(row)
    return found


def python_hash(text: str, size: int) -> int:
    """FNV-1a of 64 bits, and the last step of MurmurHash3."""
    found = 0xCBF29CE484222325
    for byte in text.encode():
        found = ((found ^ byte) * 0x100000001B3) % 2**64
    found = ((found ^ found >> 33) * 0xFF51AFD7ED558CCD) % 2**64
    found = ((found ^ found >> 33) * 0xC4CEB9FE1A85EC53) % 2**64
    return (found ^ found >> 33) % size


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("derived")
    rows = table()
    pl.DataFrame(rows).write_csv(folder / "log.csv")
    (folder / "log.toml").write_text(TOML)
    prepare(folder / "log.csv", folder / "out", format=folder / "log.toml")
    return folder, rows


def served(rows):
    """Raw rows as a program has them."""
    numbers = ("age", "price", "raw", "old", "clipped", "binned")
    return [
        {k: (float(v) if k in numbers else v) if v else None for k, v in row.items()}
        for row in rows
    ]


def test_every_derived_column_is_what_python_makes_of_it(prepared):
    folder, rows = prepared
    dataset = Dataset.open(folder / "out")
    assert dataset.column_names == (
        ("age", "clipped", "price", "raw", "old"),
        ("city", "user", "hex", "when.hour", "when.weekday", "seen.1", "seen.2", "binned"),
    )
    split = split_of(0, ROWS, 0)
    train = [row for row, part in zip(rows, split, strict=True) if part == 0]
    least = min(float(row["age"]) for row in train if row["age"])
    prices = np.array([float(row["price"]) for row in train if row["price"]])
    edges = dataset.meta["bin_edges"][0]
    for part, name in enumerate(SPLITS):
        batch = dataset.split(name).rows(slice(None))
        chosen = [row for row, p in zip(rows, split, strict=True) if p == part]
        for i, row in enumerate(chosen):
            assert batch.labels[i] == (float(row["rating"]) > 3)
            assert batch.weights[i] == np.float32(row["weight"])
            dense = dict(zip(dataset.column_names[0], batch.dense[i].tolist(), strict=True))
            numbers = {k: float(row[k]) for k in dense if row[k]}
            expected = dict.fromkeys(dense, 0.0)
            if "age" in numbers:
                expected["age"] = np.log1p(max(numbers["age"], least) - least)
            if "clipped" in numbers:
                expected["clipped"] = np.log1p(min(max(numbers["clipped"], 0), 20))
            if "price" in numbers:
                expected["price"] = (numbers["price"] - prices.mean()) / prices.std()
            if "raw" in numbers:
                expected["raw"] = numbers["raw"]
            if "old" in numbers:
                expected["old"] = np.log(max(numbers["old"], 0) + 1)
            assert dense == pytest.approx(expected, rel=3e-3, abs=2e-3)
            ids = dict(zip(dataset.column_names[1], batch.sparse[i].tolist(), strict=True))
            assert ids["user"] == (2 + python_hash(row["user"], 50) if row["user"] else 1)
            assert ids["hex"] == (2 + int(row["hex"], 16) % 97 if row["hex"] else 1)
            value = row["binned"]
            assert ids["binned"] == (2 + sum(e <= float(value) for e in edges) if value else 1)
    kept = [float(row["binned"]) for row in train if row["binned"]]
    shares = np.bincount(np.searchsorted(edges, kept, side="right")) / len(kept)
    assert len(shares) == 4
    assert shares == pytest.approx([0.25] * 4, abs=0.05)


def test_parts_of_dates_and_values_of_lists_are_categories(prepared):
    folder, rows = prepared
    preprocessor = Preprocessor.load(folder / "out")
    sparse = preprocessor.transform(served(rows)).sparse
    names = preprocessor.column_names[1]
    expected = {
        "when.hour": [str(int(row["when"][6:])) if row["when"] else "" for row in rows],
        "seen.1": [row["seen"].split("|")[-1] for row in rows],
        "seen.2": [("|" + row["seen"]).split("|")[-2] for row in rows],
    }
    for name, values in expected.items():
        ids = sparse[:, names.index(name)].tolist()
        assert all((value == "") == (found == 1) for value, found in zip(values, ids, strict=True))
        pairs = set(zip(values, ids, strict=True))
        assert len(pairs) == len(set(values)) == len(set(ids))


@pytest.mark.parametrize("holder", ["dicts", "polars", "pandas", "arrow", "text", "saved"])
def test_served_rows_are_read_as_the_log_was(prepared, tmp_path, holder):
    folder, rows = prepared
    preprocessor = Preprocessor.load(folder / "out", binned_dense=True)
    if holder == "saved":
        preprocessor.save(tmp_path / "saved")
        assert Preprocessor.load(tmp_path / "saved").digest() != preprocessor.digest()
        again = Preprocessor.load(tmp_path / "saved", binned_dense=True)
        assert again.digest() == preprocessor.digest()
        preprocessor = again
    frame = pl.DataFrame(served(rows), infer_schema_length=None)
    holders = {
        "dicts": served(rows),
        "polars": frame,
        "pandas": frame.to_pandas(),
        "arrow": frame.to_arrow(),
        "text": rows,
        "saved": frame,
    }
    found = preprocessor.transform(holders[holder])
    dataset = Dataset.open(folder / "out", binned_dense=True)
    assert preprocessor.features == dataset.features
    split = split_of(0, ROWS, 0)
    for part, name in enumerate(SPLITS):
        batch = dataset.split(name).rows(slice(None))
        np.testing.assert_array_equal(found.dense[split == part], batch.dense)
        np.testing.assert_array_equal(found.sparse[split == part], batch.sparse)
    for i in range(0, ROWS, 50):
        alone = preprocessor.transform(served(rows)[i])
        np.testing.assert_array_equal(alone.sparse, found.sparse[[i]])
        np.testing.assert_array_equal(alone.dense, found.dense[[i]])
    assert (preprocessor.transform(preprocessor.example()).sparse > 0).sum() >= 6


def test_chunks_change_nothing(prepared, tmp_path):
    folder, _ = prepared
    whole = arrays(Dataset.open(folder / "out", binned_dense=True))
    prepare(folder / "log.csv", tmp_path / "out", format=folder / "log.toml", chunk_bytes=3000)
    for name, values in arrays(Dataset.open(tmp_path / "out", binned_dense=True)).items():
        np.testing.assert_array_equal(values, whole[name])


def test_a_threshold_leaves_hashed_and_binned_columns_alone(prepared):
    folder, _ = prepared
    low, high = (Dataset.open(folder / "out", min_count=n) for n in (1, 10**6))
    names = low.column_names[1]
    sizes = dict(zip(names, high.features.cardinalities, strict=True))
    assert (sizes["user"], sizes["hex"], sizes["binned"], sizes["city"]) == (52, 99, 6, 2)
    column = names.index("user")
    rows = [d.split("test").rows(slice(None)).sparse[:, column] for d in (low, high)]
    np.testing.assert_array_equal(*rows)
    preprocessor = Preprocessor.load(folder / "out").cut_to(high.features)
    assert preprocessor.features == high.features


@settings(max_examples=50)
@given(st.lists(st.none() | st.text(max_size=40), max_size=60), st.integers(1, 2**31))
@example(["x" * 1000, "y" * 999, None, "", "ü"], 1000)
@example([f"{i:08x}" for i in range(50)], 16)
def test_a_hash_is_the_published_one_whatever_stands_beside_it(values, size):
    kept = [None if v is None or "\ud800" <= max(v, default="") <= "\udfff" else v for v in values]
    found = hashed(pl.Series(kept, dtype=pl.String), size).to_list()
    assert found == [None if v is None else str(python_hash(v, size)) for v in kept]


def test_hashes_fill_their_ids_evenly():
    for size in (2, 16, 100, 1024):
        found = hashed(pl.Series([f"{i:08x}" for i in range(size * 200)]), size).cast(pl.Int64)
        counts = np.bincount(found.to_numpy(), minlength=size)
        assert ((counts - 200) ** 2).sum() / 200 < size + 5 * np.sqrt(2 * size)  # chi squared


@given(
    st.lists(st.integers(-(2**70), 2**70).map(str) | st.text("0123456789abcdefx_-", max_size=9)),
    st.sampled_from([10, 16]),
    st.lists(st.integers(1, 2**40), min_size=1, max_size=2),
)
@example(["0a1b2c3d", "12345678", "10000640724480838376", "-1"], 10, [2147483647, 9999])
def test_remainders_are_those_of_published_scripts(values, base, divisors):
    def expected(text):
        for chosen in (10, 16) if base == 10 else (16,):
            try:
                number = int(text, chosen)
            except ValueError:
                continue
            for divisor in divisors:
                number %= divisor
            return None if "_" in text else str(number)
        return None

    found = remainders(pl.Series(values, dtype=pl.String), divisors, base)
    assert found.to_list() == [expected(text) for text in values]


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)))
def test_dates_of_every_format_have_the_parts_of_python(date):
    date = date.replace(microsecond=0)
    stamp = int(date.replace(tzinfo=UTC).timestamp())
    texts = {
        "": date.isoformat(),
        "seconds": str(stamp),
        "milliseconds": f"{stamp * 1000}.0",
        "%Y-%m-%d %H:%M:%S": str(date),
        "%Y%m%d%H%M%S": date.strftime("%Y%m%d%H%M%S"),
        "%d/%b/%Y:%H:%M:%S %z": date.strftime("%d/%b/%Y:%H:%M:%S +0000"),
    }
    expected = [date.year, date.month, date.day, date.isoweekday(), date.hour, date.minute]
    for form, text in texts.items():
        seconds = seconds_of(pl.Series([text, None, "no date"]), form)
        assert seconds.to_list() == [stamp, None, None]
        assert [part_of(seconds, part)[0] for part in PARTS] == [str(part) for part in expected]


@given(
    st.lists(st.floats(-1e300, 1e300, allow_subnormal=False), min_size=1),
    st.integers(2, 10),
    st.integers(1, 5),
)
def test_a_sketch_is_the_same_whatever_the_chunks(values, bins, pieces):
    whole, parts = Sketch(), Sketch()
    whole.add(np.array(values))
    for piece in np.array_split(np.array(values), pieces):
        parts.add(piece)
    np.testing.assert_array_equal(whole.edges(bins), parts.edges(bins))
    assert whole.mean_and_deviation() == parts.mean_and_deviation()
    mean = float(np.mean(np.array(values) / max(1.0, len(values)))) * max(1.0, len(values))
    size = max(map(abs, values))
    assert whole.mean_and_deviation()[0] == pytest.approx(mean, abs=2e-3 * size)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("rating", "", "field rating: expected a number, got nothing"),
        ("rating", "good", "field rating: expected a finite number or a missing value, got 'good'"),
        ("weight", "-1", "field weight: expected a weight, 0 or more, got -1.0"),
        ("weight", "", "field weight: expected a weight, 0 or more, got nothing"),
        ("hex", "xyz", "field hex: expected an integer in hexadecimal digits or a missing value"),
        ("when", "24101", "field when: expected a date such as '24022813' or a missing value"),
    ],
)
def test_a_bad_value_is_named_with_its_row(prepared, tmp_path, name, value, sentence):
    folder, rows = prepared
    bad = [row | ({name: value} if i == 77 else {}) for i, row in enumerate(rows)]
    pl.DataFrame(bad).write_csv(tmp_path / "bad.csv")
    with pytest.raises(DataError, match=re.escape(f"bad.csv:79: {sentence}")):
        prepare(tmp_path / "bad.csv", tmp_path / "out", format=folder / "log.toml")
    assert not (tmp_path / "out").exists()
    if name in ("hex", "when"):
        with pytest.raises(DataError, match=re.escape(f"rows:78: {sentence}")):
            Preprocessor.load(folder / "out").transform(served(bad))


def test_a_split_needs_a_weight(tmp_path):
    test = split_of(0, 300, 0) == SPLITS.index("test")
    rows = [f"{i % 2},{i % 7},{int(not held_out)}" for i, held_out in enumerate(test)]
    (tmp_path / "log.csv").write_text("\n".join(["y,u,w", *rows]))
    schema = Schema(label="y", weight="w")
    sentence = "log.csv: field w: expected weights above 0 in the test rows, got only 0"
    with pytest.raises(DataError, match=re.escape(sentence)):
        prepare(tmp_path / "log.csv", tmp_path / "out", format=schema)
    assert not (tmp_path / "out").exists()


LABELS = {
    "0 or 1": ({}, ["0", "1", "1.0", "0.0", " 1"], [0, 1, 1, 0, 1]),
    "true": ({}, ["true", "False", "TRUE", "1"], [1, 0, 1, 1]),
    "above": ({"above": 2.5}, ["0", "2.5", "3", "1e9"], [0, 0, 1, 1]),
    "positive": ({"positive": ("yes", "buy")}, ["yes", "no", "buy", "Yes"], [1, 0, 1, 0]),
    "numbers": ({"positive": ("2", "3")}, ["1", "2.0", "3", "4"], [0, 1, 1, 0]),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_follow_their_rule(tmp_path, name):
    rule, values, expected = LABELS[name]
    rows = [{"y": values[i % len(values)], "u": "ab"[i % 2]} for i in range(100)]
    pl.DataFrame(rows).write_csv(tmp_path / "log.csv")
    dataset = prepare(tmp_path / "log.csv", tmp_path / "out", format=Schema(label="y", **rule))
    split = split_of(0, 100, 0)
    for part, split_name in enumerate(SPLITS):
        wanted = [expected[i % len(values)] for i in np.flatnonzero(split == part)]
        assert dataset.split(split_name).labels.tolist() == wanted


@pytest.mark.parametrize("value", ["maybe", "2", "", "0.5", "yes"])
def test_an_unknown_label_is_named_with_its_row(tmp_path, value):
    rows = [{"y": value if i == 30 else str(i % 2), "u": "a"} for i in range(60)]
    pl.DataFrame(rows).write_csv(tmp_path / "log.csv")
    shown = repr(value) if value else "nothing"
    with pytest.raises(DataError, match=rf"log\.csv:32: field y: expected 0 or 1, got {shown}"):
        prepare(tmp_path / "log.csv", tmp_path / "out", format=Schema(label="y"))


def timed(folder, times, **more):
    rows = [{"y": str(i % 2), "u": "ab"[i % 2], "t": time} for i, time in enumerate(times)]
    pl.DataFrame(rows).write_csv(folder / "log.csv")
    schema = Schema(label="y", time="t", **more)
    return prepare(folder / "log.csv", folder / "out", format=schema)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 40), min_size=30, max_size=200), st.integers(0, 9))
def test_the_future_is_tested_and_one_time_stays_together(tmp_path_factory, minutes, first):
    minutes = [0, 20, 40, *minutes]
    np.random.default_rng(first).shuffle(minutes)
    folder = tmp_path_factory.mktemp("time")
    dataset = timed(folder, [f"2024-05-0{1 + m // 24}T{m % 24:02}:00" for m in minutes])
    cuts = dataset.meta["time"]["cuts"]
    start = int(datetime(2024, 5, 1, tzinfo=UTC).timestamp())
    seconds = start + 3600 * np.array(minutes)
    part = np.searchsorted(cuts, seconds, side="right")
    assert list(dataset.meta["rows"].values()) == [
        int((part == SPLITS.index(name)).sum()) for name in dataset.meta["rows"]
    ]
    assert set(part) == {0, 1, 2}
    most = max(np.unique(minutes, return_counts=True)[1])
    assert abs((part == 0).mean() - 0.8) <= 0.5 * most / len(minutes) + 0.11
    labels = dataset.split("train").labels
    np.testing.assert_array_equal(labels, (np.arange(len(minutes)) % 2)[part == 0])
    assert dataset.column_names[1] == ("u",)  # the time is no feature unless it is asked for


def test_a_time_may_also_be_a_feature(tmp_path):
    hours = [f"241028{i % 24:02}" for i in range(100)]
    column = Column(name="t", format="%y%m%d%H", parts=("hour",))
    dataset = timed(tmp_path, hours, options=(column,))
    assert dataset.column_names[1] == ("u", "t.hour")


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        (["2024-05-01", "2024-05-02"] * 20, "log.csv: field t: expected at least 3 times, got 2"),
        (["2024-05-01", ""] * 20, "log.csv:3: field t: expected a date such as '2024-02-28T13:45"),
        (["1714521600"] * 40, "got '1714521600'"),
    ],
)
def test_times_that_split_nothing_are_refused(tmp_path, times, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)):
        timed(tmp_path, times)
    assert not (tmp_path / "out").exists()


@given(st.lists(st.integers(-(10**12), 10**12), min_size=5, unique=True), st.integers(1, 4))
def test_counts_of_times_stay_bounded_and_do_not_depend_on_the_order(times, pieces):
    from nasrec_opt.data import _split

    limit, _split.TIMES = _split.TIMES, 8
    try:
        found = []
        for order in (times, times[::-1], sorted(times)):
            counter = TimeCounter()
            for piece in np.array_split(np.array(order, np.int64), pieces):
                counter.add(piece)
            assert len(counter._times) <= 8
            found.append(counter.cuts("x") if len(counter._times) > 2 else None)
    finally:
        _split.TIMES = limit
    assert found[0] == found[1] == found[2]


def counted(folder, count):
    lines = ["clicks,shows,u", "2,3,a", "0,4,b", "1,1,c", *("0,1,a", "1,2,b") * 20]
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    schema = Schema(label="clicks", impressions="shows", count=count)
    return prepare(folder / "log.csv", folder / count, format=schema), lines[1:]


def test_lines_count_once_or_for_each_show_or_by_weight(tmp_path):
    kinds = {kind: counted(tmp_path, kind)[0] for kind in ("line", "impression", "weight")}
    lines = counted(tmp_path, "line")[1]
    split = split_of(0, len(lines), 0)
    for part, name in enumerate(SPLITS):
        pairs = [
            tuple(map(int, line.split(",")[:2]))
            for line, p in zip(lines, split, strict=True)
            if p == part
        ]
        batches = {kind: d.split(name).rows(slice(None)) for kind, d in kinds.items()}
        assert batches["line"].labels.tolist() == [float(k > 0) for k, _ in pairs]
        expected = [y for k, n in pairs for y in [1.0] * k + [0.0] * (n - k)]
        assert batches["impression"].labels.tolist() == expected
        weighted = batches["weight"]
        once = [(1.0, k) for k, _ in pairs], [(0.0, n - k) for k, n in pairs]
        both = [pair for two in zip(*once, strict=True) for pair in two if pair[1]]
        assert list(zip(weighted.labels.tolist(), weighted.weights.tolist(), strict=True)) == both
    assert kinds["weight"].meta["click_rate"] == kinds["impression"].meta["click_rate"]
    assert kinds["line"].split("train").weights is None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("3,2,a", "log.csv:4: field clicks: expected at most as many clicks as impressions, got 3"),
        (
            "0,0,a",
            "log.csv:4: field shows: expected a number of impressions, 1 to 2147483648",
        ),
        ("0.5,2,a", "log.csv:4: field clicks: expected a number of clicks, got 0.5"),
    ],
)
def test_impossible_counts_are_refused(tmp_path, line, sentence):
    lines = ["clicks,shows,u", "2,3,a", "0,4,b", line, *["0,1,a", "1,2,b"] * 20]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    schema = Schema(label="clicks", impressions="shows", count="impression")
    with pytest.raises(DataError, match=re.escape(sentence)):
        prepare(tmp_path / "log.csv", tmp_path / "out", format=schema)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[columns.a]\ntransfrom = 'log'", "columns.a: unknown key 'transfrom'; known are"),
        ("[columns.a]\ntransform = 'sqrt'", "a: transform: expected one of log, standard, none"),
        ("[columns.a]\nbins = 1", "a: bins: expected 2 or more, got 1"),
        ("[columns.a]\nclip = [3, 3]", "a: clip: expected a smaller and a larger number"),
        ("[columns.a]\nclip = 3", "columns.a: clip: expected a list of two numbers, got 3"),
        ("[columns.a]\nbins = 4\nhashed = 9", "a: expected settings of one kind of column"),
        ("[columns.a]\nhashed = 0.5", "columns.a: hashed: expected an integer, got 0.5"),
        ("[columns.a]\nparts = ['second']", "a: parts: expected some of year, month, day"),
        ("[columns.a]\nformat = 'YYMMDD'\nparts = ['day']", "a: format: expected a pattern of a"),
        ("[columns.a]\nformat = '%Y'", "columns: a: expected parts beside format, got none"),
        ("[columns.a]\nseparator = '|'", "a: expected last beside separator, got none"),
        ("[columns.y]\nhashed = 3", "columns: expected settings of a feature, got those of 'y'"),
        ("sparse = ['a']\n[columns.a]\nbins = 3", "schema: expected column 'a' once"),
        ("dense = ['a']\n[columns.a]\nhashed = 3", "columns: expected 'a' under sparse"),
        ("weight = 'y'", "schema: expected column 'y' once, got it twice"),
        ("dense = ['a']\nweight = 'a'", "weight: expected a column that is no feature, got 'a'"),
        ("above = 1\npositive = ['a']", "label: expected one rule, got above and positive"),
        ("count = 'weight'", "count: expected a column of impressions for weight, got none"),
        ("count = 'twice'", "count: expected one of line, impression, weight, got 'twice'"),
        ("above = true", "above: expected a number, got True"),
        ("columns = ['y', 'a']\nheader = ['y', 'a']", "expected the names of the columns once"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "schema.toml"
    path.write_text("label = 'y'\n" + text)
    with pytest.raises(DataError, match=re.escape(f"{path}: {sentence}")) as caught:
        Schema.from_toml(path)
    assert "\n" not in str(caught.value)


def test_a_label_may_be_a_table(tmp_path):
    path = tmp_path / "schema.toml"
    path.write_text("[label]\ncolumn = 'y'\npositive = ['buy', 2, true]")
    assert Schema.from_toml(path).positive == ("buy", "2", "true")
    for text, sentence in (
        ("[label]\nabove = 1", "label: expected a key 'column', got none"),
        ("[label]\ncolumn = 'y'\nabov = 1", "label: unknown key 'abov'; did you mean 'above'?"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=re.escape(f"{path}: {sentence}")):
            Schema.from_toml(path)


def test_a_schema_is_stored_whole(prepared):
    schema = Schema.from_toml(prepared[0] / "log.toml")
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
    plain = Schema(label="y", dense=("a",)).to_dict()
    assert sorted(plain) == [
        "columns", "dense", "dropped", "has_integers", "label", "min_count", "separator", "sparse",
    ]  # fmt: skip
