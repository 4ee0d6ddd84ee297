"""What a study file names: files beside it, and accelerators that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw import CPU, RecNMP, shipped_technology
from nasrec_opt.oracle import AdagradFit
from nasrec_opt.pipeline import StudyConfig
from nasrec_opt.pipeline._cost import accelerator_of
from nasrec_opt.pipeline._identity import settings_in_force

FASTER = 'kind = "cpu"\n[cpu]\npeak_gflops = 1234.0\n'


def study_with(folder, technology: str) -> StudyConfig:
    folder.mkdir(exist_ok=True)
    file = folder / "study.toml"
    file.write_text(f"[hardware]\ntechnology = {technology!r}\n")
    return StudyConfig.from_toml(file)


@pytest.mark.parametrize(("name", "kind"), [("cpu.toml", CPU), ("recnmp.toml", RecNMP)])
def test_a_study_names_an_accelerator_that_ships(tmp_path, monkeypatch, name, kind):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / name).write_text("= nonsense")  # what lies where the command runs is not meant
    monkeypatch.chdir(elsewhere)
    config = study_with(tmp_path / "study", name)
    assert accelerator_of(config.hardware.technology) == kind()
    assert settings_in_force(config, "synthetic")["hardware"]["technology"] == name


def test_a_file_beside_the_study_goes_before_one_that_ships(tmp_path):
    (tmp_path / "cpu.toml").write_text(FASTER)
    config = study_with(tmp_path, "cpu.toml")
    assert config.hardware.technology == tmp_path / "cpu.toml"
    assert accelerator_of(config.hardware.technology).cpu.peak_gflops == 1234.0


@pytest.mark.parametrize("name", ["nope.toml", "../cpu.toml", "technology/cpu.toml", ".", ""])
def test_only_the_bare_name_of_a_file_that_ships_finds_it(name):
    assert shipped_technology(name) is None


@pytest.mark.parametrize("name", ["criteo_small", "criteo_full", "criteo_codesign", "avazu", "kdd"])
def test_the_studies_of_the_paper_train_as_published(name):
    config = StudyConfig.from_toml(Path(__file__).parents[2] / "studies" / f"{name}.toml")
    train, fit = config.supernet, config.oracle.fitted(config.seed)
    assert (train.epsilon, train.clip_norm, train.rate_warmup_fraction) == (1e-2, 5.0, 0.1)
    assert (train.learning_rate, train.batch_size, train.initialization) == (0.12, 512, "xavier")
    assert config.oracle.fidelity == "last_layer"
    assert fit == AdagradFit(seed=config.seed)
