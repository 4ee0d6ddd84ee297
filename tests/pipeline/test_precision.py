"""Precision `auto` is settled once for a run; what a run of before had counts as its defaults."""

from __future__ import annotations

import json
import logging

import pytest
import torch

from nasrec_opt.errors import StudyError
from nasrec_opt.oracle import AdagradFit, FineTune
from nasrec_opt.pipeline import RunFolder, StudyConfig
from nasrec_opt.pipeline._identity import search_settings, settings_in_force, train_settings
from nasrec_opt.pipeline._log_recipe import with_recipe
from nasrec_opt.pipeline._notes import warnings_as_notes
from nasrec_opt.pipeline._precision import keep_precision, with_precision
from nasrec_opt.pipeline._schema import upgraded
from nasrec_opt.supernet import has_bfloat16

QUICKEST = "bfloat16" if has_bfloat16(torch.device("cpu")) else "float32"

# What a run of the first release wrote down of its supernet and its oracle at their defaults.
OLD_SUPERNET = {
    "path_sampling": "single-any",
    "connections": "binomial",
    "warmup_fraction": 0.2,
    "batch_size": 512,
    "learning_rate": 0.12,
    "embedding_rate": None,
    "embedding_prior": 0.0,
    "rate_warmup_fraction": 0.02,
    "epochs": 1,
    "max_table_rows": 500_000,
    "precision": "float32",
    "seed": 0,
}
OLD_ORACLE = {"rows": None, "fidelity": "supernet", "precision": "float32"}
OLD_TRAINING = {"space": {}, "min_count": 1, "binned_dense": False, "seed": 0, "prepare": None}
AT_BITS = {"bits": "genotype"}
OLD_FINE_TUNE = {
    "steps": 100,
    "batch_size": 512,
    "learning_rate": 0.08,
    "evaluations": 4,
    "seed": 0,
}


def stated_supernet(then: dict) -> dict:
    """What an old run wrote down of its supernet, as this version writes it."""
    return upgraded("train", OLD_TRAINING | {"supernet": then}, {})["supernet"]


def stated_oracle(then: dict) -> dict:
    """What an old run wrote down of its oracle, as this version writes it."""
    search = {"sampler": "random", "objectives": [], "constraints": {}, "train": "", "hardware": {}}
    return upgraded("search", search | {"oracle": then}, {})["oracle"]


def study(tmp_path, text: str = "") -> StudyConfig:
    file = tmp_path / "study.toml"
    file.write_text(text)
    return StudyConfig.from_toml(file)


def settings_of(config: StudyConfig, folder: RunFolder) -> tuple[dict, dict]:
    space = config.space.build()
    config = with_recipe(with_precision(config, folder, space), folder, rows=96_000)
    supernet = train_settings(config, folder, space)["supernet"]
    return supernet, search_settings(config, folder, space)["oracle"]


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture
def old(folder) -> RunFolder:
    """The folder of a run of the first release, whose defaults did not follow the log."""
    folder.supernet.mkdir(parents=True)
    folder.study_db.touch()
    folder.finish("train", OLD_TRAINING | {"supernet": OLD_SUPERNET}, 1.0)
    return folder


def test_options_that_came_later_leave_an_older_run_as_it_was(tmp_path, old):
    assert settings_of(study(tmp_path), old) == (
        stated_supernet(OLD_SUPERNET),
        stated_oracle(OLD_ORACLE | AT_BITS),
    )
    text = '[oracle]\nbits = "float"'  # as an old run scored
    assert settings_of(study(tmp_path, text), old) == (
        stated_supernet(OLD_SUPERNET),
        stated_oracle(OLD_ORACLE),
    )
    text += '\nfidelity = "fine_tune"'
    expected = OLD_ORACLE | {"fidelity": "fine_tune", "fine_tune": OLD_FINE_TUNE}
    assert settings_of(study(tmp_path, text), old)[1] == stated_oracle(expected)


@pytest.mark.parametrize("line", ["epsilon = 1e-2", "clip_norm = 5.0", 'initialization = "xavier"'])
def test_a_published_setting_makes_another_supernet(tmp_path, old, line):
    supernet, _ = settings_of(study(tmp_path, f"[supernet]\n{line}\n"), old)
    name = line.split()[0]
    assert supernet == stated_supernet(OLD_SUPERNET) | {name: supernet[name]}


@pytest.mark.parametrize("line", ["epsilon = 1e-2", "clip_norm = 5.0"])
def test_a_published_setting_makes_another_fidelity(tmp_path, old, line):
    text = f'[oracle]\nfidelity = "fine_tune"\n[oracle.fine_tune]\n{line}\n'
    _, oracle = settings_of(study(tmp_path, text), old)
    name = line.split()[0]
    assert list(oracle["fine_tune"]) == [name]  # all others are as they were


def test_a_study_file_chooses_how_the_last_layer_is_fitted(tmp_path, old):
    text = 'seed = 5\n[oracle]\nfidelity = "last_layer"\n'
    assert study(tmp_path, text).oracle.fitted(5) == "newton"
    expected = OLD_ORACLE | AT_BITS | {"fidelity": "last_layer"}
    assert settings_of(study(tmp_path, text), old)[1] == stated_oracle(expected)
    text += 'last_layer = "adagrad"\n[oracle.adagrad]\nsteps = 70\n'
    config = study(tmp_path, text)
    assert config.oracle.fitted(5) == AdagradFit(steps=70, seed=5)
    oracle = settings_of(config, old)[1]
    assert (oracle["last_layer"], oracle["adagrad"]["steps"]) == ("adagrad", 70)
    shown = settings_in_force(config, "synthetic")["oracle"]
    assert shown["adagrad"]["epsilon"] == 1e-2
    newton = settings_in_force(study(tmp_path, text.replace('"adagrad"', '"newton"')), "synthetic")
    assert "adagrad" not in newton["oracle"]
    folds = study(tmp_path, text.replace('"adagrad"', '"folds"'))
    assert folds.oracle.fitted(5) == "folds"
    assert settings_of(folds, old)[1]["last_layer"] == "folds"


def test_rows_of_a_fit_count_where_one_is_made_and_they_were_given(tmp_path, old):
    text = '[oracle]\nfidelity = "last_layer"\nfit_rows = 32768\n'
    assert settings_of(study(tmp_path, text), old)[1]["fit_rows"] == 32768
    for unread in (text.replace("last_layer", "supernet"), text + 'last_layer = "adagrad"\n'):
        assert "fit_rows" not in settings_of(study(tmp_path, unread), old)[1]
    with pytest.raises(StudyError, match="fit_rows: expected 1 or more, got 0"):
        study(tmp_path, "[oracle]\nfit_rows = 0\n")


@pytest.mark.parametrize("table", ["adagrad", "fine_tune", "scratch"])
def test_a_seed_of_a_stage_is_refused(tmp_path, table):
    with pytest.raises(StudyError, match=f"oracle.{table}.: expected the seed at the top"):
        study(tmp_path, f"[oracle.{table}]\nseed = 3\n")


def test_options_reach_the_fidelity(tmp_path):
    text = "[oracle.fine_tune]\nepsilon = 0.5\nclip_norm = 2.0\nrate_warmup_fraction = 0.1\n"
    expected = FineTune(epsilon=0.5, clip_norm=2.0, rate_warmup_fraction=0.1, seed=1)
    config = study(tmp_path, f'[oracle]\nfidelity = "fine_tune"\n{text}')
    assert config.oracle.trained(1) == expected


def test_a_new_run_takes_what_suits_the_processor_and_a_moved_one_keeps_it(tmp_path, folder):
    text = "[space]\ncodesign = false\n"
    config = study(tmp_path, text)
    space = config.space.build()
    first = with_precision(config, folder, space)
    assert first.oracle.precision == "float32"  # at 8 bits; in bfloat16 they would not rank alike
    floats = study(tmp_path, "[space]\nbits = [32]\n")
    quick = with_precision(floats, folder, floats.space.build())
    assert quick.oracle.precision == QUICKEST
    assert first.supernet.precision == "float32"
    assert not folder.path.exists()  # settled, and nothing written yet
    folder.path.mkdir()
    keep_precision(first, folder)
    # As another processor would have begun it.
    other = {"float32": "bfloat16", "bfloat16": "float32"}[first.oracle.precision]
    folder.precision.write_text(json.dumps({"supernet": "float32", "oracle": other}))
    moved = with_precision(config, folder, space)
    assert moved.oracle.precision == other
    keep_precision(moved, folder)
    assert json.loads(folder.precision.read_text())["oracle"] == other


def test_spaces_with_bits_stay_in_float32(tmp_path, folder):
    config = study(tmp_path, '[supernet]\nprecision = "auto"\n[space]\npreset = "codesign"\n')
    settled = with_precision(config, folder, config.space.build())
    assert (settled.supernet.precision, settled.oracle.precision) == ("float32", "float32")


def test_an_explicit_precision_stays(tmp_path, old):
    config = study(tmp_path, '[oracle]\nprecision = "bfloat16"\n')
    assert with_precision(config, old, config.space.build()).oracle.precision == "bfloat16"


@pytest.mark.parametrize("text", ["{", "[]", '{"supernet": "float32"}', '{"supernet": 1}', ""])
def test_a_damaged_file_is_one_sentence(tmp_path, old, text):
    old.precision.write_text(text)
    config = study(tmp_path)
    with pytest.raises(StudyError, match=r"precision\.json: expected the precision of supernet"):
        with_precision(config, old, config.space.build())


class Notes:
    """A reporter that remembers its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def begin(self, stage: str, detail: str = "") -> None: ...

    def advance(self, done: int, total: int | None) -> None: ...

    def end(self, sentence: str) -> None: ...

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def test_warnings_of_the_library_are_notes_of_the_run():
    reporter = Notes()
    log = logging.getLogger("nasrec_opt.supernet.something")
    with warnings_as_notes(reporter):
        log.warning("slower %s", "here")
        log.info("no news")
    log.warning("later")
    assert reporter.notes == ["slower here"]
