"""The best model of a run is the champion in MLflow's registry, once, and can be served from it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY, environment
from servers import free_port, serve
from study_files import ONE_EPOCH, tiny_study_with

from nasrec_opt import Predictor
from nasrec_opt.pipeline import StudyConfig, run_study

mlflow = pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
pyfunc = pytest.importorskip("mlflow.pyfunc")

STUDY = tiny_study_with(search={"n_trials": 3}, retrain=ONE_EPOCH | {"top": 2})


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run up to its retrained models, in a folder that is called `run`."""
    folder = tmp_path_factory.mktemp("registering")
    (folder / "tiny.toml").write_text(STUDY)
    run_study(StudyConfig.from_toml(folder / "tiny.toml"), folder / "run", until="retrain")
    return folder


@pytest.fixture
def run(trained, cli, tmp_path) -> Path:
    """A copy of it, whose winner is the best of the models."""
    shutil.copytree(trained, tmp_path / "copy")
    with_winner(tmp_path / "copy" / "run", "model")
    return tmp_path / "copy" / "run"


def with_winner(run: Path, name: str) -> None:
    file = run / "retrained" / "results.json"
    results = json.loads(file.read_text())
    results["winner"] |= {"name": name}
    file.write_text(json.dumps(results))


def versions(run: Path, name: str = "tiny") -> list[Any]:
    client = mlflow.MlflowClient(f"sqlite:///{run}/mlflow.db")
    found = client.search_model_versions(f"name = '{name}'")
    return sorted(found, key=lambda entry: int(entry.version))


def champion(run: Path, name: str = "tiny") -> Any:
    client = mlflow.MlflowClient(f"sqlite:///{run}/mlflow.db")
    return client.get_model_version_by_alias(name, "champion")


def answers(run: Path, name: str = "tiny") -> Any:
    """What the champion says to three rows."""
    uri = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{run}/mlflow.db")
    try:
        loaded = pyfunc.load_model(f"models:/{name}@champion")
    finally:
        mlflow.set_tracking_uri(uri)
    return loaded.predict(rows_for(run))


def rows_for(run: Path) -> list[dict[str, Any]]:
    row = Predictor.load(run).preprocessor.example()
    return [row, row | {"C1": "never seen", "I1": None}, dict.fromkeys(row)]


def test_a_run_registers_its_best_model_once(run, cli):
    again = ("run", run.parent / "tiny.toml", "--out", run)
    result = cli(*again)
    assert result.returncode == 0, result.stderr
    [version] = versions(run)
    assert (version.name, str(version.version)) == ("tiny", "1")
    assert str(champion(run).version) == "1"
    assert "register  version 1 of tiny is the champion: models:/tiny@champion" in result.stderr
    expected = Predictor.load(run).predict(rows_for(run))
    np.testing.assert_allclose(answers(run), expected, atol=1e-5)
    results = json.loads((run / "retrained" / "results.json").read_text())
    assert float(version.tags["nasrec.test_log_loss"]) == results["models"][0]["test_log_loss"]
    client = mlflow.MlflowClient(f"sqlite:///{run}/mlflow.db")
    study = client.get_run(version.run_id)
    assert study.data.tags["nasrec.kind"] == "study"
    [output] = study.outputs.model_outputs
    assert f"/{output.model_id}/" in version.source

    assert "register  already done" in cli(*again).stderr
    (run / "retrained" / "registered.json").unlink()  # as if killed before it was written
    assert "register  version 1 of tiny is the champion" in cli(*again).stderr
    result = cli("register", run)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "models:/tiny@champion: version 1, as before\n"
    assert len(versions(run)) == 1
    [experiment] = client.search_experiments(filter_string="name = 'tiny'")
    assert len(client.search_logged_models([experiment.experiment_id])) == 1

    result = cli("register", run, "--model", 2)
    assert result.stdout == "models:/tiny@champion: version 2\n"
    assert [str(entry.version) for entry in versions(run)] == ["1", "2"]
    second = Predictor.load(run, model=2).predict(rows_for(run))
    np.testing.assert_allclose(answers(run), second, atol=1e-5)
    assert cli("register", run, "--name", "ads ctr").stdout.startswith("models:/ads ctr@champion")
    np.testing.assert_allclose(answers(run, "ads ctr"), expected, atol=1e-5)


def test_a_baseline_that_wins_is_not_registered_nor_anything_else(run, cli):
    with_winner(run, "logistic_regression")
    result = cli("run", run.parent / "tiny.toml", "--out", run)
    assert result.returncode == 0, result.stderr
    assert "no model registered: logistic regression is better" in result.stderr
    assert f"nasrec-opt register {run} --model 1" in result.stderr
    assert not versions(run)
    assert (run / "report.html").exists()
    result = cli("register", run)
    assert result.returncode == 2
    assert "expected a trained model to be the winner" in result.stderr
    assert cli("register", run, "--model", "1").returncode == 0
    assert len(versions(run)) == 1


def test_a_study_may_do_without(run, cli):
    (run.parent / "tiny.toml").write_text(STUDY + "\n[mlflow]\nregister = false\n")
    result = cli("run", run.parent / "tiny.toml", "--out", run)
    assert result.returncode == 0, result.stderr
    assert "register" not in result.stderr
    assert not versions(run)


def test_a_folder_that_was_moved_has_its_champion_with_it(run, cli, tmp_path):
    assert cli("register", run).returncode == 0
    moved = run.rename(tmp_path / "elsewhere")
    shutil.rmtree(run.parent)
    assert cli("open", moved).returncode == 0
    expected = Predictor.load(moved).predict(rows_for(moved))
    np.testing.assert_allclose(answers(moved), expected, atol=1e-5)
    assert cli("register", moved).stdout == "models:/tiny@champion: version 1, as before\n"


def test_bad_input_is_one_sentence_and_leaves_nothing(run, cli, tmp_path):
    def left() -> set[str]:
        files = {str(path.relative_to(run)) for path in run.rglob("*")}
        return {name for name in files if not name.endswith((".lock", "-wal", "-shm"))}

    before = left()
    for arguments, sentence in (
        ((run, "--model", "9"), "expected 1 to 2, 'best' or 'ensemble', got 9"),
        ((run, "--model", "ensemble"), "expected an ensemble, got none"),
        ((run, "--name", "a/b"), "--name: expected letters, digits, spaces, '.', '_' or '-'"),
        ((tmp_path / "none",), "none: expected a finished run"),
        ((run / "dataset",), "dataset: expected a finished run"),
    ):
        result = cli("register", *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1
    away = f"http://127.0.0.1:{free_port()}"
    record = json.loads((run / "mlflow.json").read_text())
    (run / "mlflow.json").write_text(json.dumps(record | {"uri": away}))
    result = cli("register", run)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"nasrec-opt: {away}: ")
    assert len(result.stderr.splitlines()) == 1
    assert left() == before


def test_a_registry_that_refuses_is_a_note_and_is_asked_again(run, cli):
    again = ("run", run.parent / "tiny.toml", "--out", run)
    artifacts = run / "artifacts" / "models"
    artifacts.parent.mkdir(exist_ok=True)
    artifacts.write_text("no folder")  # where logged models are kept
    result = cli(*again)
    assert result.returncode == 0, result.stderr
    [note] = [line for line in result.stderr.splitlines() if line.startswith("register")]
    assert "no model registered: " in note
    assert not versions(run)
    assert (run / "report.html").exists()
    artifacts.unlink()
    assert "version 1 of tiny is the champion" in cli(*again).stderr


def test_the_command_that_a_run_prints_serves_the_champion(run, cli):
    assert cli("register", run).returncode == 0
    told = cli("open", run).stdout
    [line] = re.findall(r"(MLFLOW_TRACKING_URI=.*)", told)
    first, *command = shlex.split(line)
    name, _, uri = first.partition("=")
    assert command[0] == "mlflow"
    port = free_port()
    command = [sys.executable, "-m", *command, "--port", str(port), "--workers", "1"]
    env = {**environment(), "PYTHONPATH": str(REPOSITORY), name: uri}
    rows = rows_for(run)
    with serve(command, port, path="/ping", env=env) as address:
        request = urllib.request.Request(
            f"{address}/invocations",
            json.dumps({"dataframe_records": rows}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)["predictions"]
    np.testing.assert_allclose(found, Predictor.load(run).predict(rows), atol=1e-5)
