"""The baselines are a stage of their own: fitted once, kept, and fitted again where they lack."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S
from study_files import ONE_EPOCH, tiny_study_with

from nasrec_opt.data import Dataset
from nasrec_opt.pipeline import RunFolder, SilentReporter, StudyConfig, run_study
from nasrec_opt.pipeline._baselines import fitted_baselines
from nasrec_opt.pipeline.stages.train import TRAIN
from nasrec_opt.retrain import baselines


@pytest.fixture(scope="module")
def tiny_study(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tiny.toml"
    path.write_text(tiny_study_with(search={"n_trials": 4}, retrain=ONE_EPOCH))
    return path


@pytest.fixture(scope="module")
def finished(cli, tiny_study, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("baselines") / "run"
    result = cli("run", tiny_study, "--out", out)
    assert result.returncode == 0, result.stderr
    return out


def files_of(folder: RunFolder) -> tuple[Path, Path]:
    return folder.baselines, folder.answers_of_baselines


def written(*paths: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in paths}


def test_the_stage_comes_first_and_keeps_what_the_library_fits(cli, tiny_study, tmp_path):
    result = cli("baselines", tiny_study, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    folder = RunFolder(tmp_path / "run")
    assert folder.record().keys() == {"prepare", "baselines"}
    dataset = Dataset.open(folder.dataset)
    fitted, kept = baselines(dataset), fitted_baselines(folder, dataset)
    regression, constant = fitted["logistic_regression"], fitted["constant"]
    assert (
        f"baselines logistic regression: validation log loss {regression.validation_log_loss:.4f}, "
        f"test {regression.test_log_loss:.4f}; constant click rate: "
        f"{constant.validation_log_loss:.4f}, test {constant.test_log_loss:.4f} ["
    ) in result.stderr
    for name, baseline in fitted.items():
        assert kept[name].to_dict() == baseline.to_dict()
        np.testing.assert_array_equal(kept[name].validation_logits, baseline.validation_logits)
        np.testing.assert_array_equal(kept[name].test_logits, baseline.test_logits)


def test_a_run_killed_after_its_baselines_goes_on_with_them(
    cli, start, tiny_study, finished, tmp_path
):
    folder = RunFolder(tmp_path / "run")
    run = start("run", tiny_study, "--out", folder.path)
    deadline = time.monotonic() + PATIENCE_S
    while "baselines" not in folder.record() and time.monotonic() < deadline:
        time.sleep(0.002)
    run.stop(signal.SIGKILL)
    assert folder.record().keys() == {"prepare", "baselines"}
    before = written(*files_of(folder))
    result = cli("run", tiny_study, "--out", folder.path)
    assert result.returncode == 0, result.stderr
    assert "baselines already done" in result.stderr
    assert written(*files_of(folder)) == before
    alone = json.loads(RunFolder(finished).results.read_text())
    found = json.loads(folder.results.read_text())
    assert found["winner"] == alone["winner"]
    assert found["baselines"] == alone["baselines"]


class Told(SilentReporter):
    """Notes how far the stages are."""

    def __init__(self) -> None:
        self.stage = ""
        self.told: list[tuple[str, int, int | None]] = []

    def begin(self, stage: str, detail: str = "") -> None:
        self.stage = stage

    def advance(self, done: int, total: int | None) -> None:
        self.told.append((self.stage, done, total))


def test_progress_is_told(tiny_study, tmp_path):
    reporter = Told()
    config = StudyConfig.from_toml(tiny_study)
    run_study(config, tmp_path / "run", until="baselines", reporter=reporter)
    told = [entry[1:] for entry in reporter.told if entry[0] == "baselines"]
    assert told[0] == (0, 15)
    assert len(told) > 5


def test_a_run_of_an_older_version_is_brought_up_to_date(cli, tiny_study, finished, tmp_path):
    """It had the baselines' answers to test rows alone, and a winner that these had decided."""
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(finished, folder.path)
    kept = fitted_baselines(folder, Dataset.open(folder.dataset))
    shutil.rmtree(folder.baselines.parent)
    old = folder.retrained / "baselines.json", folder.retrained / "baselines.npz"
    np.savez(old[1], **{name: baseline.test_logits for name, baseline in kept.items()})
    figures = {name: baseline.to_dict() for name, baseline in kept.items()}
    fingerprint = Dataset.open(folder.dataset).fingerprint
    old[0].write_text(json.dumps({"dataset": fingerprint, "baselines": figures}))
    record = folder.record()
    # Of before the first scheme of settings, which said what decided the winner.
    del record["baselines"], record["retrain"]["settings"]["schema"]
    folder.record_path.write_text(json.dumps(record))
    current = json.loads(folder.results.read_text())
    results = json.loads(folder.results.read_text())
    for model in results["models"]:
        del model["against_on_validation"]
    results["winner"] = {"name": "model", "test_log_loss": results["models"][0]["test_log_loss"]}
    folder.results.write_text(json.dumps(results))
    models = [*folder.retrained.glob("*/result.json"), TRAIN.output(folder, ""), folder.study_db]
    before = written(*models)

    result = cli("run", tiny_study, "--out", folder.path)
    assert result.returncode == 0, result.stderr
    assert json.loads(folder.results.read_text()) == current
    assert written(*models) == before  # nothing was trained or searched again
    assert all(file.exists() for file in files_of(folder))
    assert not any(file.exists() for file in old)


@pytest.mark.parametrize("damage", ["removed", "cut", "of another log", "not JSON"])
def test_damaged_baselines_are_fitted_again(damage, finished, tmp_path):
    folder = RunFolder(tmp_path / "run")
    for part in ("dataset", "baselines"):
        shutil.copytree(finished / part, folder.path / part)
    dataset = Dataset.open(folder.dataset)
    kept = fitted_baselines(folder, dataset)
    figures, answers = files_of(folder)
    if damage == "removed":
        answers.unlink()
    elif damage == "cut":
        answers.write_bytes(answers.read_bytes()[:1000])
    elif damage == "of another log":
        figures.write_text(json.dumps(json.loads(figures.read_text()) | {"dataset": "0"}))
    else:
        figures.write_text("{")
    again = fitted_baselines(folder, dataset)
    for name, baseline in kept.items():
        assert again[name].to_dict() == baseline.to_dict()
    assert json.loads(figures.read_text())["dataset"] == dataset.fingerprint
    before = written(figures, answers)
    fitted_baselines(folder, dataset)
    assert written(figures, answers) == before
