"""The dashboard finds pictures of trials, and where it has another key, those of the study."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta
from tracking import studies

pytest.importorskip("optuna_dashboard", reason="the extra 'dashboard' is not installed")

from optuna_dashboard.artifact import _backend as backend

from nasrec_opt._foreign import optuna_dashboard as foreign

KEY = "_dashboard_artifact_prefix"
CHANGES = {
    "another key": lambda patch: patch.setattr(backend, KEY, lambda trial: f"artifacts/{trial}/"),
    "no key": lambda patch: patch.delattr(backend, KEY),
    "a key of more": lambda patch: patch.setattr(backend, KEY, lambda study, trial: "x"),
}


@pytest.fixture
def study(tmp_path) -> optuna.Study:
    toy = studies.create(f"sqlite:///{tmp_path}/study.db")
    toy.optimize(studies.objective, n_trials=2)
    return toy


@pytest.fixture
def picture(tmp_path) -> Path:
    file = tmp_path / "architecture.svg"
    file.write_text("<svg/>")
    return file


def attach(study: optuna.Study, picture: Path) -> None:
    for _ in range(2):  # a run that is taken up again does it again
        for trial in study.trials:
            foreign.attach_picture(
                study, trial, picture, picture.parent / "kept", str(trial.number)
            )


def of_trials(study: optuna.Study) -> list[list[str]]:
    """Names of the artifacts that the dashboard shows with each trial."""
    notes = foreign.study_notes(study)
    shown = (backend.list_trial_artifacts(notes, t.system_attrs, t) for t in study.trials)
    return [[meta["filename"] for meta in found] for found in shown]


def test_the_dashboard_shows_a_picture_with_its_trial(study, picture):
    assert foreign.has_pictures_of_trials()
    attach(study, picture)
    assert of_trials(study) == [["architecture.svg"]] * 2
    assert get_all_artifact_meta(study) == []


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_dashboard_gets_the_pictures_as_those_of_the_study(
    change, study, picture, monkeypatch
):
    with monkeypatch.context() as patch:
        change(patch)
        assert not foreign.has_pictures_of_trials()
        attach(study, picture)
    found = get_all_artifact_meta(study)
    names = [f"trial-{number}-architecture.svg" for number in (0, 1)]
    assert sorted(meta.filename for meta in found) == names
    assert {meta.mimetype for meta in found} == {"image/svg+xml"}
    store = FileSystemArtifactStore(picture.parent / "kept")
    for meta in found:
        with store.open_reader(meta.artifact_id) as stream:
            assert stream.read() == b"<svg/>"
    assert of_trials(study) == [[], []]
