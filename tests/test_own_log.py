"""The page on logs of one's own: its commands run, and its tables name all keys."""

from __future__ import annotations

import re
import shlex
import shutil

import numpy as np
import polars as pl
from conftest import REPOSITORY, TINY_STUDY

from nasrec_opt.data import Dataset, generate_log, prepare
from nasrec_opt.data._schema_file import KEYS
from nasrec_opt.data._synthetic import write_log

PAGE = REPOSITORY / "docs" / "howto" / "your_own_log.md"
ROWS = 600


def shop() -> pl.DataFrame:
    """A log with all the columns of which the page speaks."""
    rng = np.random.default_rng(0)
    seen = ["|".join(f"i{v}" for v in rng.integers(0, 9, n)) for n in rng.integers(1, 7, ROWS)]
    return pl.DataFrame(
        {
            "request_id": [f"r{i:05d}" for i in range(ROWS)],
            "rating": rng.integers(1, 6, ROWS),
            "price": np.round(rng.lognormal(3, 2, ROWS), 2),
            "age": [None if v < 20 else int(v) for v in rng.integers(15, 90, ROWS)],
            "importance": np.round(rng.random(ROWS) + 0.5, 2),
            "when": [f"2024-05-{1 + i // 30:02} {i % 24:02}:00:00" for i in range(ROWS)],
            "user": [f"u{v}" for v in rng.integers(0, 200, ROWS)],
            "seen": seen,
            "city": [("Ulm", "Genf", "Wien", None)[v] for v in rng.integers(0, 4, ROWS)],
        }
    )


def test_the_commands_of_the_page_run(cli, tmp_path):
    write_log(tmp_path / "train.txt", 1500, seed=0)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "quickstart.toml").write_text(  # one that a test can wait for
        TINY_STUDY.replace("n_trials = 12", "n_trials = 8") + "\n[retrain.model]\nepochs = 1\n"
    )
    made = generate_log(tmp_path / "avazu", like="avazu", rows=500, vocabulary="small")
    shutil.copy(made.file, tmp_path / "train")
    made = generate_log(tmp_path / "kdd", like="kdd2012", rows=500, vocabulary="small")
    for file in (made.file, made.users):
        shutil.copy(file, tmp_path)
    shop().write_csv(tmp_path / "shop.csv")
    said = {}
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(), re.M | re.S):
        for line in text.splitlines() if language == "bash" else ():
            program, *words = shlex.split(line)
            assert program == "nasrec-opt"
            result = cli(*words, cwd=tmp_path)
            assert result.returncode == 0, result.stderr
            said[" ".join(words[:2])] = result.stdout
    assert "480 train, 60 validation, 60 test rows" in said["prepare shop.csv"]
    assert "city" in said["inspect shop-dataset"]
    assert Dataset.open(tmp_path / "avazu-dataset").column_names[1][:2] == (
        "hour.hour", "hour.weekday",
    )  # fmt: skip
    assert "gender" in Dataset.open(tmp_path / "kdd-dataset").column_names[1]
    assert (tmp_path / "runs" / "tiny" / "report.html").is_file()


def test_the_schema_of_the_page_reads_its_log(tmp_path):
    (tmp_path / "shop.toml").write_text(
        PAGE.read_text().partition("```toml\n")[2].partition("```")[0]
    )
    dataset = prepare(shop(), tmp_path / "out", format=tmp_path / "shop.toml")
    dense, sparse = dataset.column_names
    assert dense == ("price", "age")
    lists = {f"seen.{place}" for place in range(1, 6)}
    assert set(sparse) == {"user", "city", "when.hour", "when.weekday"} | lists
    assert dataset.is_weighted
    assert dataset.meta["time"]["column"] == "when"


def test_the_tables_of_the_page_name_all_keys_of_a_schema():
    rows = re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.M)
    keys = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    elsewhere = {"above", "positive", "impressions", "count", "columns"}  # in the row of another
    assert {*KEYS} - elsewhere <= keys
    for key in elsewhere:
        assert f"`{key}`" in PAGE.read_text() or f"`{key} =" in PAGE.read_text()
