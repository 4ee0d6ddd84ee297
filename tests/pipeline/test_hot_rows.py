"""A search over on-chip memory for embedding rows, with the popularity of the log's own rows."""

from __future__ import annotations

import json

import numpy as np
import optuna
import pytest
from pipeline.test_target import STUDY, figures

from hw import Popularity, ReRAM
from nasrec_opt import Genotype, lower
from nasrec_opt.data import Dataset
from nasrec_opt.lowering import configure
from nasrec_opt.pipeline import StudyConfig, run_study


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hot")
    text = STUDY.format(binned="true", technology="reram_32nm.toml")
    text = text.replace("num_blocks = 1", "num_blocks = 1\nhot_rows_kib = [0, 4]")
    (folder / "tiny.toml").write_text(text)
    run_study(StudyConfig.from_toml(folder / "tiny.toml"), folder / "run", until="retrain")
    return folder / "run"


def test_trials_and_winners_cost_what_their_log_says(run, tmp_path):
    dataset = Dataset.open(run / "dataset", min_count=1, binned_dense=True)
    counts = np.concatenate([
        np.bincount(column, minlength=size)
        for column, size in zip(
            dataset.split("train").rows(slice(None)).sparse.T, dataset.features.cardinalities,
            strict=True,
        )
    ])  # fmt: skip
    accelerator = ReRAM(popularity=Popularity.of(counts))
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{run}/study.db")
    sizes = set()
    for trial in study.trials:
        genotype = Genotype.from_trial(trial)
        sizes.add(genotype.hardware.hot_rows_kib)
        cost = configure(accelerator, genotype.hardware).cost(lower(genotype, dataset.features))
        energy = study.metric_names.index("energy_uj")
        assert trial.values[energy] == pytest.approx(cost.energy_pj * 1e-6)
    assert sizes == {0, 4}
    results = json.loads((run / "retrained" / "results.json").read_text())
    told = results["conditions"]["popularity"]
    assert Popularity(**told) == accelerator.popularity
    for rank, model in enumerate(results["models"], start=1):
        assert figures(run, "--model", rank)["energy_uj"] == model["energy_uj"]


def test_a_genotype_is_costed_with_its_run_and_one_sentence_without(run, cli, tmp_path):
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{run}/study.db")
    found = (Genotype.from_trial(trial) for trial in study.trials)
    genotype = next(genotype for genotype in found if genotype.hardware.hot_rows_kib == 4)
    (tmp_path / "g.json").write_text(genotype.to_json())
    told = cli("cost", tmp_path / "g.json", "--run", run, "--json")
    assert told.returncode == 0, told.stderr
    assert any(part == "memory" for part in json.loads(told.stdout)["components"]["area_mm2"])
    alone = cli("cost", tmp_path / "g.json")
    assert alone.returncode == 2
    assert "hot_rows.kib: expected 0 where nothing says how often rows are read" in alone.stderr
    assert len(alone.stderr.splitlines()) == 1
