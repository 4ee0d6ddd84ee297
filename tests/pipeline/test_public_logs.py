"""A study of Avazu and one of KDD Cup 2012 run from the raw format to trained models."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from conftest import TINY_STUDY
from sklearn.metrics import log_loss

from nasrec_opt.data import Dataset, Preprocessor, generate_log
from nasrec_opt.pipeline import compare_models
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.retrain import answers_of, compare


@pytest.mark.parametrize("name", ["avazu", "kdd2012"])
def test_a_study_runs_on_the_raw_format(cli, tmp_path, name):
    log = generate_log(tmp_path / "log", like=name, rows=1000, vocabulary="small")
    keys = f'format = "{name}"\n'
    if name == "kdd2012":
        keys += 'users = "log/users.txt"\ncount = "line"\n'
        log.users.rename(tmp_path / "log" / "users.txt")
    study = TINY_STUDY.replace("[data]\n", f"[data]\n{keys}").replace(
        "n_trials = 12", "n_trials = 6"
    )
    study += "\n[retrain.model]\nepochs = 1\nbatch_size = 128\n"
    (tmp_path / "study.toml").write_text(study)
    done = cli("run", tmp_path / "study.toml", "--data", log.file, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run" / "retrained" / "results.json").read_text())
    assert results["models"]
    columns = Preprocessor.load(tmp_path / "run" / "dataset").column_names[1]
    assert columns[-1] == ("C21" if name == "avazu" else "age")
    # What was read is no longer needed, and a default that is said is none that has changed.
    shutil.rmtree(tmp_path / "log")
    (tmp_path / "study.toml").write_text(study.replace('count = "line"\n', ""))
    again = cli("run", tmp_path / "study.toml", "--out", tmp_path / "run")
    assert again.returncode == 0, again.stderr
    assert "prepare   already done" in again.stderr + again.stdout


def test_weighted_rows_go_from_the_raw_log_to_predictions(cli, tmp_path):
    """Every figure of the test rows is the one that their weights make."""
    size = ("--like", "kdd2012", "--rows", 2000, "--vocabulary", "small")
    assert cli("generate", tmp_path / "log", *size).returncode == 0
    raw, data, run = tmp_path / "log" / "training.txt", tmp_path / "data", tmp_path / "run"
    given = ("--format", "kdd2012", "--count", "weight", "--out", data)
    done = cli("prepare", raw, *given)
    assert done.returncode == 0, done.stderr
    study = TINY_STUDY.replace("n_trials = 12", "n_trials = 6\n[search.ladder]\nmodels = 2")
    study = study.replace('fidelity = "supernet"', 'fidelity = "last_layer"')
    (tmp_path / "study.toml").write_text(
        study + "seeds = 2\n[retrain.model]\nepochs = 1\nbatch_size = 128\n"
    )
    done = cli("run", tmp_path / "study.toml", "--data", data, "--out", run)
    assert done.returncode == 0, done.stderr
    results = json.loads((run / "retrained" / "results.json").read_text())
    test = Dataset.open(run / "dataset").split("test")
    model = results["models"][0]
    dataset = Dataset.open(run / "dataset", min_count=results["training"]["min_count"])
    logits = answers_of(run / model["folder"] / "model", dataset, "test")
    chances = 1 / (1 + np.exp(-logits.astype(float)))
    expected = log_loss(test.labels, chances, sample_weight=test.weights)
    assert model["test_log_loss"] == pytest.approx(expected, rel=1e-5)
    assert expected != pytest.approx(log_loss(test.labels, chances), rel=1e-2)
    rate = np.average(test.labels, weights=test.weights)
    constant = results["baselines"]["constant"]["test_log_loss"]
    entropy = -rate * np.log(rate) - (1 - rate) * np.log1p(-rate)
    assert constant == pytest.approx(entropy, rel=0.02)
    seeds = [seed["test_log_loss"] for seed in model["seeds"]]
    assert model["expected_test_log_loss"]["mean"] == pytest.approx(np.mean(seeds))
    with np.load(RunFolder(run).answers_of_baselines) as answers:
        others = answers["constant.test_logits"]
    against = compare(logits, others, test.labels, test.weights).to_dict()
    assert model["against"]["constant"] == pytest.approx(against)
    done = cli("compare", run)
    assert done.returncode == 0, done.stderr
    assert "logistic regression" in done.stdout
    rows = {row.name: row for row in compare_models(run)}
    first, second = (rows[name] for name in ("constant", "logistic regression"))
    between = (first.difference or 0.0) - (second.difference or 0.0)
    assert between == pytest.approx(first.test_log_loss - second.test_log_loss)
    with raw.open() as lines:
        (tmp_path / "some.txt").write_text("".join(next(lines) for _ in range(20)))
    out = tmp_path / "answers.csv"
    done = cli("predict", run, tmp_path / "some.txt", "--out", out)
    assert done.returncode == 0, done.stderr
    assert len(out.read_text().splitlines()) == 21
