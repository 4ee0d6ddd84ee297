"""`retrain --genotype`, and a study that names its models: from scratch, without a search."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import optuna
import pytest
from conftest import REPOSITORY
from safetensors import safe_open

from nasrec_opt.data import Dataset
from nasrec_opt.options import SpaceConfig
from nasrec_opt.pipeline import (
    GivenModels,
    RunFolder,
    SilentReporter,
    StudyConfig,
    given_genotypes,
)
from nasrec_opt.retrain import RetrainConfig, retrain
from nasrec_opt.serving import Predictor
from nasrec_opt.space import BlockGene, Genotype, published_model
from nasrec_opt.supernet import Subnet

GENOTYPE = Genotype(
    (BlockGene(dense_ops=("fc",), dense_width=16, sparse_width=16),), space="nasrec_small"
)
STUDY = """
seed = 3
[data]
synthetic_rows = 2000
[retrain]
seeds = 2
[retrain.model]
epochs = 1
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(STUDY)
    return path


def test_the_models_are_those_of_retrain(study, tmp_path):
    out = tmp_path / "out"
    given = GivenModels({"mine": GENOTYPE}, StudyConfig.from_toml(study), out)
    given.train()
    dataset = Dataset.open(out / "dataset", min_count=1)
    for seed, model in zip((3, 4), given.models["mine"], strict=True):
        alone = retrain(
            GENOTYPE, dataset, tmp_path / f"alone-{seed}", RetrainConfig(epochs=1, seed=seed)
        )
        assert model.test_log_loss == alone.test_log_loss
        assert model.validation_log_loss == alone.validation_log_loss
    assert not RunFolder(out).study_db.exists()
    assert not RunFolder(out).supernet.exists()


def test_the_command_prints_figures_and_reads_what_is_there(cli, study, tmp_path):
    (tmp_path / "g.json").write_text(GENOTYPE.to_json())
    arguments = ("retrain", study, "--genotype", tmp_path / "g.json", "--out", tmp_path / "out")
    first = cli(*arguments)
    assert first.returncode == 0, first.stderr
    assert "mean ± deviation over 2 seeds" in first.stdout
    place = re.search(r"^model: (.*)$", first.stdout, re.MULTILINE)
    assert place
    model = Path(place.group(1))
    figures = json.loads((model / "result.json").read_text())["figures"]
    assert f"test {figures['test_log_loss']:.5f}" in first.stdout
    served = Predictor.load(model).model
    assert isinstance(served, Subnet)
    assert served.genotype == GENOTYPE
    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "retrained").rglob("*")}
    again = cli(*arguments)
    assert again.stdout == first.stdout
    assert written == {p: p.stat().st_mtime_ns for p in written}


def test_a_model_of_a_run_is_trained_elsewhere(study, tmp_path):
    out = tmp_path / "out"
    given = GivenModels({"mine": GENOTYPE}, StudyConfig.from_toml(study), out)
    given.train()
    file = given.models["mine"][0].path / "model" / "genotype.json"
    assert list(given_genotypes([str(file)], StudyConfig(name="x")).values()) == [GENOTYPE]


class StoppedError(Exception):
    pass


class Stops(SilentReporter):
    """Ends a training on its way."""

    stage = ""

    def begin(self, stage: str, detail: str = "") -> None:
        self.stage = stage

    def advance(self, done: int, total: int | None) -> None:
        if self.stage == "models" and done > 30:
            raise StoppedError


def test_a_killed_training_continues_to_the_same_model(study, tmp_path):
    config = StudyConfig.from_toml(study)
    whole, parts = (
        GivenModels({"mine": GENOTYPE}, config, tmp_path / name) for name in ("whole", "parts")
    )
    whole.train()
    with pytest.raises(StoppedError):
        parts.train(reporter=Stops())
    parts.train()
    found, expected = parts.models["mine"], whole.models["mine"]
    assert [m.test_log_loss for m in found] == [m.test_log_loss for m in expected]


KILLED = """
from nasrec_opt.retrain import _job
_job.LEAST_S, _job.SHARE = 0.0, 0  # a checkpoint at every step
from nasrec_opt.cli import main
main()
"""


class Counts(SilentReporter):
    """Remembers how many steps were done."""

    stage, steps = "", 0

    def begin(self, stage: str, detail: str = "") -> None:
        self.stage = stage

    def advance(self, done: int, total: int | None) -> None:
        if self.stage == "models":
            self.steps = max(self.steps, done)


def steps_in(out: Path) -> int:
    """Steps of the unfinished training of a folder."""
    try:
        [state] = (out / "retrained").glob("*/training.safetensors")
        with safe_open(state, framework="pt") as stored:
            return int(json.loads(stored.metadata()["training"])["steps"])
    except (ValueError, OSError):
        return 0


def test_a_killed_process_continues_inside_the_model(start_code, study, tmp_path):
    study.write_text(STUDY.replace("seeds = 2", "seeds = 1"))
    (tmp_path / "g.json").write_text(GENOTYPE.to_json())
    out, words = tmp_path / "out", ("--genotype", str(tmp_path / "g.json"), "--out")
    process = start_code(KILLED, "retrain", study, *words, out)
    deadline = time.monotonic() + 300
    while process.is_running() and time.monotonic() < deadline and steps_in(out) < 10:
        time.sleep(0.01)
    process.stop(signal.SIGKILL)
    done = steps_in(out)
    assert done >= 10
    config, counts, whole = StudyConfig.from_toml(study), Counts(), Counts()
    resumed = GivenModels({"g": GENOTYPE}, config, out)
    resumed.train(reporter=counts)
    alone = GivenModels({"g": GENOTYPE}, config, tmp_path / "alone")
    alone.train(reporter=whole)
    assert counts.steps == whole.steps - done
    [found], [expected] = resumed.models["g"], alone.models["g"]
    skipped = {"seconds": None}
    assert {**found.to_dict(), **skipped} == {**expected.to_dict(), **skipped}
    assert not list(out.glob("retrained/*/*training*"))


def test_a_published_model_is_in_floating_point_unless_the_study_says_otherwise():
    published, name = published_model("criteo-small").genotype, "published:criteo-small"
    assert given_genotypes([name], StudyConfig(name="x")) == {name: published.with_bits(32)}
    of_four = StudyConfig(name="x", space=SpaceConfig(bits=(4,)))
    assert given_genotypes([name], of_four) == {name: published.with_bits(4)}
    assert len(given_genotypes([name, "published"], of_four)) == 6


@pytest.fixture(scope="module")
def published(cli, tmp_path_factory):
    """The study of the published models on few rows, with a model of one's own among them."""
    folder = tmp_path_factory.mktemp("published")
    text = (REPOSITORY / "studies" / "published.toml").read_text()
    for then, now in (
        ("min_count = 10", "synthetic_rows = 1500"),
        ('genotypes = ["published"]', 'genotypes = ["published:kdd-small", "mine.json"]'),
        ("seeds = 3", "seeds = 2"),
    ):
        assert then in text
        text = text.replace(then, now)
    (folder / "published.toml").write_text(text)
    (folder / "mine.json").write_text(GENOTYPE.with_bits(32).to_json())
    result = cli("run", folder / "published.toml", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, result


def test_a_study_that_names_its_models_trains_them_and_ends_with_their_table(published, cli):
    folder, result = published
    run = folder / "runs" / "published"
    assert "(published:kdd-small) | 2 |" in result.stdout
    assert "mine.json) | 2 |" in result.stdout
    assert "logistic regression" in result.stdout
    assert "The winner is" in result.stderr
    names = optuna.get_all_study_names(f"sqlite:///{run / 'study.db'}")
    assert len(names) == 2  # of the rates that the recipe compares
    assert all(name.startswith("learning rate of ") for name in names)
    assert not (run / "supernet").exists()
    results = json.loads((run / "retrained" / "results.json").read_text())
    [given] = [m for m in results["models"] if m["name"] == "published:kdd-small"]
    assert given["genotype"] == published_model("kdd-small").genotype.with_bits(32).to_dict()
    assert len(given["seeds"]) == 2
    again = cli("run", folder / "published.toml", cwd=folder)
    assert again.stdout == result.stdout


def test_the_commands_take_the_run_of_a_study_without_a_search(published, cli):
    run = published[0] / "runs" / "published"
    [rank] = [
        place
        for place, model in enumerate(
            json.loads((run / "retrained" / "results.json").read_text())["models"], start=1
        )
        if model["name"].endswith("mine.json")
    ]
    (published[0] / "rows.csv").write_text("\t".join(["3"] * 13 + ["ab"] * 26) + "\n")
    for words in (
        ("cost", run),
        ("motifs", run, "--samples", 5),
        ("predict", run, published[0] / "rows.csv", "--model", rank),
        ("compare", run),
        ("prune", run, "--model", rank, "--rounds", 1, "--method", "magnitude"),
    ):
        result = cli(*words)
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["published:criteo", "none.json", "."])
def test_a_study_that_names_no_model_is_refused_at_once(cli, tmp_path, name):
    study = tmp_path / "study.toml"
    study.write_text(f'[retrain]\ngenotypes = ["{name}"]\n')
    result = cli("run", study, cwd=tmp_path)
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert line.startswith("nasrec-opt: [retrain]: genotypes: ")
    assert list(tmp_path.iterdir()) == [study]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "retrain: expected a study file, or --genotype, got neither"),
        (("--genotype", "published:criteo"), "expected one of criteo-small"),
        (("--genotype", "none.json"), "none.json: expected a genotype in JSON"),
        (("--genotype", "published:kdd-full", "--model", 1), "--model: expected only with a run"),
        (("study.toml", "--model", 1), "--model: expected only with --genotype"),
        (("study.toml", "--recipe", "paper"), "--recipe: expected only with --genotype"),
        (
            ("--genotype", "published:kdd-full", "--recipe", "x"),
            "recipe: expected one of small_log",
        ),
        (("none.toml", "--genotype", "published:kdd-full"), "none.toml"),
        (("--genotype", "published:kdd-full", "--data", "none.txt"), "none.txt: expected a click"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(cli, tmp_path, arguments, sentence):
    result = cli("retrain", *arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    [line] = result.stderr.splitlines()
    assert line.startswith("nasrec-opt: ")
    assert sentence in line
    assert not list(tmp_path.iterdir())
