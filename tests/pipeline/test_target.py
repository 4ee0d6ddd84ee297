"""Costing and drawing models of a run: the figures are those of its report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hw import TechnologyFile
from nasrec_opt import Genotype, lower
from nasrec_opt.cli import app
from nasrec_opt.data import Dataset
from nasrec_opt.errors import NasrecError
from nasrec_opt.pipeline import StudyConfig, run_study

STUDY = """
name = "tiny"
[data]
synthetic_rows = 1500
binned_dense = {binned}
[space]
preset = "codesign"
num_blocks = 1
[supernet]
batch_size = 128
[oracle]
rows = 64
[hardware]
technology = "{technology}"
[search]
sampler = "random"
n_trials = 12
[retrain]
top = 2
[retrain.model]
epochs = 1
batch_size = 128
"""
MINE = (
    'base = "mnsim_2_0.toml"\n[crossbar]\nread_ns = { value = 77.0, unit = "ns", node = "7 nm" }\n'
)
SAME = ("latency_us", "energy_uj", "area_mm2", "leakage_mw", "samples_per_s", "mflops",
        "parameters", "components")  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run whose columns and technology are not the defaults, moved from where it was."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "mine.toml").write_text(MINE)
    (folder / "study.toml").write_text(STUDY.format(binned="true", technology="mine.toml"))
    run_study(StudyConfig.from_toml(folder / "study.toml"), folder / "made", until="retrain")
    (folder / "mine.toml").unlink()
    return (folder / "made").rename(folder / "moved")


def called(*arguments: object):
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=True)


def figures(*arguments: object) -> dict:
    result = called("cost", *arguments, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def refused(*arguments: object) -> str:
    result = called(*arguments)
    assert isinstance(result.exception, NasrecError), result.stdout
    return str(result.exception)


def results(run: Path) -> dict:
    return json.loads((run / "retrained" / "results.json").read_text())


@pytest.mark.parametrize("rank", [1, 2])
def test_figures_of_a_run_are_those_of_its_results(run, tmp_path, rank):
    model = results(run)["models"][rank - 1]
    genotype = tmp_path / "g.json"
    genotype.write_text(json.dumps(model["genotype"]))
    for found in (
        figures(run, "--model", rank),
        figures(run / "retrained" / "results.json", "--model", rank),
        figures(genotype, "--run", run),
        figures(shutil.copy(run / "retrained" / "results.json", tmp_path), "--model", rank),
    ):
        assert {name: found[name] for name in SAME} == {name: model[name] for name in SAME}
        conditions = found["conditions"]
        assert (conditions["num_dense"], conditions["num_sparse"]) == (13, 39)  # 13 + 26 are binned
        assert not conditions["columns_are_assumed"]
        assert conditions["technology"] == "mine.toml"
        assert conditions["accelerator"] == "ReRAM"
        assert "7 nm" in conditions["nodes"]
    assert figures(genotype)["energy_uj"] != model["energy_uj"]


def test_the_best_model_is_the_one_that_nobody_asked_for_by_rank(run):
    assert figures(run) == figures(run, "--model", 1)
    assert figures(run) != figures(run, "--model", 2)


def test_what_is_printed_says_what_the_figures_hold_for(run):
    text = " ".join(called("cost", run).stdout.split())
    assert (
        "One sample of 13 dense and 39 sparse columns, on ReRAM: mine.toml, which does not ship, "
        "figures of "
    ) in text
    assert "with the genotype's accelerator genes" in text
    assert "Latency 0: off the critical path" in text
    assert "millions of multiply-accumulates of one sample" in text


def of_model(run: Path, rank: int = 1) -> Path:
    """The folder of a retrained model."""
    return run / results(run)["models"][rank - 1]["folder"]


def test_the_folder_of_a_model_is_that_model(run):
    for place in (of_model(run, 2), of_model(run, 2) / "model", of_model(run, 2) / "model"):
        assert figures(place) == figures(run, "--model", 2)
    assert figures(of_model(run) / "model" / "genotype.json") == figures(run)
    assert "--model: expected only with a run" in refused("cost", of_model(run), "--model", 1)


def test_a_published_model_is_costed_with_the_columns_of_its_log(run):
    found = figures("published:avazu-full")
    assert found["mflops_paper"] == pytest.approx(1.867, abs=5e-4)
    conditions = found["conditions"]
    assert (conditions["num_dense"], conditions["num_sparse"]) == (1, 23)  # a column of zeros
    assert figures("published:avazu-full", "--num-sparse", 26)["conditions"]["num_sparse"] == 26
    here = figures("published:avazu-full", "--run", run)
    assert here["conditions"]["num_sparse"] == 39
    assert "expected one of criteo-small" in refused("cost", "published:criteo")


COMMANDS = {
    "cost": ("cost", "{}", "--json"),
    "show": ("show", "{}", "--out", "{out}/x.svg"),
    "motifs": ("motifs", "{}", "--samples", 5),
    "prune": ("prune", "{}", "--rounds", 1, "--method", "magnitude", "--out", "{out}/pruned"),
    "export": ("export", "{}", "--format", "torch", "--out", "{out}/exported"),
    "predict": ("predict", "{}", "{out}/rows.csv"),
    "compare": ("compare", "{}"),
    "retrain": ("retrain", "{study}", "--genotype", "{}", "--out", "{out}/again"),
}


@pytest.mark.parametrize("what", ["run", "results", "model"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_a_run_its_results_and_a_model(run, tmp_path, command, what):
    given = {"run": run, "results": run / "retrained" / "results.json", "model": of_model(run)}
    if what == "model" and command in ("compare", "prune"):
        return  # both are about a run and its log
    study = tmp_path / "study.toml"
    study.write_text("[data]\nsynthetic_rows = 1500\n[retrain.model]\nepochs = 1\n")
    (tmp_path / "rows.csv").write_text("\t".join(["3"] * 13 + ["ab"] * 26) + "\n")
    words = [str(word).format(given[what], out=tmp_path, study=study) for word in COMMANDS[command]]
    result = called(*words)
    assert result.exit_code == 0, result.exception


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"motifs", "compare"}))
def test_more_models_than_there_are_is_refused_and_leaves_nothing(run, tmp_path, command):
    study = tmp_path / "study.toml"
    study.write_text("[retrain.model]\nepochs = 1\n")
    (tmp_path / "rows.csv").write_text("\t".join(["3"] * 13 + ["ab"] * 26) + "\n")
    before = sorted(tmp_path.iterdir())
    words = [str(word).format(run, out=tmp_path, study=study) for word in COMMANDS[command]]
    assert "model: expected 1 to 2" in refused(*words, "--model", 9)
    assert sorted(tmp_path.iterdir()) == before
    assert not (run / "pruned" / "model-9-magnitude").exists()


def test_another_accelerator_may_be_tried_for_a_model_of_a_run(run):
    found = figures(run, "--accelerator", "cpu.toml")
    assert found["conditions"]["technology"] == "cpu.toml"
    assert found["conditions"]["num_sparse"] == 39
    assert found["parameters"] == figures(run)["parameters"]


def test_show_draws_a_model_of_a_run(run, tmp_path):
    drawn = []
    for rank in (1, 2):
        out = tmp_path / f"{rank}.svg"
        assert called("show", run, "--model", rank, "--out", out).exit_code == 0
        drawn.append(out.read_text())
    assert drawn[0] != drawn[1]
    genotype = tmp_path / "g.json"
    genotype.write_text(json.dumps(results(run)["models"][0]["genotype"]))
    out = tmp_path / "g.svg"
    assert called("show", genotype, "--run", run, "--out", out).exit_code == 0
    assert out.read_text() == drawn[0]


def test_what_does_not_fit_is_one_sentence(run, tmp_path):
    genotype = tmp_path / "g.json"
    genotype.write_text(json.dumps(results(run)["models"][0]["genotype"]))
    assert "--model: expected 1 to 2, got 3" in refused("cost", run, "--model", 3)
    assert "--model: expected 1 to 2, got 0" in refused("cost", run, "--model", 0)
    assert "--model: expected only with a run" in refused("cost", genotype, "--model", 1)
    assert "--run: expected only with a genotype" in refused("cost", run, "--run", run)
    assert "--num-sparse: expected only without a run" in refused("cost", run, "--num-sparse", 3)
    assert "found nothing there; give a run that has some" in refused("cost", tmp_path)
    other = tmp_path / "run" / "searches" / "second" / "results.json"
    other.parent.mkdir(parents=True)
    shutil.copy(run / "retrained" / "results.json", other)
    assert f"found nothing there; give one of {other}" in refused("cost", tmp_path / "run")
    assert figures(other) == figures(run)
    assert "expected a run folder, found nothing there" in refused(
        "show", genotype, "--run", tmp_path / "x", "--out", tmp_path / "x.svg"
    )
    assert "with a trained supernet, got none" in refused("cost", genotype, "--run", tmp_path)
    assert "expected a genotype in JSON, or a run" in refused("cost", tmp_path / "nothing")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("models", [{}], "expected retrained models and baselines"),
        ("models", [3], "expected retrained models and baselines"),
        ("models", {}, "expected retrained models and baselines"),
        ("conditions", {}, "conditions: expected the features and the technology of a run, got {}"),
        ("conditions", 3, "conditions: expected the features and the technology of a run, got 3"),
    ],
)
def test_results_that_somebody_changed_are_one_sentence(run, tmp_path, key, value, words):
    changed = tmp_path / "results.json"
    changed.write_text(json.dumps({**results(run), key: value}))
    assert words in refused("cost", changed)
    assert words in refused("show", changed, "--out", tmp_path / "x.svg")


def test_a_run_of_before_is_costed_from_its_dataset_and_record(run, tmp_path):
    old = shutil.copytree(run, tmp_path / "old")
    kept = results(old)
    del kept["conditions"]
    (old / "retrained" / "results.json").write_text(json.dumps(kept))
    assert "expected the technology file of the run" in refused("cost", old)
    (tmp_path / "mine.toml").write_text(MINE)
    found = figures(old, "--accelerator", tmp_path / "mine.toml")
    assert {name: found[name] for name in SAME} == {n: kept["models"][0][n] for n in SAME}


def test_a_run_is_costed_before_its_models_are_retrained(tmp_path):
    study = tmp_path / "study.toml"
    study.write_text(STUDY.format(binned="false", technology="handcrafted.toml"))
    config = StudyConfig.from_toml(study)
    found = run_study(config, tmp_path / "run", until="search").study()
    trial = found.trials[0]
    genotype = tmp_path / "g.json"
    genotype.write_text(trial.user_attrs["genotype"])
    ours = figures(genotype, "--run", tmp_path / "run")
    assert [ours["latency_us"], ours["energy_uj"]] == trial.values[1:]
    assert ours["conditions"]["num_sparse"] == 26
    assert ours["conditions"]["technology"] == "handcrafted.toml"


def test_models_without_balanced_dot_products_cost_what_they_compute(tmp_path):
    (tmp_path / "space.toml").write_text(
        'name = "dots"\nnum_blocks = 1\ndense_ops = ["dot"]\nsparse_ops = ["efc"]\n'
        "dense_widths = [16, 32]\nsparse_widths = [16, 32]\n"
    )
    text = STUDY.format(binned="false", technology="cpu.toml")
    text = text.replace('preset = "codesign"\nnum_blocks = 1', 'file = "space.toml"')
    (tmp_path / "study.toml").write_text(text + "balance = false\n")
    out = tmp_path / "run"
    run_study(StudyConfig.from_toml(tmp_path / "study.toml"), out, until="retrain")
    features = Dataset.open(out / "dataset").features
    accelerator = TechnologyFile.read("cpu.toml").accelerator
    for rank, model in enumerate(results(out)["models"], start=1):
        genotype = Genotype.from_dict(model["genotype"])
        workload = lower(genotype, features, balance=False)
        assert model["parameters"] == workload.parameters
        assert model["parameters"] > lower(genotype, features).parameters
        assert model["energy_uj"] == pytest.approx(accelerator.cost(workload).energy_pj * 1e-6)
        again = figures(out, "--model", rank)
        assert [again[name] for name in SAME] == [model[name] for name in SAME]


@pytest.fixture
def study(run, tmp_path, monkeypatch) -> Path:
    """The study file of a run that is where `nasrec-opt run` puts it."""
    shutil.copytree(run, tmp_path / "runs" / "tiny")
    (tmp_path / "mine.toml").write_text(MINE)
    (tmp_path / "tiny.toml").write_text(STUDY.format(binned="true", technology="mine.toml"))
    monkeypatch.chdir(tmp_path)
    return Path("tiny.toml")


@pytest.mark.parametrize(
    "command",
    [("compare",), ("open",), ("cost", "--model", "2"), ("motifs", "--samples", "20")],
    ids=lambda command: command[0],
)
def test_a_study_stands_for_its_run(study, command):
    name, *options = command
    found, expected = (called(name, path, *options) for path in (study, Path("runs/tiny")))
    assert found.exit_code == 0, found.exception
    assert found.stdout == expected.stdout
    if name in ("compare", "open"):
        results = Path("runs/tiny/retrained/results.json")
        assert called(name, results, *options).stdout == expected.stdout


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("compare", ()),
        ("open", ()),
        ("prune", ()),
        ("register", ()),
        ("predict", ("rows.csv",)),
        ("export", ("--out", "exported")),
        ("cost", ()),
        ("show", ("--out", "x.svg")),
        ("motifs", ()),
        ("retrain", ("--genotype",)),
    ],
)
def test_a_study_without_a_run_is_one_sentence(study, command, options):
    shutil.rmtree("runs")
    words = (*options, study) if command == "retrain" else (study, *options)
    sentence = "tiny.toml: expected the run of this study in runs/tiny, found nothing there; give"
    assert refused(command, *words).startswith(sentence)
    assert sorted(path.name for path in Path().iterdir()) == ["mine.toml", "tiny.toml"]
