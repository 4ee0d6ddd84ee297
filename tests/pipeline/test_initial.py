"""`[search] initial`: genotypes of a study file that are the first trials of its search."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optuna
import pytest
from conftest import TINY_STUDY

from nasrec_opt import Genotype, SearchSpace
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.pipeline._initial import initial_genotypes
from nasrec_opt.space import published_model

SPACE = SearchSpace.nasrec_small(2)
GENOTYPES = [SPACE.sample(np.random.default_rng(seed)) for seed in (0, 1)]


def study_file(folder: Path, initial: list[str], more: str = "", text: str = TINY_STUDY) -> Path:
    """The tiny study with first trials, below a folder that also has their files."""
    for name, genotype in zip(("a.json", "more/b.json"), GENOTYPES, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(genotype.to_json())
    text = text.replace("n_trials = 24", f"n_trials = 6\ninitial = {json.dumps(initial)}\n{more}")
    (folder / "tiny.toml").write_text(text)
    return folder / "tiny.toml"


def trials(out: Path, name: str = "tiny") -> list[Genotype]:
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{out}/study.db")
    return [SPACE.decode(trial.params) for trial in study.trials]


def test_they_are_the_first_trials_once_however_often_it_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # paths are relative to the file, wherever the command runs
    (tmp_path / "studies").mkdir()
    path, out = study_file(tmp_path / "studies", ["a.json", "more/b.json", "a.json"]), Path("run")
    run_study(StudyConfig.from_toml(path), out, until="search")
    first = trials(out)
    assert first[:2] == GENOTYPES
    assert len(first) == 6
    path.write_text(path.read_text().replace("n_trials = 6", "n_trials = 9"))
    run_study(StudyConfig.from_toml(path), out, until="search")
    assert trials(out)[:6] == first
    assert len(trials(out)) == 9


def test_other_first_trials_are_a_second_search_beside_the_first(tmp_path):
    out = tmp_path / "run"
    for initial in ([], ["a.json"], ["more/b.json"], ["a.json"]):
        path = study_file(tmp_path, initial)
        run_study(StudyConfig.from_toml(path), out, until="search")
    assert trials(out, "tiny-evolution")[0] == GENOTYPES[0]
    assert trials(out, "tiny-evolution-2")[0] == GENOTYPES[1]
    (tmp_path / "a.json").rename(tmp_path / "renamed.json")
    path.write_text(path.read_text().replace("a.json", "renamed.json"))
    run_study(StudyConfig.from_toml(path), out, until="search")
    assert set(optuna.get_all_study_names(f"sqlite:///{out}/study.db")) == {
        "tiny", "tiny-evolution", "tiny-evolution-2",
    }  # fmt: skip


OTHERS = {
    "blocks": (SearchSpace.nasrec_small(3), "blocks: expected 2, got 3"),
    "preset": (SearchSpace.nasrec_full(2), "space: expected 'nasrec_small', got 'nasrec_full'"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_genotype_outside_the_space_ends_the_command_before_the_work(cli, tmp_path, name):
    space, sentence = OTHERS[name]
    path = study_file(tmp_path, ["more/b.json", "a.json"])
    (tmp_path / "a.json").write_text(space.sample(np.random.default_rng(0)).to_json())
    done = cli("run", path, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr == f"nasrec-opt: [search]: initial: {tmp_path / 'a.json'}: {sentence}\n"
    assert not (tmp_path / "run" / "dataset").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "expected a genotype in JSON, got No such file"),
        ("{", "genotype: expected JSON"),
        ("[]", "genotype: expected a JSON object, got list"),
        (b"\xff\xfe{\0", "expected a genotype in JSON, got UTF-16 text"),
        ('{"space": "nasrec_small", "blocks": [{"dense_width": 17}, {}]}', "dense_width: expected"),
        (
            '{"space": "nasrec_small", "blocks": [{"dense_bits": 4}, {}]}',
            "b1.dense_bits: expected one of 8, got 4",
        ),
    ],
)
def test_a_file_that_is_no_genotype_of_the_space_is_named(tmp_path, content, sentence):
    config = StudyConfig.from_toml(study_file(tmp_path, ["a.json"]))
    (tmp_path / "a.json").unlink()
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(GenotypeError) as caught:
        initial_genotypes(config.search, SPACE)
    assert str(caught.value).startswith(f"[search]: initial: {tmp_path / 'a.json'}: ")
    assert sentence in str(caught.value)


def test_a_byte_order_mark_is_read(tmp_path):
    config = StudyConfig.from_toml(study_file(tmp_path, ["a.json"]))
    (tmp_path / "a.json").write_text("\ufeff" + GENOTYPES[0].to_json(), encoding="utf-8")
    assert initial_genotypes(config.search, SPACE) == (GENOTYPES[0],)


@pytest.mark.parametrize("bits", [8, 32])
def test_published_models_have_the_bits_of_the_space(tmp_path, bits):
    text = TINY_STUDY.replace("num_blocks = 2", f"num_blocks = 7\nbits = [{bits}]")
    config = StudyConfig.from_toml(study_file(tmp_path, ["published:kdd-small"], text=text))
    [genotype] = initial_genotypes(config.search, config.space.build())
    assert genotype == published_model("kdd-small").genotype.with_bits(bits)


def test_an_unknown_published_model_is_refused_with_those_known(tmp_path):
    config = StudyConfig.from_toml(study_file(tmp_path, ["published:criteo"]))
    with pytest.raises(GenotypeError, match="published:criteo: published model: expected one of"):
        initial_genotypes(config.search, SPACE)


def test_more_first_trials_than_trials_are_refused(tmp_path):
    path = study_file(tmp_path, [f"{number}.json" for number in range(7)])
    with pytest.raises(StudyError, match=r"initial: expected at most as many .* as n_trials = 6"):
        StudyConfig.from_toml(path)
