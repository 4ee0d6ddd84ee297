"""Genotypes of a study file: first trials of its search, and models known to be good."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optuna
import pytest
from conftest import TINY_STUDY

from nasrec_opt import Genotype, SearchSpace
from nasrec_opt.data import Dataset
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.pipeline._checks import check_study
from nasrec_opt.pipeline._identity import probe_settings, retrain_settings, search_settings
from nasrec_opt.pipeline._initial import initial_genotypes, known_genotypes
from nasrec_opt.pipeline._probes import probes_of
from nasrec_opt.space import hand_made, published_model

SPACE = SearchSpace.nasrec_small(2)
GENOTYPES = [SPACE.sample(np.random.default_rng(seed)) for seed in (0, 1)]


def study_file(folder: Path, initial: list[str], more: str = "", text: str = TINY_STUDY) -> Path:
    """The tiny study with first trials, below a folder that also has their files."""
    for name, genotype in zip(("a.json", "more/b.json"), GENOTYPES, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(genotype.to_json())
    text = text.replace("n_trials = 12", f"n_trials = 6\ninitial = {json.dumps(initial)}\n{more}")
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


FOUR = TINY_STUDY.replace("num_blocks = 2", "num_blocks = 4")


def ladder_of(folder: Path, known: list[str], probes: int = 2, text: str = FOUR) -> StudyConfig:
    """The tiny study with a ladder that knows models."""
    table = f"\n[search.ladder]\nprobes = {probes}\nknown = {json.dumps(known)}\n"
    return StudyConfig.from_toml(study_file(folder, [], text=text + table))


def test_known_models_are_probes_after_the_cheapest_random_one(tmp_path):
    config = ladder_of(tmp_path, ["like:dlrm", "like:dlrm"])
    space = config.space.build()
    run = run_study(config, tmp_path / "run", until="prepare")
    dataset = Dataset.open(run.folder.dataset)
    first, known, second = probes_of(config, dataset)
    assert known == hand_made("dlrm", space)
    assert [first, second] == probes_of(ladder_of(tmp_path, []), dataset)
    assert probes_of(ladder_of(tmp_path, ["like:dlrm"], probes=0), dataset) == [known]


def test_a_known_file_is_beside_the_study(tmp_path):
    config = ladder_of(tmp_path, ["a.json"], text=TINY_STUDY)
    assert known_genotypes(config.search.ladder, SPACE) == (GENOTYPES[0],)
    with pytest.raises(GenotypeError, match=r"\[search.ladder\]: known: .*a.json: blocks: expect"):
        known_genotypes(config.search.ladder, SearchSpace.nasrec_small(3))


def test_a_known_model_that_the_space_does_not_have_is_left_out(tmp_path):
    config = ladder_of(tmp_path, ["like:dlrm", "published:kdd-small"], text=TINY_STUDY)
    assert known_genotypes(config.search.ladder, SPACE) == ()


def test_an_unknown_known_model_is_refused(tmp_path):
    config = ladder_of(tmp_path, ["like:dlmr"])
    with pytest.raises(GenotypeError, match=r"\[search.ladder\]: known: hand-made model: expected"):
        check_study(config)


def test_known_models_count_among_the_trials(tmp_path):
    with pytest.raises(StudyError, match="expected at most n_trials = 6 genotypes"):
        ladder_of(tmp_path, ["like:dlrm"], probes=6)


def test_a_study_without_known_models_has_the_identity_that_it_had(tmp_path):
    """Folders of before there was such a key go on."""
    config = ladder_of(tmp_path, [])
    run = run_study(config, tmp_path / "run", until="prepare")
    space = config.space.build()
    for settings in (probe_settings, search_settings, retrain_settings):
        assert "known" not in json.dumps(settings(config, run.folder, space))
    other = ladder_of(tmp_path, ["like:dlrm"])
    for settings in (probe_settings, search_settings):
        assert settings(other, run.folder, space) != settings(config, run.folder, space)
