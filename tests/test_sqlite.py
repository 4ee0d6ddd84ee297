"""URLs of SQLite files: whatever a folder is called, every program opens the file in it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from pathnames import each_name

from nasrec_opt._sqlite import sqlite_path, sqlite_url


@each_name
def test_a_url_leads_back_to_its_file(name):
    for path in (Path(name) / "study.db", Path("/a") / name / "x.db", Path(name)):
        assert sqlite_path(sqlite_url(path)) == path


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "postgresql://host/x", "http://host", "mlruns"]
)
def test_what_is_no_file_has_no_path(url):
    assert sqlite_path(url) is None


def test_ordinary_paths_have_the_url_that_everybody_knows():
    assert sqlite_url(Path("runs/my run/study.db")) == "sqlite:///runs/my run/study.db"
    assert sqlite_url(Path("/a/study.db")) == "sqlite:////a/study.db"
    assert sqlite_path("sqlite:////a/study.db") == Path("/a/study.db")


@each_name
def test_optuna_keeps_a_study_in_any_folder_and_nothing_elsewhere(name):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / name
        folder.mkdir()
        url = sqlite_url(folder / "study.db")
        storage = RDBStorage(url)
        optuna.create_study(study_name="x", storage=storage)
        storage.engine.dispose()
        names = optuna.get_all_study_names(storage=url)
        assert names == ["x"]
        assert {path.name for path in Path(place).rglob("*")} == {name, "study.db"}
