"""Models that are trained before the supernet: there early, and never trained twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from study_files import tiny_study_with

from nasrec_opt.errors import StudyError
from nasrec_opt.ladder import _plan
from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.pipeline._probes import train_probes
from nasrec_opt.retrain import RetrainedModel

STUDY = tiny_study_with(
    search={"n_trials": 8, "ladder": {"models": 4, "epochs": 1, "probes": 2}},
    retrain={"top": 2, "model": {"learning_rates": [0.003], "epochs": 3, "batch_size": 128}},
)


def config(folder: Path, text: str = STUDY) -> StudyConfig:
    (folder / "tiny.toml").write_text(text)
    return StudyConfig.from_toml(folder / "tiny.toml")


def contents(out: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a trained model, with the time of its last change."""
    files = [path for path in (out / "retrained").rglob("*") if path.is_file()]
    return {str(f.relative_to(out)): (f.stat().st_mtime_ns, f.read_bytes()) for f in files}


@pytest.fixture(scope="module")
def probed(tmp_path_factory) -> Path:
    """A run up to its probes, which the tests copy."""
    folder = tmp_path_factory.mktemp("probed")
    run_study(config(folder), folder / "run", until="probe")
    return folder / "run"


@pytest.fixture(scope="module")
def laddered(probed, tmp_path_factory) -> Path:
    """The same run, up to its ladder."""
    folder = tmp_path_factory.mktemp("laddered")
    out = shutil.copytree(probed, folder / "run")
    run_study(config(folder), out, until="ladder")
    return out


def test_probes_are_there_before_the_supernet_and_climb_without_training(
    probed, laddered, tmp_path
):
    assert not (probed / "supernet").exists()
    models = sorted(path.parent.name for path in probed.glob("retrained/*/result.json"))
    assert len(models) == 2
    before = {k: v for k, v in contents(probed).items() if k.split("/")[1] in models}

    out = shutil.copytree(laddered, tmp_path / "run")
    run_study(config(tmp_path), out)
    after = contents(out)
    assert {name: after[name] for name in before} == before
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{out}/study.db")
    assert len(study.trials) == 8
    climbed = json.loads((out / "ladder.json").read_text())
    assert [model["trial"] for model in climbed["models"]][:2] == [0, 1]
    results = json.loads((out / "retrained" / "results.json").read_text())
    assert len(results["models"]) == 2


def test_a_probe_is_the_model_that_retraining_gives(probed, tmp_path):
    """Where a search has no other models they go on, and nothing is trained again."""
    out = shutil.copytree(probed, tmp_path / "run")
    text = STUDY.replace("n_trials = 8", "n_trials = 2")
    run_study(config(tmp_path, text), out, until="probe")
    early = {path.parent.name for path in out.glob("retrained/*/result.json")}
    run_study(config(tmp_path, text), out)
    results = json.loads((out / "retrained" / "results.json").read_text())
    assert {m["trial"] for m in results["models"]} == {0, 1}
    assert {path.parent.name for path in out.glob("retrained/*/result.json")} == early


def test_searched_models_have_the_places_of_the_last_rung_to_themselves(probed, tmp_path):
    out = shutil.copytree(probed, tmp_path / "run")
    text = STUDY.replace("n_trials = 8", "n_trials = 4")
    run_study(config(tmp_path, text), out, until="ladder")
    climbed = json.loads((out / "ladder.json").read_text())
    assert [model["trial"] for model in climbed["models"]][:2] == [0, 1]
    assert set(climbed["finalists"]) == {2, 3}


def test_a_probe_that_is_better_than_all_finalists_takes_part(laddered, tmp_path):
    """The ladder decides after little training; a probe is trained to the end already."""
    out = shutil.copytree(laddered, tmp_path / "run")
    climbed = json.loads((out / "ladder.json").read_text())
    probes = {model["trial"] for model in climbed["models"][:2]}
    worst = max(climbed["models"][2:], key=lambda model: model["log_losses"][0])["trial"]
    (out / "ladder.json").write_text(json.dumps(climbed | {"finalists": [worst]}))
    run_study(config(tmp_path), out)
    models = json.loads((out / "retrained" / "results.json").read_text())["models"]
    of_probes = [
        json.loads((file / "result.json").read_text())["figures"]["validation_log_loss"]
        for file in out.glob("retrained/*")
        if (file / "epochs-1.safetensors").exists() and (file / "result.json").exists()
    ]
    assert {model["trial"] for model in models} & probes
    assert models[0]["trial"] in probes
    assert models[0]["validation_log_loss"] == min(of_probes)


def test_other_probes_are_a_second_search_beside_the_first(probed, tmp_path):
    out = shutil.copytree(probed, tmp_path / "run")
    run_study(config(tmp_path), out, until="search")
    run_study(config(tmp_path, STUDY.replace("probes = 2", "probes = 1")), out, until="search")
    storage = f"sqlite:///{out}/study.db"
    names = {study.study_name for study in optuna.get_all_study_summaries(storage)}
    assert names == {"tiny", "tiny-evolution"}


def test_probes_count_among_the_trials(tmp_path):
    text = STUDY.replace("n_trials = 8", "n_trials = 1")
    with pytest.raises(StudyError, match="probes: expected at most n_trials = 1 genotypes"):
        config(tmp_path, text)


@pytest.mark.parametrize(
    ("workers", "early_and_finished"),
    [(1, [(1, 0), (0, 1), (0, 2)]), (2, [(1, 0), (2, 0), (1, 1), (0, 2)])],
)
def test_with_long_epochs_the_first_probes_are_models_before_one_is_finished(
    probed, tmp_path, monkeypatch, workers, early_and_finished
):
    text = STUDY.replace("[retrain]\n", f"[retrain]\nworkers = {workers}\n")
    run = run_study(config(tmp_path, text), tmp_path / "early", until="prepare")
    monkeypatch.setattr(_plan, "LONG_EPOCH", 1)
    seen: list[tuple[int, int]] = []

    def see(models: Sequence[RetrainedModel]) -> None:
        early = sum(model.path.name == "early" for model in models)
        seen.append((early, len(models) - early))
        assert all(model.weights() for model in models)

    train_probes(run.config, run.folder, run.dataset(), lambda *_: None, on_model=see)
    assert seen == early_and_finished
    of_whole, of_early = contents(probed), contents(tmp_path / "early")
    weights = [name for name in of_whole if name.endswith("model/weights.safetensors")]
    assert len(weights) == 2
    assert {n: of_early[n][1] for n in weights} == {n: of_whole[n][1] for n in weights}
    assert not [name for name in of_early if "/early/" in name]
