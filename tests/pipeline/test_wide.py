"""The first-order term in a study file: searched, retrained, costed and shown like other genes."""

from __future__ import annotations

import json

import optuna
import pytest

from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet, Supernet

STUDY = """
name = "tiny"
[data]
synthetic_rows = 1000
binned_dense = true
[space]
num_blocks = 2
wide = [false, true]
[supernet]
batch_size = 128
[oracle]
fidelity = "last_layer"
[search]
n_trials = 12
[search.evolution]
population_size = 4
tournament_size = 2
children_per_round = 2
[retrain]
top = 1
[retrain.model]
epochs = 1
batch_size = 128
learning_rates = [0.003]
"""


def test_a_study_searches_the_term_and_retrains_and_costs_models_that_have_it(tmp_path, cli):
    file, out = tmp_path / "tiny.toml", tmp_path / "run"
    file.write_text(STUDY)
    run_study(StudyConfig.from_toml(file), out)
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{out / 'study.db'}")
    trials = study.trials
    assert {trial.params["wide"] for trial in trials} == {False, True}
    for trial in trials:
        genotype = Genotype.from_json(trial.user_attrs["genotype"])
        assert genotype.wide == trial.params["wide"]
    supernet = Supernet.load(out / "supernet")
    assert supernet.embedding.first_order.any()
    assert "first order" in (out / "report.html").read_text()
    # A model with the term, whether or not it was the search's winner.
    genotype = next(
        Genotype.from_json(t.user_attrs["genotype"]) for t in trials if t.params["wide"]
    )
    (tmp_path / "g.json").write_text(genotype.to_json())
    told = cli("cost", tmp_path / "g.json", "--run", out, "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["breakdown"]["latency_us"]["wide"] > 0
    shown = cli("show", tmp_path / "g.json", "--run", out, "--out", tmp_path / "g.svg")
    assert shown.returncode == 0, shown.stderr
    assert "first-order weights" in (tmp_path / "g.svg").read_text()


def test_a_retrained_model_with_the_term_is_saved_and_loaded(tmp_path):
    file, out = tmp_path / "tiny.toml", tmp_path / "run"
    file.write_text(STUDY.replace("wide = [false, true]", "wide = [true]"))
    run_study(StudyConfig.from_toml(file), out)
    [result] = json.loads((out / "retrained" / "results.json").read_text())["models"]
    assert result["genotype"]["wide"] is True
    [folder] = out.glob("retrained/*/model")
    subnet = Subnet.load(folder)
    assert subnet.embedding.first_order.any()
    assert subnet.final.first_order.any()


def test_a_switch_that_is_none_is_one_sentence(tmp_path):
    file = tmp_path / "tiny.toml"
    file.write_text(STUDY.replace("[false, true]", '["yes"]'))
    with pytest.raises(StudyError, match=r"space: wide\[0\]: expected true or false, got 'yes'"):
        StudyConfig.from_toml(file)
