"""`nasrec-opt compare RUN --baselines`: hand-made models of a run, tuned, kept and resumed."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from statistics import fmean, stdev

import numpy as np
import pytest
from sklearn.metrics import log_loss
from study_files import tiny_study_with

from nasrec_opt.baselines import BASELINES, BaselineOptions, train_baseline
from nasrec_opt.data import Dataset
from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.pipeline import Budget, compare_models, train_baselines
from nasrec_opt.pipeline._tuned_baselines import chosen_baselines

pytest.importorskip("deepctr_torch")
COMMAND = ("--baselines", "wide-deep,logistic-regression", "--trials", "2", "--seeds", "2")


@pytest.fixture(scope="module")
def finished(cli, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    study, out = folder / "tiny.toml", folder / "run"
    retrain = {"top": 1, "model": {"epochs": 1, "batch_size": 128}}
    study.write_text(
        tiny_study_with(search={"n_trials": 4}, retrain=retrain, data={"synthetic_rows": 600})
    )
    result = cli("run", study, "--out", out)
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture(scope="module")
def compared(cli, finished, tmp_path_factory):
    out = shutil.copytree(finished, tmp_path_factory.mktemp("with") / "run")
    result = cli("compare", out, *COMMAND)
    assert result.returncode == 0, result.stderr
    assert "Wide & Deep" in result.stdout
    return out


def figures_of(out, name="wide-deep"):
    place = out / "baselines" / "tuned" / name
    files = sorted(place.glob("seed-*.json"))
    return json.loads((place / "tuned.json").read_text()), [
        json.loads(file.read_text())["figures"] for file in files
    ]


def test_a_row_has_means_over_seeds_size_and_what_tuning_cost(compared):
    with (compared / "comparison.csv").open() as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    row = rows["Wide & Deep"]
    tuned, models = figures_of(compared)
    assert [model["seed"] for model in models] == [3, 4]  # from the seed of the study
    losses = [model["test_log_loss"] for model in models]
    assert float(row["test_log_loss"]) == pytest.approx(fmean(losses))
    assert float(row["test_log_loss_deviation"]) == pytest.approx(stdev(losses))
    assert float(row["mflops"]) == pytest.approx(models[0]["mflops"])
    assert int(row["parameters"]) == models[0]["parameters"]
    assert row["search_trials"] == "2"
    assert float(row["search_seconds"]) == pytest.approx(tuned["seconds"])
    assert float(row["training_seconds"]) == pytest.approx(sum(m["seconds"] for m in models))
    assert row["difference"] or row is next(iter(rows.values()))
    assert rows["logistic regression"]["seeds"] == "1"


def test_it_is_trained_on_the_rows_vocabularies_and_batches_of_the_run(compared):
    results = json.loads((compared / "retrained" / "results.json").read_text())
    training = results["training"]
    tuned, models = figures_of(compared)
    assert tuned["options"]["batch_size"] == training["batch_size"]
    dataset = Dataset.open(compared / "dataset", min_count=training["min_count"])
    options = BaselineOptions.from_dict(tuned["options"])
    again = train_baseline("wide-deep", dataset, options, seed=3)
    assert again.test_log_loss == models[0]["test_log_loss"]
    chances = 1 / (1 + np.exp(-again.test_logits.astype(np.float64)))
    labels = dataset.split("test").labels
    assert models[0]["test_log_loss"] == pytest.approx(log_loss(labels, chances))


def test_it_is_a_run_in_mlflow_beside_the_study(cli, compared):
    mlflow = pytest.importorskip("mlflow")

    def runs():
        client = mlflow.MlflowClient(f"sqlite:///{compared / 'mlflow.db'}")
        [experiment] = client.search_experiments(filter_string="name = 'tiny'")
        found = client.search_runs([experiment.experiment_id], "tags.nasrec.kind = 'baseline'")
        return {run.info.run_name: run for run in found}

    tuned, models = figures_of(compared)
    first = runs()
    assert set(first) == {"constant", "logistic regression", "Wide & Deep"}
    data = first["Wide & Deep"].data
    assert data.metrics["test_log_loss"] == pytest.approx(fmean(m["test_log_loss"] for m in models))
    losses = [model["validation_log_loss"] for model in models]
    assert data.metrics["validation_log_loss_deviation"] == pytest.approx(stdev(losses))
    assert data.metrics["trials"] == 2
    assert float(data.params["learning_rate"]) == tuned["options"]["learning_rate"]
    assert data.params["dataset"] == first["constant"].data.params["dataset"]
    assert cli("compare", compared, *COMMAND).returncode == 0
    assert {n: r.info.run_id for n, r in runs().items()} == {
        n: r.info.run_id for n, r in first.items()
    }


def test_without_the_store_the_models_are_kept_and_a_note_says_so(cli, compared, tmp_path):
    out = shutil.copytree(compared, tmp_path / "run")
    (out / "mlflow.db").write_text("no store")
    result = cli("compare", out, *COMMAND)
    assert result.returncode == 0, result.stderr
    assert "hand-made models are not logged: " in result.stderr
    assert "Wide & Deep" in result.stdout


def test_what_is_there_is_not_trained_again(cli, compared):
    place = compared / "baselines" / "tuned"
    before = {file: file.stat().st_mtime_ns for file in place.rglob("seed-*")}
    result = cli("compare", compared, *COMMAND)
    assert result.returncode == 0, result.stderr
    assert {file: file.stat().st_mtime_ns for file in place.rglob("seed-*")} == before
    assert "Wide & Deep" in [row.name for row in compare_models(compared)]  # and without the option


def test_a_killed_comparison_continues_with_the_same_figures(
    start_code, compared, finished, tmp_path
):
    out = shutil.copytree(finished, tmp_path / "run")
    script = (
        "import os\n"
        "import nasrec_opt.pipeline._tuned_baselines as tuned\n"
        "from nasrec_opt.pipeline import Budget, train_baselines\n"
        "train = tuned.train_baseline\n"
        "def killed(name, dataset, options, *, seed):\n"
        "    if seed == 4:\n"
        "        os.kill(os.getpid(), 9)\n"
        "    return train(name, dataset, options, seed=seed)\n"
        "tuned.train_baseline = killed\n"
        "from pathlib import Path\n"
        f"train_baselines(Path({str(out)!r}), 'wide-deep', Budget(trials=2, seeds=2))\n"
    )
    died = start_code(script).wait()
    assert died.returncode == -9, died.stderr
    first = out / "baselines" / "tuned" / "wide-deep" / "seed-3.json"
    written = first.stat().st_mtime_ns
    train_baselines(out, "wide-deep", Budget(trials=2, seeds=2))
    assert first.stat().st_mtime_ns == written
    timed = {"seconds"}
    for one, other in zip(figures_of(out)[1], figures_of(compared)[1], strict=True):
        assert {k: v for k, v in one.items() if k not in timed} == {
            k: v for k, v in other.items() if k not in timed
        }


def test_a_damaged_model_is_trained_again(compared, tmp_path):
    out = shutil.copytree(compared, tmp_path / "run")
    answers = out / "baselines" / "tuned" / "wide-deep" / "seed-4.npz"
    whole = answers.read_bytes()
    answers.write_bytes(whole[:100])
    rows = {row.name: row for row in compare_models(out)}
    assert rows["Wide & Deep"].seeds == 1
    train_baselines(out, "wide-deep", Budget(trials=2, seeds=2))
    assert {row.name: row for row in compare_models(out)}["Wide & Deep"].seeds == 2


def test_bad_input_is_one_sentence_and_leaves_nothing(cli, finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "run")
    for arguments, sentence in (
        (("--baselines", "deepfn"), "baseline: expected one of"),
        (("--baselines", "deepfm", "--trials", "0"), "trials: expected more than 0, got 0"),
        (("--baselines", "deepfm", "--seeds", "0"), "seeds: expected more than 0, got 0"),
        (("--seconds", "3"), "--seconds: expected only with --baselines"),
    ):
        result = cli("compare", out, *arguments)
        assert result.returncode == 2, result.stderr
        [line] = result.stderr.splitlines()
        assert line.startswith("nasrec-opt: ")
        assert sentence in line
    assert not (out / "baselines" / "tuned").exists()
    assert not (out / "comparison.md").exists()


def test_a_missing_library_is_named_before_anything_is_trained(finished, tmp_path, monkeypatch):
    out = shutil.copytree(finished, tmp_path / "run")
    monkeypatch.setitem(sys.modules, "torchrec", None)
    monkeypatch.setitem(sys.modules, "torchrec.models.dlrm", None)
    with pytest.raises(MissingExtraError, match="TorchRec is not installed: pip install"):
        train_baselines(out, "wide-deep,dlrm", Budget(trials=1, seeds=1))
    assert not (out / "baselines" / "tuned").exists()
    assert BASELINES["dlrm"] not in chosen_baselines("all")
    assert BASELINES["wide-deep"] in chosen_baselines("all")


def test_a_budget_is_positive():
    with pytest.raises(StudyError, match="seconds: expected more than 0"):
        Budget(seconds=0.0)
