"""The models of a run averaged: chosen on validation rows, within the constraints, whole."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from sklearn.metrics import log_loss
from study_files import tiny_study_with

from hw import TechnologyFile, shipped_technology
from nasrec_opt import Subnet
from nasrec_opt.features import FeatureSpec
from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.pipeline._baselines import fitted_baselines
from nasrec_opt.pipeline._conditions import Conditions
from nasrec_opt.pipeline._cost import architecture_cost, ensemble_cost
from nasrec_opt.pipeline._ensembling import Judge, ensemble_of
from nasrec_opt.pipeline._model_table import compare_models
from nasrec_opt.report import averaged_in_words
from nasrec_opt.retrain import Ensemble, RetrainedModel
from nasrec_opt.space import SearchSpace

STUDY = tiny_study_with(
    data={"synthetic_rows": 4000},
    space={"preset": None, "num_blocks": None, "file": "space.toml"},
    search={"n_trials": 8, "ladder": {"models": 4, "epochs": 1, "probes": 2}},
    retrain={
        "top": 2,
        "seeds": 2,
        "ensemble": 3,
        "model": {"learning_rates": [0.003], "epochs": 5, "batch_size": 128},
    },
)
SPACE = """
name = "narrow"
num_blocks = 2
dense_ops = ["fc", "dot"]
sparse_ops = ["efc"]
dense_widths = [16, 32, 64]
sparse_widths = [16]
"""


def config(folder: Path, text: str = STUDY) -> StudyConfig:
    (folder / "space.toml").write_text(SPACE)
    (folder / "tiny.toml").write_text(text)
    return StudyConfig.from_toml(folder / "tiny.toml")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble")
    run_study(config(folder), folder / "run", until="probe")
    told = json.loads((folder / "run" / "probes.json").read_text())
    early = folder / "run" / "retrained" / "ensemble"
    assert early.is_dir() == ("ensemble" in told)
    run_study(config(folder), folder / "run")
    return folder / "run"


def results_of(out: Path) -> dict:
    return json.loads((out / "retrained" / "results.json").read_text())


def answers(ensemble: Ensemble, out: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    config = StudyConfig.from_toml(out.parent / "tiny.toml")
    rows = run_study(config, out, until="prepare").dataset().split(split)
    batch = rows.rows(np.arange(rows.num_rows))
    with torch.inference_mode():
        logits = ensemble(torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse)).numpy()
    return logits, batch.labels


def test_its_figures_are_those_of_its_folder(out):
    found = results_of(out)["ensemble"]
    ensemble = Ensemble.load(out / "retrained" / "ensemble")
    assert 2 <= len(found["members"]) <= 3
    assert len(ensemble.members) == len(found["members"])
    assert {member["weights"] for member in found["members"]} <= {"model", "other_epoch"}
    for member, model in zip(found["members"], ensemble.members, strict=True):
        weights = Subnet.load(out / member["folder"] / member["weights"]).state_dict()
        assert all(value.equal(weights[name]) for name, value in model.state_dict().items())
    genotypes = [member.genotype.to_dict() for member in ensemble.members]
    assert genotypes == [member["genotype"] for member in found["members"]]
    logits, labels = {}, {}
    for split in ("validation", "test"):
        logits[split], labels[split] = answers(ensemble, out, split)
    logits["validation"] = np.mean(  # from before these rows were learnt
        [
            np.load(out / member["folder"] / member["weights"] / "validation_logits.npy")
            for member in found["members"]
        ],
        axis=0,
    )
    for split in ("validation", "test"):
        expected = log_loss(labels[split], 1 / (1 + np.exp(-logits[split].astype(float))))
        assert found[f"{split}_log_loss"] == pytest.approx(expected, abs=1e-6)


def test_it_is_better_on_validation_rows_than_any_model_and_wins(out):
    results = results_of(out)
    found = results["ensemble"]["validation_log_loss"]
    assert all(found < model["validation_log_loss"] for model in results["models"])
    competitors = [b["validation_log_loss"] for b in results["baselines"].values()]
    if found < min(competitors):
        assert results["winner"]["name"] == "ensemble"
    page = (out / "report.html").read_text()
    words = averaged_in_words(results["ensemble"])
    assert f"ensemble of {words}<" in page
    assert f"log loss of the mean of {words} (test rows" in page


def test_it_is_a_row_of_the_table_of_models(out):
    results = results_of(out)
    name = f"ensemble of {averaged_in_words(results['ensemble'])}"
    [row] = [row for row in compare_models(out) if row.name == name]
    for figure in ("validation_log_loss", "test_log_loss", "test_auc", "mflops", "energy_uj"):
        assert getattr(row, figure) == pytest.approx(results["ensemble"][figure])


def test_it_costs_what_its_models_cost_together(out):
    found = results_of(out)["ensemble"]
    models = {json.dumps(m["genotype"]): m for m in results_of(out)["models"]}
    costs = [models.get(json.dumps(member["genotype"])) for member in found["members"]]
    known = [cost for cost in costs if cost is not None]
    assert found["parameters"] >= sum(cost["parameters"] for cost in known)
    assert found["latency_us"] >= max(cost["latency_us"] for cost in known)
    if len(known) == len(costs):
        assert found["parameters"] == sum(cost["parameters"] for cost in known)


@pytest.mark.parametrize("technology", ["reram_32nm.toml", "cpu.toml"])
def test_two_epochs_of_one_model_cost_what_two_models_cost(technology):
    """They are two sets of weights: crossbars hold both, and a processor runs both."""
    features = FeatureSpec(num_dense=3, cardinalities=(50, 20, 10))
    conditions = Conditions(features, TechnologyFile.read(shipped_technology(technology)))
    genotype = SearchSpace.nasrec_small(num_blocks=2).sample(np.random.default_rng(0))
    one = architecture_cost(genotype, conditions)

    def switched_uj(figures: dict) -> float:
        """Energy without leakage, which two models at once have only once."""
        return figures["energy_uj"] - figures["leakage_mw"] * figures["latency_us"] * 1e-3

    for epochs in (1, 2, 3):
        together = ensemble_cost([genotype] * epochs, conditions)
        assert together["parameters"] == epochs * one["parameters"]
        for figure in (switched_uj, lambda figures: figures["mflops"]):
            # The mean itself takes a few operations.
            assert figure(together) == pytest.approx(epochs * figure(one), rel=2e-3)


def test_a_run_that_is_moved_has_it_and_does_nothing_again(out, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(out, moved)
    before = results_of(moved)
    shutil.copy(out.parent / "tiny.toml", tmp_path)
    run_study(config(tmp_path), moved)
    assert results_of(moved) == before
    Ensemble.load(moved / "retrained" / "ensemble")


def test_it_keeps_the_constraints_as_a_whole_or_is_not_there(out, tmp_path):
    run = run_study(StudyConfig.from_toml(out.parent / "tiny.toml"), out, until="prepare")
    dataset = run.dataset()
    judge = Judge(dataset, fitted_baselines(run.folder, dataset))
    conditions = Conditions(dataset.features, TechnologyFile.read(None))
    files = sorted(out.glob("retrained/*/result.json"))
    models = [
        (3, RetrainedModel.from_dict(json.loads(file.read_text())["figures"], file.parent))
        for file in files
    ]
    free = results_of(out)["ensemble"]
    for share in (1.0, 0.999):
        found = ensemble_of(
            models,
            judge,
            conditions,
            most=3,
            constraints={"parameters": free["parameters"] * share, "log_loss": 0.0},
            where=tmp_path / "ensemble",
        )
        if share == 1.0:
            assert found is not None
            assert found["validation_log_loss"] == free["validation_log_loss"]
        assert found is None or found["parameters"] <= free["parameters"] * share
        assert (tmp_path / "ensemble").is_dir() == (found is not None)


def test_without_it_a_record_is_that_of_before_there_was_one(out, tmp_path):
    moved = tmp_path / "run"
    shutil.copytree(out, moved)
    run_study(config(tmp_path, STUDY.replace("ensemble = 3\n", "")), moved)
    assert "ensemble" not in results_of(moved)
    assert not (moved / "retrained" / "ensemble").exists()
    record = json.loads((moved / "run.json").read_text())
    assert "ensemble" not in record["retrain"]["settings"]["retrain"]


def test_the_page_on_files_lists_those_of_a_run_and_no_others(out):
    """Every file that a run leaves is in docs/reference/files.md, and every file there is left."""
    page = (REPOSITORY / "docs" / "reference" / "files.md").read_text()
    tables = page[page.index("## The run folder") : page.index("## Exported models")]
    lines = re.findall(r"^\| `([^`]+)` \| (.+) \|$", tables, re.MULTILINE)
    patterns = {path: pattern_of(path) for path, _ in lines}
    needed = {path for path, meaning in lines if "; optional" not in meaning}
    files = [p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()]
    open_files = re.compile(r".+\.db-(wal|shm)")
    unlisted = [
        file
        for file in files
        if not open_files.fullmatch(file) and not any(p.fullmatch(file) for p in patterns.values())
    ]
    assert unlisted == []
    assert [path for path in needed if not any(map(patterns[path].fullmatch, files))] == []


def pattern_of(path: str) -> re.Pattern[str]:
    """The paths that a line of the page stands for: `<...>` is a name, `**` is anything."""
    parts = re.split(r"(<[^>]+>|\*\*)", path)
    written = {"**": ".+"}
    return re.compile(
        "".join(
            written.get(part, "[^/]+" if part.startswith("<") else re.escape(part))
            for part in parts
        )
    )
