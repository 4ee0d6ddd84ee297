"""A run folder is whole by itself: copied, moved, renamed, set aside, seen through a link."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import optuna
import pytest
from servers import free_port, serve
from study_files import ONE_EPOCH, tiny_study_with

from nasrec_opt._sqlite import sqlite_url

mlflow = pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

from mlflow.tracking._tracking_service import utils  # noqa: E402

FILES = ["architecture.svg", "genotype.json", "model"]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tiny.toml"
    path.write_text(tiny_study_with(search={"n_trials": 5}, retrain=ONE_EPOCH))
    return path


@pytest.fixture(scope="module")
def finished(cli, study, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "ta"
    result = cli("run", study, "--out", out)
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture
def original(finished, tmp_path) -> Path:
    """A copy to spoil, which has been opened where it stands."""
    out = tmp_path / "ta"
    shutil.copytree(finished, out)
    return out


@pytest.fixture
def longer(study, tmp_path) -> Path:
    path = tmp_path / "longer.toml"
    path.write_text(study.read_text().replace("n_trials = 5", "n_trials = 7"))
    return path


def test_a_copy_that_goes_on_writes_nothing_into_the_original(cli, original, longer, tmp_path):
    assert cli("open", original).returncode == 0
    copy = shutil.copytree(original, tmp_path / "tb")
    before = contents(original)
    result = cli("run", longer, "--out", copy)
    assert result.returncode == 0, result.stderr
    assert contents(original) == before
    assert_whole(original)
    shutil.rmtree(original)
    assert_whole(copy)


def test_a_run_goes_on_after_a_move_from_anywhere_and_through_a_link(
    cli, original, longer, tmp_path
):
    moved = tmp_path / "q?x=1 #2" / "tb"
    moved.parent.mkdir()
    original.rename(moved)
    link = tmp_path / "link"
    link.symlink_to(moved, target_is_directory=True)
    result = cli("run", longer, "--out", "../link", cwd=moved.parent)
    assert result.returncode == 0, result.stderr
    assert_whole(moved)
    assert_whole(link)
    assert not original.exists()


def test_a_folder_that_is_set_aside_keeps_what_is_its_own(cli, study, tmp_path):
    from test_cli import write_log

    out = tmp_path / "run"
    for name in ("x.txt", "y.txt"):
        log = write_log(tmp_path / name, 400)
        result = cli("run", study, "--data", log, "--out", out)
        assert result.returncode == 0, result.stderr
    assert "it is now" in result.stderr
    aside = tmp_path / "run-1"
    assert_whole(out)
    shutil.rmtree(out)
    assert_whole(aside)


def test_a_log_that_moved_is_the_same_log(cli, study, tmp_path):
    from test_cli import write_log

    out, there = tmp_path / "run", tmp_path / "there"
    log = write_log(tmp_path / "x.txt", 400)
    assert cli("train", study, "--data", log, "--out", out).returncode == 0
    there.mkdir()
    moved = log.rename(there / "x.txt")
    for given in (moved, log):  # where it is, and where it was
        result = cli("train", study, "--data", given, "--out", out)
        assert result.returncode == 0, result.stderr
        for stage in ("prepare", "baselines", "train"):
            assert f"{stage:<9} already done\n" in result.stderr
    shutil.rmtree(out / "dataset")
    result = cli("train", study, "--data", moved, "--out", out)
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / "run-1").exists()


def test_open_says_what_the_run_said_and_refuses_what_is_no_run(cli, finished, tmp_path):
    result = cli("open", "ta", cwd=finished.parent)
    assert result.returncode == 0, result.stderr
    assert str(finished / "report.html") in result.stdout.replace("%20", " ")
    result = cli("open", tmp_path)
    assert result.returncode == 2
    assert "expected a run folder, found no run.json there" in result.stderr


def test_the_printed_commands_open_the_folder(cli, original, tmp_path):
    name = "-it's 100% & {a} #1?x=1\nnew"
    pytest.importorskip("optuna_dashboard", reason="the extra 'dashboard' is not installed")
    place = tmp_path / "place"
    place.mkdir()
    original.rename(place / name)
    printed = cli("open", f"./{name}", cwd=place).stdout
    [page] = re.findall(r"open (file://\S+)", printed)
    assert b"tiny" in urllib.request.urlopen(page).read()
    with ExitStack() as stack:
        dashboard = start(stack, printed, "optuna-dashboard", place)
        mlflow_ui = start(stack, printed, "mlflow", place)
        studies = urllib.request.urlopen(f"{dashboard}/api/studies").read()
        assert b'"tiny"' in studies
        client = mlflow.MlflowClient(mlflow_ui)
        assert artifacts(client) == FILES
    assert [entry.name for entry in place.iterdir()] == [name]  # and leave nothing beside it


def test_a_path_that_no_database_can_hold_is_refused(study, tmp_path):
    name = str(tmp_path).encode() + b"/\xff"
    result = subprocess.run(
        [sys.executable, "-m", "nasrec_opt", "run", str(study), "--out", name],
        capture_output=True,
        check=False,
    )
    assert result.returncode == 2
    assert b"expected a run folder whose path is UTF-8" in result.stderr
    assert list(tmp_path.iterdir()) == []


def start(stack: ExitStack, printed: str, program: str, place: Path) -> str:
    """Start a server as printed, on a port that is free; its address."""
    text = printed[printed.index(f"{program} ", printed.index("Optuna storage")) :]
    lexer = shlex.shlex(text, posix=True, punctuation_chars="\n")
    lexer.whitespace_split, lexer.whitespace = True, " "
    words = []
    for word in lexer:
        if word == "\n":
            break
        words.append(word)
    port = free_port()
    command = [str(Path(sys.executable).parent / words[0]), *words[1:], "--port", str(port)]
    command += ["--workers", "1"] if program == "mlflow" else []
    return stack.enter_context(serve(command, port, place))


def assert_whole(folder: Path) -> None:
    """All that MLflow knows of a run is in its folder, and the models are there to be loaded."""
    utils._artifact_repos_cache.clear()  # what MLflow knows of the same run in another folder
    client = mlflow.MlflowClient(sqlite_url(folder / "mlflow.db"))
    for run in runs(client, "tags.`nasrec.kind` != 'none'"):
        assert run.info.artifact_uri.startswith(f"{folder.resolve().as_uri()}/artifacts/")
    assert artifacts(client) == FILES
    [model] = runs(client, "tags.`nasrec.kind` = 'model'")
    read = Path(client.download_artifacts(model.info.run_id, "model/model.json")).read_text()
    assert read in [file.read_text() for file in folder.glob("retrained/*/model/model.json")]
    optuna.load_study(study_name="tiny", storage=sqlite_url(folder / "study.db"))


def runs(client, filter_string: str) -> list:
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids, filter_string)


def artifacts(client) -> list[str]:
    """Names of the files beside the run of the retrained model."""
    [model] = runs(client, "tags.`nasrec.kind` = 'model'")
    return sorted(file.path for file in client.list_artifacts(model.info.run_id))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
