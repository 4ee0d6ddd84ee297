"""The public logs are read as published, or as ours; served rows as the rows of the dataset."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from conftest import DATA

from nasrec_opt.data import Dataset, Preprocessor, generate_log, prepare
from nasrec_opt.data._formats import AVAZU_SIZES, CRITEO_SIZES, KDD, KDD_SIZES, schema_of
from nasrec_opt.data._split import SPLITS, split_of
from nasrec_opt.errors import DataError
from nasrec_opt.options import FORMATS

ROWS = 10_000


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """A generated log of each format in its raw layout."""
    folder = tmp_path_factory.mktemp("logs")
    return {
        name: generate_log(folder / name, like=name, rows=ROWS, vocabulary="small")
        for name in FORMATS
    }


def raw_rows(source, schema, limit=ROWS):
    """Lines as dicts of text; missing values are None."""
    lines = source.read_text().splitlines()[: limit + (not schema.columns)]
    fields = [line.split(schema.separator) for line in lines]
    names = schema.columns or fields.pop(0)
    return [{n: v or None for n, v in zip(names, row, strict=True)} for row in fields]


def assert_round_trip(rows, folder, *, dicts=200):
    """Served rows equal those of the dataset, bit for bit."""
    dataset, preprocessor = Dataset.open(folder), Preprocessor.load(folder)
    found = preprocessor.transform(pl.DataFrame(rows, infer_schema_length=None))
    split = split_of(0, len(rows), 0)
    for part, name in enumerate(SPLITS):
        batch = dataset.split(name).rows(slice(None))
        np.testing.assert_array_equal(found.dense[split == part], batch.dense)
        np.testing.assert_array_equal(found.sparse[split == part], batch.sparse)
    few = preprocessor.transform(rows[:dicts])
    np.testing.assert_array_equal(few.dense, found.dense[:dicts])
    np.testing.assert_array_equal(few.sparse, found.sparse[:dicts])


@pytest.mark.parametrize("layout", ["default", "published"])
@pytest.mark.parametrize("name", FORMATS)
def test_ten_thousand_raw_rows_are_served_as_they_were_prepared(logs, tmp_path, name, layout):
    log = logs[name]
    options = {"format": name, "layout": layout, "users": log.users}
    dataset = prepare(log.file, tmp_path / "out", **options)
    shapes = {"criteo": (13, 26), "avazu": (0, 23), "kdd2012": (3, 10)}
    assert (dataset.features.num_dense, dataset.features.num_sparse) == shapes[name]
    assert sum(dataset.meta["rows"].values()) == ROWS
    schema = schema_of(name, layout=layout)
    assert_round_trip(raw_rows(log.file, schema), tmp_path / "out")


@pytest.mark.skipif(not DATA.exists(), reason="no real logs here")
@pytest.mark.parametrize("layout", ["default", "published"])
@pytest.mark.parametrize(
    ("name", "path"),
    [("criteo", "criteo/criteo_sample.txt"), ("avazu", "avazu/avazu_sample.csv")],
)
def test_real_rows_are_served_as_they_were_prepared(tmp_path, name, path, layout):
    schema = schema_of(name, layout=layout)
    lines = (DATA / path).read_text().splitlines()[: ROWS + (not schema.columns)]
    source = tmp_path / "log.txt"
    source.write_text("\n".join(lines) + "\n")
    prepare(source, tmp_path / "out", format=name, layout=layout)
    assert_round_trip(raw_rows(source, schema), tmp_path / "out")


def published_id(text: str | None, size: int, *, is_hex: bool) -> int:
    """The scripts of the paper: missing is 0, there is no rare id."""
    if not text:
        return 0
    if is_hex:
        return int(text, 16) % (size - 1) + 1
    try:
        number = int(text, 10)
    except ValueError:
        number = int(text, 16)
    return number % 2147483647 % (size - 1) + 1


@pytest.mark.parametrize("name", FORMATS)
def test_published_layouts_have_the_ids_of_the_published_scripts(logs, tmp_path, name):
    log, schema = logs[name], schema_of(name, layout="published")
    sizes = {"criteo": CRITEO_SIZES, "avazu": AVAZU_SIZES, "kdd2012": KDD_SIZES}[name]
    prepare(log.file, tmp_path / "out", format=name, layout="published", users=log.users)
    rows = raw_rows(log.file, schema, 500)
    found = Preprocessor.load(tmp_path / "out").transform(rows)
    for i, row in enumerate(rows):
        expected = [
            published_id(row[column], size, is_hex=name == "criteo")
            for column, size in zip(schema.sparse, sizes, strict=True)
        ]
        assert (found.sparse[i, : len(sizes)] - 1).tolist() == expected
        numbers = [max(int(row[column] or 0), 0) for column in schema.dense]
        np.testing.assert_allclose(found.dense[i], np.log(np.array(numbers) + 1), rtol=1e-6)


def test_avazu_leaves_out_the_id_and_splits_the_hour(logs, tmp_path):
    dataset = prepare(logs["avazu"].file, tmp_path / "out", format="avazu")
    names = dataset.column_names[1]
    assert names[:3] == ("hour.hour", "hour.weekday", "C1")
    assert "id" not in names
    assert dataset.features.cardinalities[0] <= 26
    assert dataset.features.cardinalities[1] <= 9


def test_gender_and_age_are_joined_by_user(logs, tmp_path):
    log = logs["kdd2012"]
    prepare(log.file, tmp_path / "out", format="kdd2012", users=log.users)
    lines = [line.split("\t") for line in log.users.read_text().splitlines()]
    profiles = {user: (gender, age) for user, gender, age in lines}
    rows = raw_rows(log.file, schema_of("kdd2012"))
    preprocessor = Preprocessor.load(tmp_path / "out")
    assert preprocessor.column_names[1][-2:] == ("gender", "age")
    ids = preprocessor.transform(rows).sparse[:, -2:].tolist()
    values = [profiles.get(row["user_id"], ("0", "0")) for row in rows]
    assert ("0", "0") in values
    for place in (0, 1):
        pairs = {(value[place], found[place]) for value, found in zip(values, ids, strict=True)}
        assert len(pairs) == len({value[place] for value in values}) > 1
    preprocessor.save(tmp_path / "saved")
    again = Preprocessor.load(tmp_path / "saved")
    assert again.digest() == preprocessor.digest()
    np.testing.assert_array_equal(again.transform(rows[:50]).sparse[:, -2:], ids[:50])
    without = prepare(log.file, tmp_path / "without", format="kdd2012")
    assert without.column_names[1][-1] == "user_id"


def test_shows_are_rows_or_weights(logs, tmp_path):
    log, datasets = logs["kdd2012"], {}
    for count in ("line", "impression", "weight"):
        datasets[count] = prepare(log.file, tmp_path / count, format="kdd2012", count=count)
    rows = raw_rows(log.file, schema_of("kdd2012"))
    shows = sum(int(row["impressions"]) for row in rows)
    clicks = sum(int(row["clicks"]) for row in rows)
    each = datasets["impression"].meta
    assert sum(each["rows"].values()) == shows
    assert sum(each["clicks"].values()) == clicks
    assert datasets["weight"].meta["click_rate"] == each["click_rate"]
    weights = [datasets["weight"].split(name).weights.sum() for name in SPLITS]
    assert weights == [each["rows"][name] for name in SPLITS]
    assert sum(datasets["line"].meta["clicks"].values()) == sum(r["clicks"] != "0" for r in rows)
    assert datasets["line"].column_names[0] == ("impressions", "depth", "position")
    assert datasets["weight"].column_names[0] == ("depth", "position")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"format": "criteo", "count": "line"}, "count: expected it with the format kdd2012"),
        ({"format": "criteo", "users": "x"}, "users: expected none with this schema, got x"),
        ({"format": "kdd2012", "users": "x"}, "x: expected a file of user profiles, found nothing"),
        ({"format": "kdd2012", "count": "each"}, "count: expected one of line, impression, weight"),
        (
            {"format": "avazu", "layout": "ours"},
            "layout: expected default or published, got 'ours'",
        ),
        ({"format": schema_of("avazu"), "layout": "published"}, "layout: expected it with one of"),
    ],
)
def test_options_that_do_not_belong_to_a_format_are_refused(logs, tmp_path, options, sentence):
    name = options["format"] if isinstance(options["format"], str) else "avazu"
    with pytest.raises(DataError, match=re.escape(sentence)):
        prepare(logs[name].file, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1\t1\t2\nx\t1\t2\n", "users.txt: expected lines of user, gender and age"),
        ("1\t1\t2\n2\t\t2\n", "users.txt:2: expected user, gender and age, got an empty field"),
        ("1,1,2\n", "users.txt: expected lines of user, gender and age"),
    ],
)
def test_a_wrong_file_of_users_is_one_sentence(logs, tmp_path, text, sentence):
    (tmp_path / "users.txt").write_text(text)
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        prepare(
            logs["kdd2012"].file,
            tmp_path / "out",
            format="kdd2012",
            users=tmp_path / "users.txt",
        )
    assert "\n" not in str(caught.value)


def test_a_line_of_kdd_has_twelve_columns():
    assert len(KDD) == 12
    assert set(schema_of("kdd2012").dense) < set(KDD)
