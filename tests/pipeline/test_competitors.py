"""`nasrec-opt compare RUN --random --published --like`: what a run is compared with."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import optuna
import pytest
from conftest import REPOSITORY
from study_files import tiny_study_with

from nasrec_opt import lower
from nasrec_opt.data import Dataset
from nasrec_opt.pipeline import (
    Competitors,
    RunFolder,
    StudyConfig,
    compare_models,
    train_competitors,
)
from nasrec_opt.pipeline._kept_study import _portable, kept_study
from nasrec_opt.space import named_genotypes, published_model

RETRAIN = {"top": 1, "seeds": 2, "model": {"epochs": 1, "batch_size": 128}}
SEARCH = {"n_trials": 10, "ladder": {"probes": 1, "models": 2}}
DATA = {"synthetic_rows": 600}


def finished_run(cli, folder, **changes):
    tables = {"search": SEARCH, "retrain": RETRAIN, "data": DATA} | changes
    (folder / "tiny.toml").write_text(tiny_study_with(**tables))
    result = cli("run", folder / "tiny.toml", "--out", folder / "run")
    assert result.returncode == 0, result.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def finished(cli, tmp_path_factory):
    return finished_run(cli, tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="module")
def compared(cli, finished, tmp_path_factory):
    out = shutil.copytree(finished, tmp_path_factory.mktemp("with") / "run")
    result = cli("compare", out, "--random")
    assert result.returncode == 0, result.stderr
    assert "| random search: model 1 (trial " in result.stdout
    return out


def random_rows(out):
    return [row for row in compare_models(out) if row.name.startswith("random search: ")]


def results_of(out, place="searches/tiny-random"):
    return json.loads((out / place / "results.json").read_text())


def files_below(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_random_search_has_the_budget_of_the_run(compared, finished):
    own, other = results_of(finished, "retrained"), results_of(compared)
    assert len(other["models"]) >= RETRAIN["top"]
    assert {len(model["seeds"]) for model in other["models"]} == {2}
    assert other["training"] == own["training"]
    storage = f"sqlite:///{compared / 'study.db'}"
    sampled = optuna.load_study(study_name="tiny-random", storage=storage)
    assert isinstance(sampled.user_attrs["settings"], dict)
    assert sampled.user_attrs["settings"]["search"]["sampler"] == "random"
    evolved = optuna.load_study(study_name="tiny", storage=storage)
    assert len(sampled.trials) == len(evolved.trials) == 10
    assert sampled.trials[0].params == evolved.trials[0].params  # both begin with the probe
    assert sampled.trials[-1].params != evolved.trials[-1].params
    rows = random_rows(compared)
    assert [row.search_trials for row in rows] == [10] * len(other["models"])
    assert {row.seeds for row in rows} == {2}
    names = [row.name for row in compare_models(compared)]
    assert not any("trained beside the search" in name for name in names)


def test_time_of_random_search_counts_what_it_reads(compared):
    record = json.loads((compared / "run.json").read_text())
    own = sum(record[f"{name} tiny-random"]["seconds"] for name in ("search", "ladder"))
    shared = sum(record[name]["seconds"] for name in ("probe", "train"))
    assert random_rows(compared)[0].search_seconds == pytest.approx(own + shared)


def test_dataset_supernet_and_models_of_the_run_stay(compared, finished):
    for name in ("dataset", "supernet", "baselines"):
        before = {p.relative_to(finished): p.read_bytes() for p in files_below(finished / name)}
        after = {p.relative_to(compared): p.read_bytes() for p in files_below(compared / name)}
        assert after == before
    record = json.loads((compared / "run.json").read_text())
    before = json.loads((finished / "run.json").read_text())
    assert before == {stage: record[stage] for stage in before}
    assert results_of(compared, "retrained") == results_of(finished, "retrained")


def test_nothing_is_done_twice(cli, compared):
    before = files_below(compared / "retrained") | files_below(compared / "supernet")
    rows = compare_models(compared)
    result = cli("compare", compared, "--random")
    assert result.returncode == 0, result.stderr
    assert files_below(compared / "retrained") | files_below(compared / "supernet") == before
    assert compare_models(compared) == rows


KILLED = """
import os, sys
from pathlib import Path
from nasrec_opt import lower
from nasrec_opt.data import Dataset
from nasrec_opt.pipeline import Competitors, _trainings, train_competitors
model, calls = _trainings.Trainings.model, []
def killed(self, genotype, seed):
    calls.append(seed)
    if len(calls) > 1:
        os.kill(os.getpid(), 9)
    return model(self, genotype, seed)
_trainings.Trainings.model = killed
train_competitors(Path(sys.argv[1]), Competitors(random=True))
"""


def test_a_killed_command_continues(start_code, compared, finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "run")
    died = start_code(KILLED, out).wait()
    assert died.returncode == -9, died.stderr
    assert not random_rows(out)
    before = files_below(out / "retrained")
    train_competitors(out, Competitors(random=True))
    kept = {p: time for p, time in files_below(out / "retrained").items() if p in before}
    trained = [p for p in kept if p.name in ("weights.safetensors", "result.json")]
    assert trained
    assert all(kept[p] == before[p] for p in trained)
    found, expected = results_of(out)["models"], results_of(compared)["models"]
    assert [m["genotype"] for m in found] == [m["genotype"] for m in expected]
    assert [m["test_log_loss"] for m in found] == [m["test_log_loss"] for m in expected]


def test_a_random_search_with_another_budget_is_no_row(cli, compared, tmp_path):
    out = shutil.copytree(compared, tmp_path / "run")
    file = out / "study.json"
    study = json.loads(file.read_text())
    study["retrain"]["workers"] = 2  # changes no figure
    file.write_text(json.dumps(study))
    assert random_rows(out)
    study["space"]["file"] = "/elsewhere/space.toml"  # where it is now; what it held is on record
    file.write_text(json.dumps(study))
    assert random_rows(out)
    study["retrain"]["seeds"] = 3
    file.write_text(json.dumps(study))
    assert not random_rows(out)


def test_more_seeds_of_both_only_add_models(cli, compared, tmp_path):
    out = shutil.copytree(compared, tmp_path / "run")
    weights = [p for p in files_below(out / "retrained") if p.name == "weights.safetensors"]
    before = {p: p.stat().st_mtime_ns for p in weights}
    study = tmp_path / "tiny.toml"
    retrain = RETRAIN | {"seeds": 3}
    study.write_text(tiny_study_with(search=SEARCH, retrain=retrain, data=DATA))
    for words in (("run", study, "--out", out), ("compare", out, "--random")):
        result = cli(*words)
        assert result.returncode == 0, result.stderr
    assert {p: p.stat().st_mtime_ns for p in weights} == before
    rows = compare_models(out)
    assert {row.seeds for row in rows if "(trial" in row.name} == {3}
    assert random_rows(out)


@pytest.mark.parametrize("name", ["quickstart", "criteo_full", "criteo_codesign", "published"])
def test_a_study_is_kept_as_it_is(name, tmp_path, monkeypatch):
    config = StudyConfig.from_toml(REPOSITORY / "studies" / f"{name}.toml")
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.study_of("").write_text(json.dumps(_portable(config)))
    monkeypatch.chdir(tmp_path)
    log = replace(config.data, source=None)
    assert kept_study(folder, "") == replace(config, data=log)


@pytest.fixture(scope="module")
def given(cli, finished, tmp_path_factory):
    out = shutil.copytree(finished, tmp_path_factory.mktemp("given") / "run")
    result = cli("compare", out, "--published", "--like", "--seeds", 2)
    assert result.returncode == 0, result.stderr
    return out


SHIPPED = [*named_genotypes("published"), *named_genotypes("like")]


def test_models_that_ship_are_rows_trained_by_the_recipe_of_the_run(given, finished):
    rows = {row.name: row for row in compare_models(given)}
    assert set(SHIPPED) <= set(rows)
    assert {rows[name].seeds for name in SHIPPED} == {2}
    assert all(rows[name].test_log_loss_deviation is not None for name in SHIPPED)
    paper = published_model("kdd-full")
    assert rows["published:kdd-full"].mflops_paper == pytest.approx(
        lower(paper.genotype, Dataset.open(given / "dataset").features).mflops_paper
    )
    assert results_of(given, "retrained") == results_of(finished, "retrained")
    own = results_of(given, "retrained")["models"][0]
    folders = {p.parent for p in (given / "retrained").glob("*/result.json")}
    recipes = []
    for folder in (given / own["folder"], *folders):
        recipe = json.loads((folder / "result.json").read_text())["wanted"]["config"]
        recipes.append(recipe | {"seed": None})
    assert len(recipes) > 18
    assert all(recipe == recipes[0] for recipe in recipes)


def test_they_are_the_models_of_retrain(cli, given, finished, tmp_path):
    study = tmp_path / "tiny.toml"
    study.write_text(tiny_study_with(search=SEARCH, retrain=RETRAIN, data=DATA))
    out = shutil.copytree(finished, tmp_path / "run")
    words = ("retrain", study, "--genotype", "like:deepfm", "--out", out)
    assert cli(*words).returncode == 0
    rows, other = ({r.name: r for r in compare_models(place)} for place in (given, out))
    assert other["like:deepfm"].test_log_loss == rows["like:deepfm"].test_log_loss


def test_more_models_only_add_what_is_missing(cli, given, tmp_path):
    out = shutil.copytree(given, tmp_path / "run")
    before = files_below(out / "retrained")
    result = cli("compare", out, "--like", "--seeds", 3)
    assert result.returncode == 0, result.stderr
    assert {p: t for p, t in files_below(out / "retrained").items() if p in before} == before
    rows = {row.name: row.seeds for row in compare_models(out)}
    assert (rows["like:dlrm"], rows["published:kdd-full"]) == (3, 2)


def test_all_is_checked_before_anything_is_trained(cli, finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "run")
    before = files_below(out)
    for sentence, *words in (
        ("baseline: expected one of", "--like", "--random", "--baselines", "deepfn"),
        ("seeds: expected more than 0, got 0", "--published", "--seeds", "0"),
        ("--seeds: expected only with --baselines, --published or --like", "--seeds", "2"),
        ("--trials: expected only with --baselines", "--like", "--trials", "2"),
    ):
        result = cli("compare", out, *words)
        assert result.returncode == 2, result.stderr
        [line] = result.stderr.splitlines()
        assert sentence in line
    assert files_below(out) == before


def test_a_run_without_a_search_is_refused(cli, tmp_path):
    study = tmp_path / "given.toml"
    study.write_text(
        '[data]\nsynthetic_rows = 600\n[retrain]\ngenotypes = ["like:deepfm"]\n'
        "[retrain.model]\nepochs = 1\n"
    )
    assert cli("run", study, "--out", tmp_path / "run").returncode == 0
    for option in ("--random", "--published"):
        result = cli("compare", tmp_path / "run", option)
        assert result.returncode == 2
        [line] = result.stderr.splitlines()
        assert "expected a run with a search" in line


def test_bad_input_is_one_sentence(cli, finished, tmp_path):
    def refused(sentence, *words):
        result = cli(*words)
        assert result.returncode == 2, result.stderr
        [line] = result.stderr.splitlines()
        assert line.startswith("nasrec-opt: ")
        assert sentence in line

    out = shutil.copytree(finished, tmp_path / "run")
    before = files_below(out)
    (tmp_path / "empty").mkdir()
    refused("expected a finished run", "compare", tmp_path / "empty", "--random")
    study = json.loads((out / "study.json").read_text())
    study["search"] |= {"sampler": "random"}
    (out / "study.json").write_text(json.dumps(study))
    refused("got a random search", "compare", out, "--random")
    study["search"] |= {"sampler": "best"}
    (out / "study.json").write_text(json.dumps(study))
    refused("study.json: search: sampler: expected one of", "compare", out, "--random")
    (out / "study.json").unlink()
    refused(f"`nasrec-opt run STUDY.toml --out {out}` writes it", "compare", out, "--random")
    assert {p: t for p, t in before.items() if p.name != "study.json"} == files_below(out)


def test_a_run_of_before_gets_its_study_without_training(cli, finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "run")
    (out / "study.json").unlink()
    before = files_below(out / "retrained") | files_below(out / "supernet")
    study = tmp_path / "tiny.toml"
    study.write_text(tiny_study_with(search=SEARCH, retrain=RETRAIN, data=DATA))
    assert cli("run", study, "--out", out).returncode == 0
    assert (out / "study.json").read_text() == (finished / "study.json").read_text()
    assert files_below(out / "retrained") | files_below(out / "supernet") == before
