"""The page of an inspection and what the command line prints."""

from __future__ import annotations

import html
import json
import re

import numpy as np
import pandas as pd
import pytest

from nasrec_opt.data import Dataset, Schema, prepare
from nasrec_opt.inspection import inspect_dataset
from nasrec_opt.report import inspection_tables, write_inspection

EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset with names and values that are no HTML, and an id."""
    path = tmp_path_factory.mktemp("inspected")
    rng = np.random.default_rng(0)
    pd.DataFrame(
        {
            "click": rng.integers(0, 2, 900),
            "price": rng.lognormal(2, 1, 900),
            EVIL: np.where(rng.random(900) < 0.5, EVIL, "a&b"),
            "request": [f"r{i}" for i in range(900)],
            "a very long name of a column": rng.integers(0, 9, 900),
        }
    ).to_csv(path / "log.csv", index=False)
    schema = Schema(label="click", dense=("price",))
    prepare(path / "log.csv", path / "dataset", format=schema)
    return path


@pytest.fixture(scope="module")
def found(folder):
    return inspect_dataset(Dataset.open(folder / "dataset"))


@pytest.fixture(scope="module")
def page(found, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "inspect.html"
    write_inspection(path, found)
    return path.read_text()


def test_the_page_stands_alone_and_escapes_what_a_log_holds(page):
    assert "http" not in page
    assert "<script" not in page  # no script at all, and none of the log's
    assert "&lt;script&gt;" in page
    assert "a&amp;b" in page


def test_the_page_has_plots_of_each_column(page, found):
    assert page.count("<svg") == 2 * len(found.columns)
    for heading in ("Click rate by value", "Numbers, on the scale", "Training rows of a value"):
        assert heading in page


def test_the_page_says_what_the_findings_say(page, found):
    assert found.warnings
    for finding in found.findings:
        assert html.escape(finding.text, quote=True).replace("&#x27;", "&#39;") in page
    assert page.count('class="finding warning"') == len(found.warnings)


def test_links_of_the_page_lead_to_columns(page):
    places = set(re.findall(r'id="([^"]+)"', page))
    links = re.findall(r'href="#([^"]+)"', page)
    assert len(links) == 4
    assert set(links) <= places


def test_tables_have_a_cell_for_each_head(found):
    tables = inspection_tables(found)
    assert [table.heads[0] for table in tables] == ["split", "dense", "sparse"]
    for table in tables:
        assert all(len(row.cells) == len(table.heads) for row in table.rows)


def test_the_command_prints_tables_and_warnings(cli, folder, tmp_path):
    result = cli("inspect", folder / "dataset", "--html", tmp_path / "page.html")
    assert result.returncode == 0, result.stderr
    assert "log.csv: 900 rows" in result.stdout
    assert "warning: request has 720 values in 720 training rows" in result.stdout
    assert result.stdout.rstrip().endswith("page.html")
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert max(map(len, result.stdout.split("rate: clicked")[0].splitlines())) <= 100


def test_the_command_prints_json(cli, folder, found):
    result = cli("inspect", folder / "dataset", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == json.loads(json.dumps(found.to_dict()))


def test_the_command_reads_rare_values_as_one(cli, folder):
    result = cli("inspect", folder / "dataset", "--json", "--min-count", "2")
    [column] = [c for c in json.loads(result.stdout)["sparse"] if c["name"] == "request"]
    assert column["num_values"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none"], "none: expected a dataset, found no dataset.json"),
        (["dataset", "--html", "page.pdf"], "page.pdf: expected a file name that ends in .html"),
        (["dataset", "--html", "."], ".: expected a file name that ends in .html"),
        (["dataset", "--users", "price"], "users: expected a categorical column, got 'price'"),
        (["dataset", "--min-count", "0"], "--min-count"),
        (["log.csv"], "log.csv"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments, words, cli, folder):
    result = cli("inspect", *arguments, cwd=folder)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not result.stdout
    assert not list(folder.glob("*.html"))
