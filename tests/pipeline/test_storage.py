"""`[storage]` of a study file: trials on a server, and passwords nowhere."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from objective.test_workers import told
from servers import free_port, grpc_proxy
from study_files import ONE_EPOCH, tiny_study_with

from nasrec_opt.errors import StudyError
from nasrec_opt.options import MLflowConfig, StorageConfig
from nasrec_opt.pipeline import RunFolder, StudyConfig, run_study
from nasrec_opt.pipeline._searches import studies_of
from nasrec_opt.pipeline._storage import stored_study

PASSWORD = "pl@nted/Secret:7 %x"
QUOTED = "pl%40nted%2FSecret%3A7%20%25x"
SHORT: dict[str, Any] = {"search": {"n_trials": 4}, "retrain": ONE_EPOCH}


def study_at(path: Path, url: str, **changes: Any) -> Path:
    path.write_text(tiny_study_with(**(SHORT | changes), storage={"url": url}))
    return path


@pytest.fixture
def _password(monkeypatch):
    monkeypatch.setenv("NASREC_TEST_PASSWORD", PASSWORD)


def assert_no_password(*texts: bytes) -> None:
    for text in texts:
        for secret in (PASSWORD, QUOTED, "Secret:7", "Secret%3A7"):
            assert secret.encode() not in text


@pytest.mark.parametrize("kind", ["journal", "grpc"])
def test_trials_are_those_of_the_folder_wherever_they_are(kind, here, start_code, tmp_path):
    if kind == "journal":
        compared(here, f"journal://{tmp_path}/study.log", tmp_path)
        return
    pytest.importorskip("grpc", reason="the extra 'dev' is not installed")
    with grpc_proxy(start_code, f"sqlite:///{tmp_path}/behind.db") as url:
        compared(here, url, tmp_path)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A search whose trials are in its folder."""
    folder = tmp_path_factory.mktemp("here")
    study = StudyConfig.from_toml(plain(folder / "here.toml"))
    return run_study(study, folder / "run", until="search").folder


def plain(path: Path, **changes: Any) -> Path:
    path.write_text(tiny_study_with(**(SHORT | changes)))
    return path


def compared(here: RunFolder, url: str, tmp_path: Path) -> None:
    study = StudyConfig.from_toml(study_at(tmp_path / "there.toml", url))
    there = run_study(study, tmp_path / "there", until="search")
    assert not there.folder.study_db.exists()
    assert json.loads(there.folder.storage_record.read_text())["url"] == url
    with stored_study(here, "tiny") as one, stored_study(there.folder, "tiny") as other:
        assert told(one) == told(other)
    assert list(studies_of(there.folder)) == ["tiny"]


def test_a_study_belongs_to_the_folder_that_began_it(cli, tmp_path):
    url = f"journal://{tmp_path}/study.log"
    study, out = study_at(tmp_path / "tiny.toml", url), tmp_path / "run"
    assert cli("search", study, "--out", out).returncode == 0
    other = cli("search", study, "--out", tmp_path / "other")
    assert other.returncode == 2
    [line] = other.stderr.splitlines()
    assert line == (
        f"nasrec-opt: {url}: study 'tiny' belongs to another run folder; give this study another "
        "name, or continue it in that folder"
    )
    copy = shutil.copytree(out, tmp_path / "copy")  # is the same run
    shutil.rmtree(out)
    result = cli("search", study_at(study, url, search={"n_trials": 5}), "--out", copy)
    assert result.returncode == 0, result.stderr
    for text in (plain(study).read_text(), study_at(study, f"{url}2").read_text()):
        study.write_text(text)
        result = cli("search", study, "--out", copy)
        assert result.returncode == 2
        assert f"[storage]: url: expected {url}, where the searches of this" in result.stderr


def test_a_folder_with_trials_of_its_own_keeps_them(tmp_path):
    out = tmp_path / "run"
    run_study(StudyConfig.from_toml(plain(tmp_path / "tiny.toml")), out, until="search")
    config = StudyConfig.from_toml(study_at(tmp_path / "tiny.toml", f"journal://{tmp_path}/x.log"))
    with pytest.raises(StudyError, match=r"url: expected none, since the searches of this folder"):
        run_study(config, out)


@pytest.mark.usefixtures("_password")
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql+psycopg://me:${NASREC_TEST_PASSWORD}@127.0.0.1:{port}/x", "refused"),
        ("postgresql+psycopg://me:${NASREC_TEST_PASSWORD}@h.invalid/x", "expected an Optuna"),
        ("grpc://127.0.0.1:{port}", "refused"),
        ("${NASREC_TEST_PASSWORD}", "expected an Optuna storage"),
        ("oracle+none://me:${NASREC_TEST_PASSWORD}@127.0.0.1/x", "expected a"),
        ("journal:///nowhere/at/all/study.log", "No such file"),
        ("postgresql+psycopg://me:${NASREC_TEST_NONE}@127.0.0.1/x", "NASREC_TEST_NONE, which is"),
    ],
)
def test_a_server_that_does_not_answer_is_one_sentence(cli, tmp_path, url, expected):
    url = url.replace("{port}", str(free_port()))
    study = study_at(tmp_path / "tiny.toml", url)
    result = cli("run", study, "--out", tmp_path / "run")
    assert (result.returncode, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert line.startswith(f"nasrec-opt: {url}: ") or "which is not set" in line
    assert expected in line
    assert_no_password(result.stderr.encode())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:hunter2@host/x",
        "postgresql://me:hun/ter@2@host/x",
        "postgresql://me:${A}hunter2@host/x",
        "postgresql://host/x?password=hunter2",
        "http://:hunter2@host",
        "me:hunter2@host",
    ],
)
def test_a_password_in_a_study_file_is_refused_without_showing_it(address):
    for option in (lambda: StorageConfig(url=address), lambda: MLflowConfig(uri=address)):
        with pytest.raises(StudyError, match="as the name of an environment variable") as caught:
            option()
        assert not re.search("hun|ter", str(caught.value).replace("environment", ""))


@pytest.mark.parametrize("url", ["sqlite:///x.db", "study.log", "postgresql", "journal://", ""])
def test_what_is_no_server_is_refused(url):
    with pytest.raises(StudyError, match="url: expected a database that several machines reach"):
        StorageConfig(url=url)
