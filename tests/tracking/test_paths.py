"""MLflow stores wherever they stand: any name of a folder, and folders that were copied."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from pathnames import each_name

from nasrec_opt._sqlite import sqlite_url
from nasrec_opt.tracking import relocate
from nasrec_opt.tracking._record import KIND_TAG
from nasrec_opt.tracking._store import Store


@each_name
def test_runs_and_artifacts_are_kept_in_any_folder_and_nothing_elsewhere(empty_store, name):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / name
        folder.mkdir()
        shutil.copy(empty_store, folder / "mlflow.db")
        store = Store(sqlite_url(folder / "mlflow.db"), "x")
        run_id = store.client.create_run(store.experiment_id).info.run_id
        store.client.log_text(run_id, "hello", "a.txt")
        assert artifacts(store, run_id) == ["a.txt"]
        kept = {path.name for path in Path(place).rglob("*") if path.name[:9] != "mlflow.db"}
        assert kept == {name, "mlartifacts", run_id, "artifacts", "a.txt"}


@pytest.fixture
def store_with_a_run(empty_store, tmp_path):
    """A folder with a store, a run of this library in it, and an artifact."""
    folder = tmp_path / "a"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    store = Store(sqlite_url(folder / "mlflow.db"), "x")
    run = store.client.create_run(store.experiment_id, tags={KIND_TAG: "study"})
    store.client.log_text(run.info.run_id, "hello", "a.txt")
    return folder, run.info.run_id


@pytest.mark.parametrize("original_is", ["there", "gone"])
def test_artifacts_come_along_with_a_copied_store(store_with_a_run, original_is):
    folder, run_id = store_with_a_run
    copy = shutil.copytree(folder, folder.parent / "b?")
    before = contents(folder)
    if original_is == "gone":
        shutil.rmtree(folder)
    store = Store(sqlite_url(copy / "mlflow.db"), "x")
    assert artifacts(store, run_id) == ["a.txt"]
    store.client.log_text(run_id, "hello", "b.txt")
    new = store.client.create_run(store.experiment_id).info.run_id
    store.client.log_text(new, "hello", "c.txt")
    assert {"a.txt", "b.txt", "c.txt"} <= {path.name for path in copy.rglob("*.txt")}
    assert contents(folder) == ([] if original_is == "gone" else before)


def test_a_store_moved_without_its_artifacts_keeps_them_where_they_are(store_with_a_run):
    folder, run_id = store_with_a_run
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    for file in folder.glob("mlflow.db*"):  # with SQLite's own
        shutil.copy(file, elsewhere)
    assert artifacts(Store(sqlite_url(elsewhere / "mlflow.db"), "x"), run_id) == ["a.txt"]


def test_experiments_of_others_and_other_places_stay_as_they_are(empty_store, tmp_path):
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    client = Store(sqlite_url(tmp_path / "mlflow.db"), "ours").client
    kept = {
        "bucket": "s3://bucket/mlartifacts",
        "folder": "file:///data/other",
        "theirs": "file:///theirs/mlartifacts",
    }
    for name, location in kept.items():
        number = client.create_experiment(name, artifact_location=location)
        client.create_run(number, tags={} if name == "theirs" else {KIND_TAG: "study"})
    assert relocate(tmp_path / "mlflow.db", tmp_path / "new" / "mlartifacts")
    assert not relocate(tmp_path / "mlflow.db", tmp_path / "new" / "mlartifacts")  # it is done
    found = {e.name: e.artifact_location for e in client.search_experiments()}
    assert {name: found[name] for name in kept} == kept
    assert found["ours"] == (tmp_path / "new" / "mlartifacts").as_uri()


def test_what_is_no_store_is_left_alone(tmp_path):
    assert not relocate(tmp_path / "mlflow.db", tmp_path / "artifacts")
    (tmp_path / "mlflow.db").touch()
    assert not relocate(tmp_path / "mlflow.db", tmp_path / "artifacts")


def artifacts(store: Store, run_id: str) -> list[str]:
    return [file.path for file in store.client.list_artifacts(run_id)]


def contents(folder: Path) -> list[tuple[str, bytes]]:
    """The artifacts in a folder, by their paths."""
    found = (folder / "mlartifacts").rglob("*") if folder.exists() else ()
    return sorted((str(path), path.read_bytes()) for path in found if path.is_file())
