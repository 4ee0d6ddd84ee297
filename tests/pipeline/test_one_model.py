"""`retrain --genotype`: one given architecture from scratch, without a search."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nasrec_opt.data import Dataset
from nasrec_opt.options import SpaceConfig
from nasrec_opt.pipeline import OneModel, RunFolder, SilentReporter, StudyConfig, genotype_named
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
    one = OneModel(GENOTYPE, StudyConfig.from_toml(study), out)
    one.train()
    dataset = Dataset.open(out / "dataset", min_count=1)
    for seed, model in zip((3, 4), one.models, strict=True):
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
    one = OneModel(GENOTYPE, StudyConfig.from_toml(study), out)
    one.train()
    file = one.best.path / "model" / "genotype.json"
    assert genotype_named(str(file), StudyConfig(name="x")) == GENOTYPE


class StoppedError(Exception):
    pass


class Stops(SilentReporter):
    """Ends a training on its way."""

    stage = ""

    def begin(self, stage: str, detail: str = "") -> None:
        self.stage = stage

    def advance(self, done: int, total: int | None) -> None:
        if self.stage == "model" and done > 30:
            raise StoppedError


def test_a_killed_training_continues_to_the_same_model(study, tmp_path):
    config = StudyConfig.from_toml(study)
    whole, parts = (OneModel(GENOTYPE, config, tmp_path / name) for name in ("whole", "parts"))
    whole.train()
    with pytest.raises(StoppedError):
        parts.train(reporter=Stops())
    parts.train()
    assert [m.test_log_loss for m in parts.models] == [m.test_log_loss for m in whole.models]


def test_a_published_model_is_in_floating_point_unless_the_study_says_otherwise():
    published, name = published_model("criteo-small").genotype, "published:criteo-small"
    assert genotype_named(name, StudyConfig(name="x")) == published.with_bits(32)
    of_four = StudyConfig(name="x", space=SpaceConfig(bits=(4,)))
    assert genotype_named(name, of_four) == published.with_bits(4)


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
