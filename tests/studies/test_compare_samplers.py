"""The comparison of samplers, end to end on a few trials."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.tracking import MlflowClient
from scipy.stats import mannwhitneyu

from nasrec_opt.tabular import TabularBenchmark
from studies import _peers
from studies._contenders import CONTENDERS, records
from studies._landscapes import LANDSCAPES, Landscape
from studies._peers import Record
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
        "contenders": "evolution,evolution_paper,random",
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
    for found in trials(finished, "table-evolution_paper"):
        assert {tuple(row) for row in found} <= known
        assert len(found) == 40


def test_report_and_runs(finished):
    text = (finished / "comparison.md").read_text()
    assert text.count("| ours, as in the paper |") == 2
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
    assert "| ours, as in the paper |" in text
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
        ({"problems": "tabel"}, "problems: expected some of table, table_log_loss, live"),
        ({"contenders": "nsga"}, "contenders: expected some of evolution,"),
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
    ("peer", "package", "num_trials"),  # LINAS searches its surrogate every 50 trials
    [("pymoo_nsga2", "pymoo", 300), ("syne_tune", "syne_tune", 300), ("linas", "pymoo", 150)],
)
def test_peers_search_the_table_and_improve(peer, package, num_trials, monkeypatch):
    pytest.importorskip(package, reason=f"{package} comes with the extra bench")
    monkeypatch.setattr(_peers, "LINAS_GENERATIONS", 10)
    record = Record(make_problem("table_log_loss"))
    CONTENDERS[peer].search(record, num_trials, 0)
    values = np.array(record.values)[:, 0]
    assert len(values) >= num_trials
    assert values[-50:].mean() < values[:50].mean()


def test_samplers_of_optunahub_come_from_the_folder_that_is_named(tmp_path, monkeypatch):
    pytest.importorskip("optunahub.hub", reason="the extra 'dev' is not installed")
    package = tmp_path / "samplers" / "hype"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from optuna.samplers import RandomSampler\nclass HypESampler(RandomSampler): ...\n"
    )
    monkeypatch.setenv("OPTUNAHUB_REGISTRY", str(tmp_path))
    values, _ = records(CONTENDERS["hub_hype"], make_problem("table"), 5, 0)
    assert values.shape == (5, 3)


@pytest.mark.parametrize("kind", LANDSCAPES)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_landscape_says_the_same_of_every_spelling_of_a_model(kind, seed):
    landscape = made(kind)
    genotype = landscape.space.sample(np.random.default_rng(seed))
    values = landscape.evaluate(genotype)
    assert (
        values == landscape.evaluate(genotype.canonical()) == Landscape(kind, 0).evaluate(genotype)
    )
    assert np.isfinite(values).all()
    assert min(values) > 0


@cache
def made(kind: str) -> Landscape:
    return Landscape(kind, 0)


def test_no_landscape_is_the_sum_of_what_each_block_is_worth():
    # With blocks that did not interact, two changes together would do what each does.
    rng = np.random.default_rng(0)
    for kind in LANDSCAPES:
        landscape, found = made(kind), []
        for _ in range(60):
            one = landscape.space.sample(rng)
            other = landscape.space.sample(rng)
            swapped = [
                replace(
                    one,
                    blocks=tuple(
                        (o if n in kept else b)
                        for n, (b, o) in enumerate(zip(one.blocks, other.blocks, strict=True))
                    ),
                )
                for kept in ((), (5,), (6,), (5, 6))
            ]
            zero, five, six, both = (np.log(landscape.evaluate(g)[0]) for g in swapped)
            found.append(abs((five - zero) + (six - zero) - (both - zero)))
        # In a trap most pairs of changes meet nothing: its blocks interact where a trap closes.
        assert np.mean(found) > 1e-3, kind


def test_whoever_follows_the_slope_of_the_trap_ends_beside_what_is_best():
    landscape = made("trap")
    rng = np.random.default_rng(0)
    ends = []
    for _ in range(5):
        genotype = landscape.space.sample(rng)
        for _ in range(400):
            child = landscape.space.mutate(genotype, rng)
            if landscape.evaluate(child)[0] <= landscape.evaluate(genotype)[0]:
                genotype = child
        ends.append(landscape.evaluate(genotype)[0])
    best = np.exp(-1.6 * 7 * 1.5 / 5.0)  # not reached: a bound, all blocks right
    assert min(ends) > 1.2 * best


def test_every_problem_has_someone_to_search_it():
    for name in PROBLEMS:
        if name.startswith("table"):
            assert sum(c.takes(make_problem(name)) for c in CONTENDERS.values()) >= 8
