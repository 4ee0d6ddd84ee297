"""The plan of the study of worth: logs, budgets, and study files with an ingredient less."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.errors import DataError, StudyError
from nasrec_opt.pipeline import StudyConfig
from studies._worth_logs import Logs, draw_rows
from studies._worth_plan import Plan, merged, write_toml
from studies.worth import PLAN

KEYS = st.text("abc-_é.", min_size=1, max_size=4)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5),
    st.lists(st.integers(0, 9), max_size=3),
)
TABLES = st.recursive(
    st.dictionaries(KEYS, VALUES, max_size=3),
    lambda inner: st.dictionaries(KEYS, st.one_of(VALUES, inner), max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(tables=TABLES)
def test_toml_is_read_as_it_was_written(tables, tmp_path_factory):
    file = tmp_path_factory.mktemp("toml") / "study.toml"
    write_toml(file, tables)
    assert tomllib.loads(file.read_text(encoding="utf-8")) == tables


@settings(deadline=None)
@given(TABLES, TABLES)
def test_overrides_win_and_the_rest_stays(tables, overrides):
    found = merged(tables, overrides)
    for key in found.keys() | tables.keys() | overrides.keys():
        if key not in overrides:
            assert found[key] == tables[key]
        elif overrides[key] is False and isinstance(tables.get(key), dict):
            assert key not in found
        elif isinstance(overrides[key], dict):
            inner = tables.get(key)
            assert found[key] == merged(inner if isinstance(inner, dict) else {}, overrides[key])
        else:
            assert found[key] == overrides[key]


def test_false_removes_a_table():
    tables = {"search": {"ladder": {"epochs": 1}, "archive": True}}
    overrides = {"search": {"ladder": False, "archive": False}}
    assert merged(tables, overrides) == {"search": {"archive": False}}


@pytest.fixture(scope="module")
def plan():
    return Plan.from_toml(PLAN)


def chains():
    return Plan.from_toml(PLAN).chains


@pytest.mark.parametrize("chain", chains())
def test_every_chain_of_the_plan_is_a_study(chain, plan, tmp_path):
    logs = Logs(tmp_path, plan, {})
    config = logs.config(chain, "synthetic-10k", 3)
    assert (config.seed, config.data.synthetic_seed, config.data.synthetic_rows) == (3, 3, 10_000)
    written = tmp_path / "studies" / "synthetic-10k" / f"{chain}.toml"
    assert StudyConfig.from_toml(written).space == config.space


def test_an_ingredient_less_changes_what_it_names_alone(plan, tmp_path):
    logs = Logs(tmp_path, plan, {})
    for name, overrides in plan.without.items():
        ours = plan.chain("default", plan.logs["synthetic-10k"])
        less = plan.chain(f"without-{name}", plan.logs["synthetic-10k"])
        assert less == merged(ours, overrides) | {"name": f"without-{name}"}
        config = logs.chain(f"without-{name}", "synthetic-10k")
        assert config != logs.chain("default", "synthetic-10k")


def test_the_default_is_the_quickstart(plan, tmp_path):
    quickstart = StudyConfig.from_toml(PLAN.with_name("quickstart.toml"))
    config = Logs(tmp_path, plan, {}).config("default", "synthetic-120k", 0)
    for table in ("data", "space", "supernet", "oracle", "search", "retrain", "seed"):
        assert getattr(config, table) == getattr(quickstart, table)


def test_the_papers_protocol_is_scaled_and_keeps_the_space(plan, tmp_path):
    logs = Logs(tmp_path, plan, {})
    small, full = logs.chain("paper", "synthetic-10k"), logs.chain("paper", "synthetic-5m")
    published = StudyConfig.from_toml(PLAN.with_name("criteo_small.toml"))
    assert (full.search.n_trials, full.retrain.top) == (2048, 15)
    assert (small.search.n_trials, small.retrain.top) == (128, 3)
    assert small.supernet == full.supernet == published.supernet
    assert small.retrain.model == published.retrain.model
    assert small.space == logs.chain("default", "synthetic-10k").space


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("logs = 3", "logs: expected a table"),
        ("[logs]\na = { rows = 5 }", "a: .*budget_s"),
        ("[logs]\na = { budget_s = 0, rows = 5 }", "budget_s: expected above 0, got 0"),
        ("[logs]\na = { budget_s = 5 }", "rows: expected a number of rows"),
        ("[logs]\na = { budget_s = 5, rows = 0 }", "rows: expected 1 or more, got 0"),
        ("[logs]\na = { budget_s = 5, source = 'kdd' }", "a name under \\[schemas\\], got 'kdd'"),
        ("[logs]\n[without]\nladder = 3", "without: ladder: expected a table, got 3"),
        ("[logs]\n[extra]\n", "unknown key 'extra'"),
    ],
)
def test_a_bad_plan_is_one_sentence(text, sentence, tmp_path):
    file = tmp_path / "plan.toml"
    paper = 'paper = { study = "b.toml", tables = [] }'
    file.write_text(f'study = "a.toml"\n{paper}\n{text}\n')
    with pytest.raises(StudyError, match=sentence):
        Plan.from_toml(file)


def test_a_log_without_a_file_is_skipped_with_a_sentence(plan, tmp_path):
    there = tmp_path / "there.csv"
    there.write_text("label,a\n")
    logs = Logs(tmp_path, plan, {"frappe": there, "criteo": tmp_path / "gone.txt"})
    names, missing = logs.available(["criteo", "synthetic-10k", "frappe"])
    assert names == ["synthetic-10k", "frappe"]
    assert missing == [
        f"criteo: skipped, {tmp_path / 'gone.txt'}: expected a click log, found nothing"
    ]
    _, missing = Logs(tmp_path, plan, {}).available(["frappe"])
    assert missing == ["frappe: skipped, name its file: --data frappe=FILE"]
    with pytest.raises(StudyError, match="expected a source of criteo, frappe, got 'avazu'"):
        Logs(tmp_path, plan, {"avazu": there})


def test_rows_are_drawn_in_their_order(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("label,a\n" + "".join(f"0,{number}\n" for number in range(50)))

    def drawn(seed: int) -> list[str]:
        part = tmp_path / "part.csv"
        draw_rows(log, part, 20, seed, has_header=True)
        return part.read_text().splitlines()

    lines = drawn(0)
    assert lines[0] == "label,a"
    numbers = [int(line.split(",")[1]) for line in lines[1:]]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 20
    assert drawn(0) == lines
    assert drawn(1) != lines
    with pytest.raises(DataError, match="expected 51 rows or more, got 50"):
        draw_rows(log, tmp_path / "part.csv", 51, 0, has_header=True)
    draw_rows(log, tmp_path / "all.csv", 51, 0, has_header=False)
    assert (tmp_path / "all.csv").read_bytes() == Path(log).read_bytes()
