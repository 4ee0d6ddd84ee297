"""The tabular benchmark: complete, self-consistent, and an objective like any other."""

from __future__ import annotations

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.samplers import RegularizedEvolutionSampler
from nasrec_opt.space import Genotype, SearchSpace
from nasrec_opt.tabular import METRICS, TabularBenchmark

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(scope="module")
def benchmark() -> TabularBenchmark:
    return TabularBenchmark.load()


@pytest.fixture(scope="module")
def tiny() -> TabularBenchmark:
    space = SearchSpace(
        num_blocks=2, dense_ops=("fc",), sparse_ops=("efc",), dense_widths=(16, 32),
        sparse_widths=(16,), mergers=False,
    )  # fmt: skip
    models = list(dict.fromkeys(genotype.canonical().to_json() for genotype in space))
    rng = np.random.default_rng(0)
    return TabularBenchmark(
        space, {"genotype": models, **{name: rng.random(len(models)) for name in METRICS}}
    )


def test_any_proposal_of_the_space_is_in_the_table(benchmark):
    rng = np.random.default_rng(0)
    assert len(benchmark) >= 2000
    assert len(set(benchmark.genotypes)) == len(benchmark)
    for _ in range(300):
        metrics = benchmark.metrics(benchmark.space.sample(rng))
        assert all(np.isfinite(value) for value in metrics.values())


def test_a_search_approaches_the_front(benchmark):
    share = {}
    for n_trials in (20, 200):
        sampler = RegularizedEvolutionSampler(
            benchmark.space, population_size=32, tournament_size=16, seed=0
        )
        study = optuna.create_study(directions=benchmark.directions, sampler=sampler)
        study.optimize(benchmark, n_trials=n_trials)
        share[n_trials] = benchmark.hypervolume([trial.values for trial in study.trials])
    assert 0 < share[20] < share[200] <= 1
    assert benchmark.hypervolume(benchmark.front) == pytest.approx(1)
    assert benchmark.hypervolume(benchmark.values) == pytest.approx(1)


def test_a_table_is_read_back_as_it_was_written(tiny, tmp_path):
    tiny.save(tmp_path / "table.parquet")
    again = TabularBenchmark.load(tmp_path / "table.parquet", objectives=["auc"])
    assert again.space == tiny.space
    assert again.genotypes == tiny.genotypes
    assert again.column("log_loss").tolist() == tiny.column("log_loss").tolist()
    assert again.directions == ["maximize"]
    assert again.front.item() == again.column("auc").max()
    assert again.reference_point.item() == again.column("auc").min()


def test_a_genotype_of_another_space_is_refused(tiny):
    genotype = next(iter(tiny.space))
    wide = Genotype.from_json(genotype.to_json().replace('"dense_width":16', '"dense_width":64'))
    with pytest.raises(GenotypeError, match=r"dense_width: expected one of 16, 32, got 64"):
        tiny.metrics(wide)


def test_a_file_that_is_no_table_is_one_sentence(tmp_path):
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(StudyError, match=r"bad.parquet: expected the table of a benchmark, got"):
        TabularBenchmark.load(tmp_path / "bad.parquet")
    pq.write_table(pa.table({"genotype": ["{}"]}), tmp_path / "other.parquet")
    with pytest.raises(StudyError, match=r"other.parquet: expected the table of a benchmark"):
        TabularBenchmark.load(tmp_path / "other.parquet")


def test_an_unknown_objective_is_one_sentence(tiny):
    with pytest.raises(StudyError, match=r"objectives: expected some of log_loss, .*got 'loss'"):
        TabularBenchmark(tiny.space, {}, objectives=["loss"])
