"""`nasrec-opt compare`: all trained models of a run beside each other."""

from __future__ import annotations

import csv
import html
import json
import math
import re
import shutil
from dataclasses import fields
from statistics import fmean, stdev

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from study_files import tiny_study_with

from nasrec_opt import Subnet
from nasrec_opt.data import Dataset
from nasrec_opt.pipeline import RunFolder, compare_models
from nasrec_opt.pipeline._model_table import _against
from nasrec_opt.pipeline._report import refresh_report
from nasrec_opt.report import ModelRow, to_csv
from nasrec_opt.report._model_table import COLUMNS
from nasrec_opt.retrain import Comparison

WHOLE, TEXT = {"seeds", "parameters", "search_trials"}, {"name", "is_worse_by_0001"}
KINDS = {
    field.name: str if field.name in TEXT else int if field.name in WHOLE else float
    for field in fields(ModelRow)
}


@pytest.fixture(scope="module")
def finished(cli, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    study, out = folder / "tiny.toml", folder / "run"
    retrain = {"top": 2, "seeds": 2, "model": {"epochs": 1, "batch_size": 128}}
    study.write_text(tiny_study_with(search={"n_trials": 5}, retrain=retrain))
    for more in (("run", study), ("retrain", study, "--genotype", "published:criteo-full")):
        result = cli(*more, "--out", out)
        assert result.returncode == 0, result.stderr
    return out


def test_every_model_is_a_row_with_its_means_over_seeds(cli, finished):
    result = cli("compare", finished)
    assert result.returncode == 0, result.stderr
    assert (finished / "comparison.md").read_text() in result.stdout
    with (finished / "comparison.csv").open() as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    results = json.loads((finished / "retrained" / "results.json").read_text())
    first = results["models"][0]
    names = {"constant", "logistic regression", "published:criteo-full"}
    names |= {f"model {i + 1} (trial {m['trial']})" for i, m in enumerate(results["models"])}
    assert names == set(rows)
    row = rows[f"model 1 (trial {first['trial']})"]
    losses = [seed["test_log_loss"] for seed in first["seeds"]]
    assert float(row["test_log_loss"]) == pytest.approx(fmean(losses))
    assert float(row["test_log_loss_deviation"]) == pytest.approx(stdev(losses))
    assert float(row["test_auc_deviation"]) > 0
    for name in ("mflops", "mflops_paper", "parameters", "latency_us", "energy_uj"):
        assert float(row[name]) == pytest.approx(first[name])
    assert float(rows["published:criteo-full"]["mflops_paper"]) == pytest.approx(1.448, abs=5e-4)
    assert rows["published:criteo-full"]["seeds"] == "2"
    assert rows["constant"]["mflops"] == ""


def test_costs_of_search_and_training_are_those_of_the_stages_and_the_models(finished):
    record = json.loads((finished / "run.json").read_text())
    results = json.loads((finished / "retrained" / "results.json").read_text())
    spent = sum(record[stage]["seconds"] for stage in ("train", "search"))  # it has no ladder
    rows = {row.name: row for row in compare_models(finished)}
    seconds: dict[str, float] = {}
    for file in finished.glob("retrained/*/result.json"):
        figures = json.loads(file.read_text())["figures"]
        key = json.dumps(figures["genotype"])
        seconds[key] = seconds.get(key, 0.0) + figures["seconds"]
    for rank, model in enumerate(results["models"], start=1):
        row = rows[f"model {rank} (trial {model['trial']})"]
        assert (row.search_seconds, row.search_trials) == (pytest.approx(spent), 5)
        assert row.training_seconds == pytest.approx(seconds[json.dumps(model["genotype"])])
    given, fitted = rows["published:criteo-full"], rows["logistic regression"]
    assert (given.search_seconds, given.search_trials) == (None, None)
    assert given.training_seconds > 0
    assert fitted.training_seconds == record["baselines"]["seconds"]
    assert rows["constant"].training_seconds is None


def table_of(page: str) -> list[list[str]]:
    """The texts of the table below the heading `Comparison`, row by row."""
    after = page.split("<h2 id=comparison>")[1].split("</table>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in after.split("<tr")[1:]]
    return [[html.unescape(cell) for cell in row] for row in rows]


def test_page_markdown_and_csv_agree(cli, finished):
    result = cli("compare", finished)
    assert result.returncode == 0, result.stderr
    assert str(finished / "report.html") in result.stdout.splitlines()
    lines = (finished / "comparison.md").read_text().split("\n\n")[0].splitlines()
    markdown = [line.strip("| ").split(" | ") for line in lines]
    del markdown[1]
    assert table_of((finished / "report.html").read_text()) == markdown
    with (finished / "comparison.csv").open() as stream:
        rows = [
            ModelRow(
                **{name: kind(text) for name, text in row.items() if (kind := KINDS[name]) and text}
            )
            for row in csv.DictReader(stream)
        ]
    assert [[column.cell(row) for column in COLUMNS] for row in rows] == markdown[1:]


def test_a_table_of_models_that_have_changed_is_not_in_the_report(cli, finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    assert cli("compare", copy).returncode == 0
    results = copy / "retrained" / "results.json"
    results.write_text(json.dumps(json.loads(results.read_text()) | {"again": True}))
    assert "id=comparison" in (copy / "report.html").read_text()
    refresh_report(RunFolder(copy), "")
    assert "id=comparison" not in (copy / "report.html").read_text()


def test_a_run_of_before_is_compared_without_its_report(cli, finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    (copy / "report.json").unlink()
    (copy / "comparison.md").unlink(missing_ok=True)
    before = (copy / "report.html").read_text()
    result = cli("compare", copy)
    assert result.returncode == 0, result.stderr
    assert "`nasrec-opt report STUDY.toml` writes the report" in result.stdout
    assert (copy / "comparison.md").exists()
    assert (copy / "report.html").read_text() == before


def test_differences_are_those_of_the_answers_row_by_row(finished):
    best, *others = compare_models(finished)
    assert best.difference is None
    results = json.loads((finished / "retrained" / "results.json").read_text())
    rows = {row.name: row for row in (best, *others)}
    test = Dataset.open(finished / "dataset").split("test")
    inputs = test.rows(slice(None))
    losses = {}
    for rank, model in enumerate(results["models"], start=1):
        subnet = Subnet.load(finished / model["folder"] / "model")
        with torch.inference_mode():
            logits = subnet(torch.from_numpy(inputs.dense), torch.from_numpy(inputs.sparse)).numpy()
        chances = 1 / (1 + np.exp(-logits.astype(np.float64)))
        losses[f"model {rank} (trial {model['trial']})"] = np.array(
            [log_loss([y], [p], labels=[0, 1]) for y, p in zip(inputs.labels, chances, strict=True)]
        )
    if best.name in losses:
        for name, own in losses.items():
            if name != best.name:
                paired = own - losses[best.name]
                assert rows[name].difference == pytest.approx(paired.mean(), abs=1e-6)
                error = paired.std(ddof=1) / math.sqrt(len(paired))
                assert rows[name].standard_error == pytest.approx(error, rel=1e-4)
    assert all(row.validation_log_loss >= best.validation_log_loss for row in others)
    assert len(to_csv([best, *others]).splitlines()) == 2 + len(others)


@pytest.mark.parametrize(
    ("difference", "error", "verdict"),
    [(0.01, 1e-3, "yes"), (2e-3, 1e-3, "open"), (0.0, 1e-4, "no"), (-0.1, None, "open")],
)
def test_the_verdict_is_that_of_the_interval(difference, error, verdict):
    row = ModelRow(name="x", seeds=1, validation_log_loss=0.5, test_log_loss=0.5)
    assert _against(row, Comparison(difference, error, 100)).is_worse_by_0001 == verdict


def test_a_run_that_is_not_finished_or_damaged_is_one_sentence(cli, finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    results = copy / "retrained" / "results.json"
    model = json.loads(results.read_text())["models"][0]["folder"]
    (copy / "comparison.md").unlink(missing_ok=True)
    shutil.rmtree(copy / model)
    (tmp_path / "empty").mkdir()
    for where, sentence in (
        (tmp_path / "empty", "expected a finished run"),
        (tmp_path / "none", "expected a finished run"),
        (copy, "expected"),
    ):
        result = cli("compare", where)
        assert result.returncode == 2, result.stderr
        [line] = result.stderr.splitlines()
        assert line.startswith("nasrec-opt: ")
        assert sentence in line
    assert not (copy / "comparison.md").exists()


def test_results_of_before_they_named_folders_are_compared_alike(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    file = copy / "retrained" / "results.json"
    results = json.loads(file.read_text())
    for model in results["models"]:
        del model["folder"]
    file.write_text(json.dumps(results))
    assert compare_models(copy) == compare_models(finished)
