"""A trained model answers raw rows, and is as good on them as its run reports."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import REPOSITORY
from sklearn.metrics import log_loss
from study_files import tiny_study_with

from nasrec_opt import Genotype, Predictor, Subnet
from nasrec_opt.data import Dataset, Preprocessor
from nasrec_opt.data._split import split_of
from nasrec_opt.data._synthetic import write_log
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.retrain import Ensemble, predict, refer_to
from nasrec_opt.serving import load_predictor

ROWS = 2000
STUDY = tiny_study_with(
    data={"synthetic_rows": ROWS, "binned_dense": True, "min_count": 3},
    space={"num_blocks": 1},  # small graphs to export
    search={"n_trials": 8},
    retrain={
        "top": 2,
        "seeds": 2,
        "model": {"learning_rates": [0.003], "epochs": 1, "batch_size": 64},
    },
)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run, moved after it has finished; beside it are the raw rows of its test split."""
    folder = tmp_path_factory.mktemp("serving")
    (folder / "tiny.toml").write_text(STUDY)
    run_study(StudyConfig.from_toml(folder / "tiny.toml"), folder / "made", until="retrain")
    write_log(folder / "log.txt", ROWS, 0)
    lines = (folder / "log.txt").read_text().splitlines(keepends=True)
    is_test = split_of(0, ROWS, 0) == 2
    test = [line for line, chosen in zip(lines, is_test, strict=True) if chosen]
    (folder / "test.txt").write_text("".join(test))
    (folder / "unlabelled.txt").write_text("".join(line.partition("\t")[2] for line in test))
    with_ensemble(folder / "made")
    return (folder / "made").rename(folder / "run")


def with_ensemble(run: Path) -> None:
    """Average two models, whether or not validation rows of so small a log would have it."""
    results = results_of(run)
    folders = [run / model["folder"] / "model" for model in results["models"]]
    refer_to(folders, run / "retrained" / "ensemble")
    dataset = Dataset.open(run / "dataset", min_count=3, binned_dense=True)
    logits, labels = predict(Ensemble(list(map(Subnet.load, folders))), dataset.split("test"))
    loss = log_loss(labels, 1 / (1 + np.exp(-logits.astype(float))))
    results["ensemble"] = {"members": [], "test_log_loss": loss}
    (run / "retrained" / "results.json").write_text(json.dumps(results))


def results_of(run: Path) -> dict:
    return json.loads((run / "retrained" / "results.json").read_text())


def raw_rows(run: Path) -> pl.DataFrame:
    schema = Preprocessor.load(run / "dataset").schema
    types = {n: pl.String if n in schema.sparse else pl.Int64 for n in schema.columns}
    return pl.read_csv(run.parent / "test.txt", separator="\t", has_header=False, schema=types)


@pytest.mark.parametrize("model", [1, 2, "ensemble"])
def test_raw_rows_have_the_log_loss_that_the_run_reports(run, model):
    results, rows = results_of(run), raw_rows(run)
    figures = results["ensemble"] if model == "ensemble" else results["models"][model - 1]
    predictor = Predictor.load(run, model=model)
    for answers in (
        predictor.predict(rows),
        predictor.predict(rows.to_dicts()),
        predictor.predict(rows.to_pandas()),
        predictor.predict_file(run.parent / "test.txt"),
        predictor.predict_file(run.parent / "unlabelled.txt"),
    ):
        assert log_loss(rows["label"], answers) == pytest.approx(figures["test_log_loss"], abs=1e-7)
    assert predictor.predict(rows.row(5, named=True))[0] == pytest.approx(answers[5], abs=1e-6)


def test_results_name_the_folders_and_a_genotype_lies_beside_the_weights(run):
    results = results_of(run)
    for entry in results["models"]:
        weights = run / entry["folder"] / "model"
        genotype = Genotype.from_json((weights / "genotype.json").read_text())
        assert genotype.to_dict() == entry["genotype"]
        Predictor.load(weights)
    assert all(isinstance(model["trial"], int) for model in results["models"])


def test_every_way_to_name_a_model_leads_to_it(run, tmp_path):
    rows, results = raw_rows(run)[:50], results_of(run)
    expected = Predictor.load(run, model=2).predict(rows)
    model = run / results["models"][1]["folder"]
    for path, number in (
        (run / "retrained" / "results.json", 2),
        (model, 1),
        (model / "model", 1),
    ):
        np.testing.assert_array_equal(Predictor.load(path, model=number).predict(rows), expected)
    of_ensemble = Predictor.load(run, model="ensemble")
    np.testing.assert_array_equal(
        Predictor.load(run / "retrained" / "ensemble").predict(rows), of_ensemble.predict(rows)
    )
    for number, predictor in enumerate((Predictor.load(model), of_ensemble)):
        predictor.save(tmp_path / str(number))
        alone = Predictor.load((tmp_path / str(number)).rename(tmp_path / f"moved-{number}"))
        np.testing.assert_array_equal(alone.predict(rows), predictor.predict(rows))


def test_a_run_that_did_not_name_its_folders_is_read(run, tmp_path):
    old = tmp_path / "run"
    shutil.copytree(run, old)
    results = results_of(old)
    for entry in results["models"]:
        del entry["folder"]
    (old / "retrained" / "results.json").write_text(json.dumps(results))
    rows = raw_rows(run)[:20]
    for model in (1, 2, "ensemble"):
        found, expected = (Predictor.load(r, model=model).predict(rows) for r in (old, run))
        np.testing.assert_array_equal(found, expected)


def changed(run: Path, out: Path, **values) -> Path:
    shutil.copytree(run, out)
    file = out / "retrained" / "results.json"
    file.write_text(json.dumps(results_of(out) | values))
    return out


@pytest.mark.parametrize(("winner", "model"), [("model", 1), ("ensemble", "ensemble"), (None, 1)])
def test_the_best_is_the_winner_that_the_run_names(run, tmp_path, winner, model):
    out = changed(run, tmp_path / "run", winner=winner and {"name": winner})
    rows = raw_rows(run)[:20]
    found, expected = (Predictor.load(out, model=m).predict(rows) for m in ("best", model))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("model", "values", "sentence"),
    [
        (0, {}, "model: expected 1 to 2, 'best' or 'ensemble', got 0"),
        (3, {}, "model: expected 1 to 2, 'best' or 'ensemble', got 3"),
        ("first", {}, "got 'first'"),
        ("best", {"winner": {"name": "logistic_regression"}}, "got logistic regression, of which"),
        ("ensemble", {"ensemble": None}, "expected an ensemble, got none in this run"),
        (1, {"models": 3}, "expected retrained models and baselines"),
    ],
)
def test_a_model_that_is_not_there_is_one_sentence(run, tmp_path, model, values, sentence):
    out = changed(run, tmp_path / "run", **values)
    with pytest.raises(StudyError, match=re.escape(sentence)):
        Predictor.load(out, model=model)


def test_a_folder_of_something_else_is_one_sentence(run, tmp_path):
    with pytest.raises(StudyError, match="found nothing there"):
        Predictor.load(tmp_path / "none")
    with pytest.raises(StudyError, match=r"retrained/results\.json\), or the folder of a"):
        Predictor.load(tmp_path)
    model = run / results_of(run)["models"][0]["folder"]
    with pytest.raises(StudyError, match="model: expected only with a run"):
        Predictor.load(model, model=2)
    shutil.copytree(model, tmp_path / "alone")
    with pytest.raises(StudyError, match="expected it in a run folder, whose dataset/"):
        Predictor.load(tmp_path / "alone")


def test_the_command_writes_what_the_library_answers(run, cli, tmp_path):
    expected = Predictor.load(run).predict_file(run.parent / "test.txt")
    result = cli("predict", run, run.parent / "unlabelled.txt")
    assert result.returncode == 0, result.stderr
    header, *lines = result.stdout.splitlines()
    assert header == "probability"
    np.testing.assert_allclose(np.array(lines, float), expected, atol=1e-6)
    for name, read in (("p.csv", pl.read_csv), ("p.parquet", pl.read_parquet)):
        result = cli("predict", run, run.parent / "test.txt", "--out", tmp_path / name)
        assert (result.returncode, result.stdout) == (0, ""), result.stderr
        np.testing.assert_allclose(read(tmp_path / name)["probability"], expected, atol=1e-6)
    result = cli("predict", run, run.parent / "test.txt", "--model", "ensemble")
    other = Predictor.load(run, model="ensemble").predict_file(run.parent / "test.txt")
    np.testing.assert_allclose(np.array(result.stdout.split()[1:], float), other, atol=1e-6)


def test_the_command_reads_a_pipe(run, cli, tmp_path):
    result = piped(cli, run.parent / "test.txt", "predict", run, "-")
    expected = Predictor.load(run).predict_file(run.parent / "test.txt")
    np.testing.assert_allclose(np.array(result.stdout.split()[1:], float), expected, atol=1e-6)
    (tmp_path / "bad.txt").write_text("1\t2\n")
    bad = piped(cli, tmp_path / "bad.txt", "predict", run, "-")
    assert bad.returncode == 2
    assert bad.stderr.startswith("nasrec-opt: standard input:1: expected 40 columns separated by")


def piped(cli, file: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`cat file | nasrec-opt arguments`."""
    with tempfile.TemporaryDirectory() as folder:
        pipe = Path(folder) / "pipe"
        os.mkfifo(pipe)
        with subprocess.Popen(["sh", "-c", 'cat "$0" > "$1"', str(file), str(pipe)]):
            return cli(*arguments, stdin=pipe)


def test_bad_input_is_one_sentence_and_leaves_nothing(run, cli, tmp_path):
    good = (run.parent / "test.txt").read_text()
    rows = tmp_path / "rows.txt"
    rows.write_text(good + good.splitlines()[0].replace("\t", "\tx", 1) + "\n")
    for arguments, sentence in (
        ((run, rows), f"rows.txt:{len(good.splitlines()) + 1}: field I1: expected an integer"),
        ((run, tmp_path / "none.txt"), "none.txt: expected a click log, found nothing there"),
        ((run, rows, "--model", "7"), "expected 1 to 2"),
        ((run, rows, "--out", tmp_path / "p.txt"), "--out: expected a file that ends in .csv"),
        ((tmp_path, rows), "expected a run with retrained models"),
    ):
        result = cli("predict", *arguments)
        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.startswith("nasrec-opt: ")
        assert sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [rows]


def test_the_page_on_serving_runs(run, cli, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    page = (REPOSITORY / "docs" / "howto" / "serve.md").read_text()
    changed(run, tmp_path / "runs" / "quickstart", winner={"name": "model"})
    shutil.copy(run.parent / "test.txt", tmp_path / "rows.csv")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        if language == "python":
            exec(text, names)
            continue
        if language == "text":
            continue
        for command in text.splitlines():
            words = shlex.split(command, comments=True)
            if words[0] == "nasrec-opt":
                check(cli(*words[1:]))
            elif words[0] == "cat":
                assert words[2:4] == ["|", "nasrec-opt"]
                check(piped(cli, Path(words[1]), *words[4:]))
            else:
                assert words[0] in ("mlflow", "curl")  # tests/serving/test_mlflow.py runs these
    assert pl.read_parquet("p.parquet").height == results_of(run)["clicks"]["test"][1]
    found = load_predictor("ctr-onnx").predict_file("rows.csv")
    np.testing.assert_allclose(found, Predictor.load(run).predict_file("rows.csv"), atol=1e-2)


def check(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, result.stderr
