"""Which stages of a run count as done, and who may work in its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import STAGES, RunFolder
from nasrec_opt.pipeline.stages.train import TRAIN


def finished(folder: RunFolder, stage: str, settings: dict[str, int], output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("")
    folder.finish(stage, settings, 1.0)


@pytest.mark.parametrize("search", ["", "second"])
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_is_done_while_its_settings_and_its_output_are_there(tmp_path, stage, search):
    folder = RunFolder(tmp_path / "run")
    key, output = stage.key(search), stage.output(folder, search)
    assert not folder.is_done(key, {"a": 1}, output)
    finished(folder, key, {"a": 1}, output)
    assert folder.is_done(key, {"a": 1}, output)
    assert not folder.is_done(key, {"a": 2}, output)
    with pytest.raises(StudyError, match="a was 1 then, is 2 now"):
        folder.require_same(key, {"a": 2}, output, folder.path)
    output.unlink()
    assert not folder.is_done(key, {"a": 1}, output)
    folder.require_same(key, {"a": 2}, output, folder.path)  # what a person removed binds nobody


def test_entries_and_outputs_are_those_of_run_folders_before(tmp_path):
    folder = RunFolder(tmp_path)
    places = {
        stage.key(search): str(stage.output(folder, search).relative_to(tmp_path))
        for stage in STAGES
        for search in ("", "second")
    }
    assert places == {
        "prepare": "dataset/dataset.json",
        "models": "dataset/dataset.json",
        "baselines": "baselines/figures.json",
        "probe": "probes.json",
        "probe second": "searches/second/probes.json",
        "train": "supernet/model.json",
        "search": "study.db",
        "search second": "study.db",
        "ladder": "ladder.json",
        "ladder second": "searches/second/ladder.json",
        "retrain": "retrained/results.json",
        "retrain second": "searches/second/results.json",
        "register": "retrained/registered.json",
        "register second": "searches/second/registered.json",
        "report": "report.html",
        "report second": "searches/second/report.html",
    }


def test_one_process_at_a_time_and_the_other_leaves_no_mark(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        with pytest.raises(StudyError, match="another process works"), folder.locked():
            pass
        assert folder.path.exists()
    assert not folder.path.exists()  # nothing came of it


def test_a_folder_set_aside_while_it_is_held_leaves_its_place_free(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        finished(folder, "train", {}, TRAIN.output(folder, ""))
        assert folder.set_aside() == tmp_path / "run-1"
    assert not folder.path.exists()
    aside = RunFolder(tmp_path / "run-1")
    assert aside.is_done("train", {}, TRAIN.output(aside, ""))
