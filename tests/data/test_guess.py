"""A guessed schema says what the columns are, and `prepare` takes it."""

from __future__ import annotations

import datetime
import re
import tomllib

import numpy as np
import polars as pl
import pytest
from conftest import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.data import Column, Schema, guess_schema, prepare
from nasrec_opt.errors import DataError

ROWS = 300


def table(seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    start = datetime.datetime(2024, 5, 1)
    lists = ["|".join(map(str, rng.integers(0, 9, n))) for n in rng.integers(1, 5, ROWS)]
    return pl.DataFrame(
        {
            "request_id": [f"r{i:06d}" for i in range(ROWS)],
            "row": range(ROWS),
            "clicked": [int(v) for v in rng.integers(0, 2, ROWS)],
            "price": np.round(rng.lognormal(2, 1, ROWS), 2),
            "level": rng.integers(0, 8, ROWS),
            "user": rng.integers(0, 100, ROWS),
            "age": [None if v < 25 else int(v) for v in rng.integers(18, 90, ROWS)],
            "city": [f"city {v}" for v in rng.integers(0, 30, ROWS)],
            "seen": lists,
            "when": [str(start + datetime.timedelta(minutes=7 * i)) for i in range(ROWS)],
            "ts": [1_714_521_600 + 60 * i for i in range(ROWS)],
            "hour": [f"2405{1 + i // 24:02}{i % 24:02}" for i in range(ROWS)],
            "nothing": [None] * ROWS,
            "same": ["x"] * ROWS,
            "": range(ROWS),
        }
    )


def guessed(path, frame, **options):
    frame.write_csv(path)
    text = guess_schema(path, **options)
    schema = path.with_suffix(".toml")
    schema.write_text(text)
    return text, Schema.from_toml(schema)


def test_columns_are_taken_for_what_they_are(tmp_path):
    text, schema = guessed(tmp_path / "log.csv", table())
    assert schema.label == "clicked"
    assert schema.dense == ("price", "age")
    assert schema.sparse == ("level", "user", "city", "seen", "when", "ts", "hour")
    assert schema.dropped == ("request_id", "row", "nothing", "same", "")
    assert schema.option("ts").format == "seconds"
    assert schema.option("hour").format == "%y%m%d%H"
    assert schema.option("when").parts == ("hour", "weekday")
    assert (schema.option("seen").last, schema.option("seen").separator) == (5, "|")
    assert re.search(r'"age", .*# 25 to 89; \d+ % missing', text)
    assert '# time = "when"' in text
    dataset = prepare(tmp_path / "log.csv", tmp_path / "out", format=tmp_path / "log.toml")
    assert dataset.features.num_dense == 2
    split = text.replace("# time =", "time =")
    (tmp_path / "time.toml").write_text(split)
    prepare(tmp_path / "log.csv", tmp_path / "out", format=tmp_path / "time.toml")


@pytest.mark.parametrize(
    ("name", "values", "rule"),
    [
        ("label", ["0", "1"], {}),
        ("is_click", ["true", "false"], {}),
        ("target", ["no", "no", "yes"], {"positive": ("yes",)}),
        ("clicks", ["0", "0", "3", "1"], {"above": 0.0}),
        ("conversion", ["1", "2", "5"], {"above": 1.0}),
    ],
)
def test_a_label_gets_the_rule_that_fits_its_values(tmp_path, name, values, rule):
    frame = pl.DataFrame(
        {"u": ["a", "b", "c"] * 40, name: [values[i % len(values)] for i in range(120)]}
    )
    _, schema = guessed(tmp_path / "log.csv", frame)
    assert schema.label == name
    assert {k: getattr(schema, k) for k in ("above", "positive") if getattr(schema, k)} == {
        k: v for k, v in rule.items() if v
    }
    prepare(tmp_path / "log.csv", tmp_path / "out", format=tmp_path / "log.toml")


def test_the_label_can_be_given(tmp_path):
    frame = table().with_columns(other=pl.col("clicked").reverse())
    text, schema = guessed(tmp_path / "log.csv", frame)
    assert '# It may also be one of: "other"' in text
    _, schema = guessed(tmp_path / "log.csv", frame, label="other")
    assert schema.label == "other"
    with pytest.raises(DataError, match="label: expected one of request_id, row"):
        guess_schema(tmp_path / "log.csv", label="missing")
    with pytest.raises(DataError, match="field city: expected two values or numbers, got others"):
        guess_schema(tmp_path / "log.csv", label="city")


@pytest.mark.parametrize("separator", ["\t", ";", "|", ","])
@pytest.mark.parametrize("has_header", [True, False])
def test_separator_and_header_are_found(tmp_path, separator, has_header):
    frame = table().select("clicked", "price", "city")
    path = tmp_path / "log.txt"
    frame.write_csv(path, separator=separator, include_header=has_header)
    (tmp_path / "log.toml").write_text(guess_schema(path))
    schema = Schema.from_toml(tmp_path / "log.toml")
    assert schema.separator == separator
    names = ("clicked", "price", "city") if has_header else ("column_1", "column_2", "column_3")
    assert (schema.label, *schema.dense, *schema.sparse) == names
    assert bool(schema.columns) != has_header
    prepare(path, tmp_path / "out", format=tmp_path / "log.toml")


@pytest.mark.parametrize("has_header", [True, False])
def test_marks_in_names_and_quotes_separate_nothing(tmp_path, has_header):
    names = ("Clicked on Ad", "Daily Time Spent on Site", "User|Age;Sex, at last")
    frame = table().select("clicked", "price", "city")
    frame.columns = list(names)
    frame = frame.with_columns(pl.col(names[2]) + ", a b c d; e|f")
    path = tmp_path / "log file.csv"
    frame.write_csv(path, include_header=has_header)
    text = guess_schema(path, label=names[0] if has_header else None)
    assert "nasrec-opt prepare 'log file.csv' --format" in text
    (tmp_path / "log.toml").write_text(text)
    schema = Schema.from_toml(tmp_path / "log.toml")
    assert schema.separator == ","
    found = (schema.label, *schema.dense, *schema.sparse)
    assert found == (names if has_header else ("column_1", "column_2", "column_3"))
    prepare(path, tmp_path / "out", format=tmp_path / "log.toml")


def test_a_parquet_file_is_guessed_as_its_values_are(tmp_path):
    frame = table().with_columns(pair=pl.concat_list("user", "level"), both=pl.struct("user"))
    frame.write_parquet(tmp_path / "log.parquet")
    text = guess_schema(tmp_path / "log.parquet")
    (tmp_path / "log.toml").write_text(text)
    schema = Schema.from_toml(tmp_path / "log.toml")
    assert (schema.label, schema.dense) == ("clicked", ("price", "age"))
    assert "both" in schema.dropped
    assert (schema.option("pair").last, schema.option("pair").separator) == (5, "")
    prepare(tmp_path / "log.parquet", tmp_path / "out", format=tmp_path / "log.toml")


def test_public_logs_are_recognised(tmp_path):
    from nasrec_opt.data import generate_log

    for name in ("criteo", "avazu", "kdd2012"):
        log = generate_log(tmp_path / name, like=name, rows=200, vocabulary="small")
        label = {"kdd2012": "column_1"}.get(name)
        assert f"--format {name} needs no schema" in guess_schema(log.file, label=label)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\nx,1.5\ny,2.5\nz,3.5\n", "expected a column of clicks, such as 0 and 1, found none"),
        ("label\n0\n1\n0\n1\n", "expected columns beside the label, found none that can be read"),
        ("", "log.csv: expected "),
        ("label,a\n", "expected a click log, got no row below the header"),
    ],
)
def test_what_is_no_log_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        guess_schema(tmp_path / "log.csv")
    assert "\n" not in str(caught.value)


LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))
NAMES = st.text(LETTERS, min_size=1, max_size=8)
KINDS = {
    "whole": st.integers(-(2**40), 2**40).map(str),
    "code": st.integers(0, 5).map(str),
    "number": st.floats(-1e6, 1e6).map(str),
    "text": st.text("abcü \"'|;#", max_size=6),
    "date": st.dates().map(str),
    "list": st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("|".join),
    "none": st.just(""),
}


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_guessed_is_taken_by_prepare(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("guess")
    names = [n.strip() for n in data.draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))]
    names = [n for n in dict.fromkeys(names) if n and n != "clicked" and n.isprintable()]
    columns = {"clicked": [str(i % 2) for i in range(60)]}
    for name in names:
        kind = data.draw(st.sampled_from(sorted(KINDS)))
        pool = data.draw(st.lists(KINDS[kind], min_size=1, max_size=60))
        columns[name] = [pool[i % len(pool)] for i in range(60)]
    separator = data.draw(st.sampled_from(",;|"))
    pl.DataFrame(columns).write_csv(folder / "log.csv", separator=separator, quote_style="always")
    try:
        text = guess_schema(folder / "log.csv", label="clicked")
    except DataError as error:
        if "found none that can be read" not in str(error):
            raise
        return
    tomllib.loads(text)
    (folder / "log.toml").write_text(text)
    prepare(folder / "log.csv", folder / "out", format=folder / "log.toml")


def test_the_command_writes_a_new_file(cli, tmp_path):
    table().write_csv(tmp_path / "log.csv")
    done = cli("schema", "log.csv", "--out", "log.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "nasrec-opt prepare log.csv --format log.toml --out DIR" in done.stdout
    shown = cli("schema", "log.csv", cwd=tmp_path)
    assert shown.stdout == (tmp_path / "log.toml").read_text()
    again = cli("schema", "log.csv", "--out", "log.toml", cwd=tmp_path)
    assert again.returncode == 2
    assert "expected a new file" in again.stderr


def test_the_page_on_logs_of_ones_own_shows_a_schema_that_is_one(tmp_path):
    page = (REPOSITORY / "docs" / "howto" / "your_own_log.md").read_text()
    (tmp_path / "shop.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])
    schema = Schema.from_toml(tmp_path / "shop.toml")
    assert (schema.label, schema.above, schema.weight, schema.time) == (
        "rating", 3, "importance", "when",
    )  # fmt: skip
    known = {*Column.from_dict("x", {}).__dataclass_fields__} - {"name"}
    assert all(f"`{key}`" in page for key in known)


NUMBERED = [f"{i},{i % 2},{i % 7}.5,{'abc'[i % 3]}" for i in range(60)]


@pytest.mark.parametrize(
    ("header", "label", "names"),
    [
        (",0,1,2", "0", ("0", "1", "2")),  # a frame of pandas without names
        ("id,clicked,2019,city", "clicked", ("clicked", "2019", "city")),
        ("", "column_2", ("column_2", "column_3", "column_4")),
        ("na,1,3.5,c", "column_2", ("column_2", "column_3", "column_4")),
    ],
)
def test_a_header_of_numbers_is_no_row(tmp_path, header, label, names):
    path = tmp_path / "log.csv"
    path.write_text("\n".join([*([header] if header else []), *NUMBERED]) + "\n")
    text = guess_schema(path)
    rows = len(NUMBERED) + (header.startswith("na"))
    assert f"first {rows} rows" in text
    (tmp_path / "log.toml").write_text(text)
    schema = Schema.from_toml(tmp_path / "log.toml")
    assert (schema.label, *schema.dense, *schema.sparse) == names
    assert schema.label == label
    assert bool(schema.columns) == label.startswith("column_")
    prepare(path, tmp_path / "out", format=tmp_path / "log.toml")


def test_a_mark_that_all_lines_have_in_quotes_separates_nothing(tmp_path):
    lines = ['"clicked"|"0"|";"', *(f'"{i % 2}"|";"|"{i % 3}"' for i in range(60))]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    assert 'separator = "|"' in guess_schema(tmp_path / "log.csv", label="clicked")


def test_a_header_that_has_a_name_twice_is_one_sentence(tmp_path):
    (tmp_path / "log.csv").write_text("\n".join(["id,clicked,city,city", *NUMBERED]))
    with pytest.raises(DataError, match=r"log\.csv: header: expected column 'city' once, got it"):
        guess_schema(tmp_path / "log.csv")


def test_a_last_line_that_does_not_end_is_a_row(tmp_path):
    rows = "\n".join(f"{i % 2},{'ab'[i % 2]}" for i in range(20))
    (tmp_path / "log.csv").write_text(f"clicked,u\n{rows}")
    assert "first 20 rows" in guess_schema(tmp_path / "log.csv")
