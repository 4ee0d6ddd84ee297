"""Bits in a study file: those of the space, of the accelerator, and of what a search ranks by."""

from __future__ import annotations

import json
import shutil

import pytest

from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.oracle import OracleOptions, SupernetOracle
from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.retrain import predict
from nasrec_opt.retrain._metrics import log_loss
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet

TINY = """
name = "tiny"
[data]
synthetic_rows = 1000
[supernet]
batch_size = 128
[search]
n_trials = 6
objectives = ["log_loss", "energy_uj"]
[search.evolution]
population_size = 4
tournament_size = 2
children_per_round = 2
[retrain]
top = 2
[retrain.model]
epochs = 1
batch_size = 128
learning_rates = [0.003]
"""
SPACE = "[space]\nnum_blocks = 2\n"


def study(tmp_path, text: str) -> StudyConfig:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY + text)
    return StudyConfig.from_toml(file)


@pytest.mark.parametrize("technology", ["", '[hardware]\ntechnology = "handcrafted.toml"\n'])
def test_floating_point_on_crossbars_is_refused_before_anything_is_done(tmp_path, technology):
    config = study(tmp_path, SPACE + "bits = [32]\n" + technology)
    with pytest.raises(StudyError, match=r"bits = \[32\] is floating point, and crossbars hold"):
        run_study(config, tmp_path / "run")
    assert not (tmp_path / "run" / "dataset").exists()


def test_bits_of_a_study_are_those_of_its_space(tmp_path):
    text = SPACE + "bits = [[4, 8], 6, 32]\n"
    assert study(tmp_path, text).space.build().bits == ((4, 8), 6, 32)
    with pytest.raises(StudyError, match=r"tiny.toml: \[space\]: bits|dense_bits"):
        study(tmp_path, SPACE + "bits = [9]\n")


def test_only_models_of_8_bits_may_be_ranked_in_floating_point(tmp_path):
    for bits in ("[4]", "[4, 8]", "[[8, 7]]"):
        config = study(tmp_path, SPACE + f"bits = {bits}\n" + '[oracle]\nbits = "float"\n')
        with pytest.raises(StudyError, match="bits: expected 'genotype'"):
            run_study(config, tmp_path / "run", until="prepare")


@pytest.mark.parametrize("ranked", ["genotype", "float"])
def test_winners_have_their_log_losses_at_their_bits(tmp_path, ranked):
    config = study(tmp_path, SPACE + f'[oracle]\nprecision = "float32"\nbits = "{ranked}"\n')
    out = tmp_path / "run"
    run_study(config, out)
    results = json.loads((out / "retrained" / "results.json").read_text())
    dataset = Dataset.open(out / "dataset")
    exact, floats = (
        SupernetOracle.load(out / "supernet", dataset, OracleOptions(bits=bits))
        for bits in ("genotype", "float")
    )
    page = (out / "report.html").read_text()
    for model in results["models"]:
        genotype = Genotype.from_dict(model["genotype"])
        at_bits, in_floats = (o.evaluate(genotype).log_loss for o in (exact, floats))
        assert at_bits != in_floats
        if ranked == "float":
            assert model["search_log_loss"] == pytest.approx(in_floats, abs=1e-6)
            assert model["search_log_loss_at_bits"] == pytest.approx(at_bits, abs=1e-6)
        else:
            assert model["search_log_loss"] == pytest.approx(at_bits, abs=1e-6)
            assert "search_log_loss_at_bits" not in model
    assert ("ranked models in floating point" in page) == (ranked == "float")
    for folder in (out / "retrained").glob("*/model"):
        saved, figures = (
            Subnet.load(folder),
            json.loads((folder.parent / "result.json").read_text()),
        )
        scored = log_loss(*predict(saved, dataset.split("test")))
        assert figures["figures"]["test_log_loss"] == pytest.approx(scored, abs=1e-6)
        assert saved.genotype == saved.genotype.with_bits(8)
    shutil.rmtree(out)
