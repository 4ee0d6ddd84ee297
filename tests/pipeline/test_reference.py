"""The reference page of the study file has the keys and the defaults that the code has."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from conftest import REPOSITORY

from nasrec_opt.options import json_values
from nasrec_opt.pipeline import StudyConfig

PAGE = REPOSITORY / "docs" / "reference" / "study_file.md"


def in_code(kind: type = StudyConfig, table: str = "") -> dict[str, dict[str, Any]]:
    """Default of every key, by table; the seeds that no stage may have are left out."""
    found: dict[str, dict[str, Any]] = {table: {}}
    defaults = json_values(kind(**({"name": "x"} if kind is StudyConfig else {})))
    for name, hint in get_type_hints(kind).items():
        choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        inner = next((c for c in choices if dataclasses.is_dataclass(c)), None)
        if inner is not None:
            found |= in_code(inner, f"{table}.{name}".lstrip("."))  # type: ignore[arg-type]
        is_table = all(c is type(None) or dataclasses.is_dataclass(c) for c in choices)
        if not is_table and (name != "seed" or not table):
            found[table][name] = defaults[name]
    return {name: keys for name, keys in found.items() if keys}


def on_page() -> dict[str, dict[str, str]]:
    """What the page says of the default of every key, by table."""
    text = PAGE.read_text().partition("## What a change does")[0]
    found: dict[str, dict[str, str]] = {"": {}}
    table = ""
    for line in text.splitlines():
        if named := re.match(r"(?:## )?`\[([a-z_.]+)\]`", line):
            table = named[1]
        elif row := re.match(r"\| `([a-z_]+)` \| (.*?) \|", line):
            found.setdefault(table, {})[row[1]] = row[2]
    return found


PAIRS = [(table, name) for table, keys in in_code().items() for name in keys]


def test_the_page_has_the_keys_that_the_code_has():
    page = on_page()
    assert {(t, name) for t, keys in page.items() for name in keys} == set(PAIRS)


@pytest.mark.parametrize(("table", "name"), PAIRS)
def test_a_default_on_the_page_is_that_of_the_code(table, name):
    said, default = on_page()[table][name], in_code()[table][name]
    literal = re.fullmatch(r"`([^`]*)`", said)
    if literal:
        assert tomllib.loads(f"x = {literal[1]}")["x"] == default
    elif default is not None and not said.startswith("`"):  # in words: it depends on something
        assert (table, name) in IN_WORDS, f"the page says {said!r}, the code {default!r}"


# Defaults that the code fills in from others, or that are an empty table.
IN_WORDS = {
    ("", "name"),
    ("search", "constraints"),
    ("search.evolution", "screening"),
    ("search.pool_bayes", "pool_size"),
    ("search.pool_bayes", "batch_size"),
    ("mlflow", "tags"),
}
