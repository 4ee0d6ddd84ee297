"""The comparison of samplers, end to end on a few trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from mlflow.tracking import MlflowClient
from scipy.stats import mannwhitneyu

from nasrec_opt.benchmark import TabularBenchmark
from studies._contenders import CONTENDERS, Record, records
from studies._problems import PROBLEMS, Yardstick, make_problem
from studies.compare_samplers import main

STUDY = """
name = "compare"
[data]
synthetic_rows = 400
[space]
preset = "codesign"
num_blocks = 1
[supernet]
batch_size = 64
"""


def arguments(folder: Path, **options) -> list[str]:
    options = {
        "out": folder, "seeds": 2, "workers": 1, "problems": "table,table_log_loss",
        "contenders": "evolution,evolution_screened,random",
    } | options  # fmt: skip
    return ["--trials", "20", "40", *(f"--{name}={value}" for name, value in options.items())]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "run"
    assert main(arguments(folder)) == 0
    return folder


def trials(folder: Path, name: str) -> list[np.ndarray]:
    return [np.load(folder / "trials" / f"{name}-{seed}-40.npz")["values"] for seed in range(2)]


def test_the_table_is_what_the_trials_say(finished):
    table = pl.read_parquet(finished / "comparison.parquet")
    assert len(table) == 2 * 3 * 2
    benchmark = TabularBenchmark.load()
    best = benchmark.column("log_loss").min()
    regrets = {
        name: [1e4 * (found[:20].min() - best) for found in trials(finished, name)]
        for name in ("table_log_loss-evolution", "table_log_loss-random")
    }
    row = table.row(
        by_predicate=(pl.col("problem") == "table_log_loss")
        & (pl.col("contender") == "random")
        & (pl.col("trials") == 20),
        named=True,
    )
    assert row["missing"] == pytest.approx(np.median(regrets["table_log_loss-random"]))
    own, ours = regrets["table_log_loss-random"], regrets["table_log_loss-evolution"]
    assert row["p"] == pytest.approx(mannwhitneyu(own, ours).pvalue)
    assert row["searches"] == 2


def test_what_was_searched_is_in_the_table(finished):
    benchmark = TabularBenchmark.load()
    known = {tuple(row) for row in benchmark.values}
    for found in trials(finished, "table-evolution_screened"):
        assert {tuple(row) for row in found} <= known
        assert len(found) == 40


def test_report_and_runs(finished):
    text = (finished / "comparison.md").read_text()
    assert text.count("| ours, screened |") == 2
    assert "20 trials | 40 trials" in text
    assert (finished / "comparison.png").read_bytes().startswith(b"\x89PNG")
    client = MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("compare_samplers")
    assert len(client.search_runs([experiment.experiment_id])) == 1 + 12


def test_a_page_gets_tables_and_picture(finished, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table -->\nold\n<!-- end -->\nafter\n")
    assert main(arguments(finished, write=page)) == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| ours, screened |" in text
    assert "old" not in text
    assert (tmp_path / "page.png").exists()


def test_a_comparison_may_do_without_ours(tmp_path):
    options = {"problems": "table", "contenders": "random", "seeds": 1}
    assert main(arguments(tmp_path / "run", **options)) == 0
    table = pl.read_parquet(tmp_path / "run" / "comparison.parquet")
    assert table["ours"].to_list() == [None, None]


def test_what_is_done_is_not_done_again(finished, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in (finished / "trials").iterdir()}
    assert main(arguments(finished)) == 0
    assert {path: path.stat().st_mtime_ns for path in (finished / "trials").iterdir()} == before


def test_the_live_problem_trains_what_it_asks(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    options = {"study": tmp_path / "study.toml", "rows": 32, "seeds": 1}
    assert main(
        arguments(tmp_path / "run", problems="live", contenders="evolution,random", **options)
    ) == 0  # fmt: skip
    values = np.load(tmp_path / "run" / "trials" / "live-random-0-40.npz")["values"]
    assert values.shape == (40, 3)
    table = pl.read_parquet(tmp_path / "run" / "comparison.parquet")
    assert table["missing"].is_between(0, 100).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"problems": "tabel"}, "problems: expected of table, table_log_loss, live"),
        ({"contenders": "nsga"}, "contenders: expected of evolution,"),
        ({"seeds": 0}, "seeds: expected 1 or more, got 0"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, options, message):
    assert main(arguments(tmp_path / "run", **options)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("problem", ["zdt1", "zdt3", "dtlz2"])
def test_public_functions_have_the_fronts_that_are_published(problem):
    pytest.importorskip("pymoo", reason="pymoo comes with the extra bench")
    front = make_problem(problem).front
    assert Yardstick(front).missing(front, [len(front)]) == [pytest.approx(0.0, abs=1e-12)]
    values, overheads_s = records(CONTENDERS["random"], make_problem(problem), 30, 0)
    missing = Yardstick(front).missing(values, [10, 20, 30])
    assert missing == sorted(missing, reverse=True)
    assert 0 <= missing[-1] <= 1
    assert (overheads_s > 0).all()


@pytest.mark.parametrize(
    ("peer", "package"), [("pymoo_nsga2", "pymoo"), ("syne_tune", "syne_tune")]
)
def test_peers_search_the_table_and_improve(peer, package):
    pytest.importorskip(package, reason=f"{package} comes with the extra bench")
    record = Record(make_problem("table_log_loss"))
    CONTENDERS[peer].search(record, 300, 0)
    values = np.array(record.values)[:, 0]
    assert len(values) >= 300
    assert values[-50:].mean() < values[:50].mean()


def test_every_problem_has_someone_to_search_it():
    for name in PROBLEMS:
        if name.startswith("table"):
            assert sum(c.takes(make_problem(name)) for c in CONTENDERS.values()) >= 8
