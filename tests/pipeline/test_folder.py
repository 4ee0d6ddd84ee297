"""Which stages of a run count as done, and who may work in its folder."""

from __future__ import annotations

import pytest

from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import RunFolder
from nasrec_opt.pipeline._stages import STAGES


def finished(folder: RunFolder, stage: str, settings: dict[str, int]) -> None:
    folder.output(stage).parent.mkdir(parents=True, exist_ok=True)
    folder.output(stage).write_text("")
    folder.finish(stage, settings, 1.0)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_done_while_its_settings_and_its_output_are_there(tmp_path, stage):
    folder = RunFolder(tmp_path / "run")
    assert not folder.is_done(stage, {"a": 1})
    finished(folder, stage, {"a": 1})
    assert folder.is_done(stage, {"a": 1})
    assert not folder.is_done(stage, {"a": 2})
    with pytest.raises(StudyError, match="a was 1 then, is 2 now"):
        folder.require_same(stage, {"a": 2}, folder.path)
    folder.output(stage).unlink()
    assert not folder.is_done(stage, {"a": 1})
    folder.require_same(stage, {"a": 2}, folder.path)  # what a person removed binds nobody


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
        finished(folder, "train", {})
        assert folder.set_aside() == tmp_path / "run-1"
    assert not folder.path.exists()
    assert RunFolder(tmp_path / "run-1").is_done("train", {})
