"""A schema is right or one sentence."""

from __future__ import annotations

import json

import pytest

from nasrec_opt.data import Column, Schema
from nasrec_opt.errors import DataError

FULL = """
label = "y"
dense = ["a"]
sparse = ["u", "v"]
dropped = ["id"]
header = ["id", "y", "a", "u", "v", "w", "t"]
separator = ";"
has_integers = true
min_count = 5
weight = "w"
time = "t"

[columns.a]
transform = "standard"
"""


def test_a_toml_file_sets_every_field(tmp_path):
    (tmp_path / "schema.toml").write_text(FULL)
    schema = Schema.from_toml(tmp_path / "schema.toml")
    assert schema == Schema(
        label="y", dense=("a",), sparse=("u", "v"), dropped=("id",),
        columns=("id", "y", "a", "u", "v", "w", "t"), separator=";", has_integers=True, min_count=5,
        weight="w", time="t", options=(Column(name="a", transform="standard"),),
    )  # fmt: skip
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[label", "expected TOML, got "),
        ("label = '\udcff'", "expected UTF-8 text, got byte 0xff at position 10; save it as UTF-8"),
        ("", "expected a key 'label', got none"),
        ("label = 'y'\nseparater = ','", "unknown key 'separater'; did you mean 'separator'?"),
        ("label = 1", "label: expected text, got 1"),
        ("label = 'y'\ndense = 'a'", "dense: expected a list of column names, got 'a'"),
        ("label = 'y'\nsparse = ['a', 1]", "sparse: expected a list of column names, got ['a', 1]"),
        ("label = 'y'\nhas_integers = 1", "has_integers: expected true or false, got 1"),
        ("label = 'y'\nmin_count = true", "min_count: expected an integer, got True"),
        ("label = 'y'\nmin_count = 2.5", "min_count: expected an integer, got 2.5"),
        ("label = 'y'\nmin_count = 0", "min_count: expected 1 or more, got 0"),
        ("label = 'y'\nseparator = ', '", "separator: expected one ASCII character, got ', '"),
        ("label = 'y'\nseparator = 'ü'", "separator: expected one ASCII character, got 'ü'"),
        ("label = 'y'\nseparator = '\"'", "separator: expected one ASCII character, got '\"'"),
        ("label = 'y'\ndense = ['y']", "schema: expected column 'y' once, got it twice"),
        (
            "label = 'y'\ncolumns = ['y', 'u', 'u']",
            "columns: expected column 'u' once, got it twice",
        ),
        (
            "label = 'y'\ndense = ['b']\ncolumns = ['y', 'a']",
            "columns: expected 'b', got y, a",
        ),
        (
            "label = 'y'\ndense = ['a']\ncolumns = ['y', 'a']",
            "sparse: expected at least one categorical column, got none",
        ),
    ],
)
def test_a_bad_toml_file_is_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "schema.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError) as caught:
        Schema.from_toml(path)
    assert str(caught.value).startswith(f"{path}: {sentence}")


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path):
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(DataError, match=f"{path}: expected a TOML file, found "):
            Schema.from_toml(path)


def test_columns_not_named_otherwise_are_sparse():
    schema = Schema(label="y", dense=("a",), dropped=("id",))
    assert schema.resolve(["id", "u", "y", "a", "v"]).sparse == ("u", "v")
    named = Schema(label="y", sparse=("v",))
    assert named.resolve(["u", "y", "v"]) is named


def test_criteo_has_forty_columns_of_integers_and_hashes():
    schema = Schema.criteo()
    assert len(schema.columns) == 40
    assert (schema.columns[13], schema.columns[14]) == (schema.dense[-1], schema.sparse[0])
    assert schema.has_integers
    assert not schema.has_quotes
