"""`[mlflow]` of a study file: runs go to a tracking server, and where they go changes no stage."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from pipeline.test_storage import PASSWORD, assert_no_password, study_at
from servers import free_port, serve
from sqlalchemy import MetaData, create_engine
from study_files import ONE_EPOCH, tiny_study_with

from nasrec_opt import Predictor

mlflow = pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
pytest.importorskip("mlflow.pyfunc")

SHORT = tiny_study_with(search={"n_trials": 3}, retrain=ONE_EPOCH)
KINDS = {"study": 1, "trial": 3, "model": 1, "baseline": 2}
DATA = ("dataset", "data.fingerprint")
SORTED_BY = {
    "best_log_loss", "best_auc", "validation_log_loss", "validation_auc", "test_log_loss",
    "test_auc", "hypervolume", "front_size", "trials", "seconds", "search_seconds",
}  # fmt: skip
REFUSAL = """
CREATE TRIGGER refusal BEFORE INSERT ON model_versions
BEGIN SELECT RAISE(ABORT, 'no more versions'); END
"""
TABLE = """
[mlflow]
uri = "{uri}"
experiment = "team/ads"
tags = {{ team = "ads", "cost%" = "7" }}

[mlflow.reference_point]
log_loss = 0.7
latency_us = 1000.0
energy_uj = 100.0
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """MLflow's own server, with its store and its artifacts; the address and its folder."""
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--serve-artifacts"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "store")]
    with serve(command, port) as address:
        yield address, folder


def runs_by_kind(uri: str, experiment: str) -> dict[str, list[Any]]:
    client = mlflow.MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    kinds: dict[str, list[Any]] = {}
    for run in found:
        kinds.setdefault(run.data.tags["nasrec.kind"], []).append(run)
    return kinds


def test_a_run_logs_to_a_server_and_may_move_its_logging_elsewhere(
    cli, server, tmp_path, monkeypatch
):
    address, folder = server
    study, out = tmp_path / "tiny.toml", tmp_path / "run"
    study.write_text(SHORT + TABLE.format(uri=address))
    result = cli("run", study, "--out", out)
    assert result.returncode == 0, result.stderr
    assert not (out / "mlflow.db").exists()
    assert not (out / "artifacts").exists()
    kinds = runs_by_kind(address, "team/ads")
    assert {kind: len(runs) for kind, runs in kinds.items()} == KINDS
    [parent], [model] = kinds["study"], kinds["model"]
    assert json.loads(parent.data.params["reference_point"])["latency_us"] == 1000.0
    assert parent.data.params["search.evolution.population_size"]
    for run in (parent, model, *kinds["trial"]):
        assert (run.data.tags["team"], run.data.tags["cost_x0025_"]) == ("ads", "7")
    assert parent.data.metrics.keys() >= SORTED_BY
    for metric in ("test_auc", "validation_auc"):
        assert parent.data.metrics[metric] == model.data.metrics[metric]
    record = json.loads((out / "run.json").read_text())
    stages = {name: stage["seconds"] for name, stage in record.items() if name != "report"}
    assert parent.data.metrics["seconds"] == pytest.approx(sum(stages.values()))
    searching = stages["train"] + stages["search"]
    assert parent.data.metrics["search_seconds"] == pytest.approx(searching)
    for run in kinds["baseline"]:
        assert "mlflow.parentRunId" not in run.data.tags
        assert {n: run.data.params[n] for n in DATA} == {n: parent.data.params[n] for n in DATA}
        assert {"test_log_loss", "test_auc", "validation_auc"} <= run.data.metrics.keys()
    client = mlflow.MlflowClient(address)
    assert "model" in [file.path for file in client.list_artifacts(model.info.run_id)]
    assert list((folder / "store").rglob("architecture.svg"))
    [page] = re.findall(r"open (http\S+) in a browser", result.stdout)
    assert page.startswith(f"{address}/#/experiments/{parent.info.experiment_id}/runs?")
    assert cli("open", out).stdout in result.stdout

    registers_there(cli, server, out, monkeypatch)
    trials = (out / "study.db").read_bytes()
    study.write_text(SHORT)  # from now on in the folder, which syncs what is there
    result = cli("run", study, "--out", out)
    assert result.returncode == 0, result.stderr
    assert (out / "study.db").read_bytes() == trials
    record = json.loads((out / "run.json").read_text())
    assert record["search"]["seconds"] > 0
    local = runs_by_kind(f"sqlite:///{out}/mlflow.db", "tiny")
    assert {kind: len(runs) for kind, runs in local.items()} == KINDS
    assert "mlflow ui --backend-store-uri" in result.stdout


def registers_there(cli, server, out: Path, monkeypatch) -> None:
    """The run's model goes to the server's registry, whole or not at all, and is loaded from it."""
    address, folder = server
    client = mlflow.MlflowClient(address)

    def names() -> set[str]:
        return {model.name for model in client.search_registered_models()}

    def files() -> set[Path]:
        return {path for path in (folder / "store").rglob("*") if path.is_file()}

    record, before, stored = (out / "mlflow.json").read_bytes(), names(), files()
    register = ("register", out, "--model", "1", "--name", "remote")
    with closing(sqlite3.connect(folder / "mlflow.db", timeout=60)) as connection:
        connection.execute(REFUSAL)  # after the model was uploaded
        connection.commit()
        with monkeypatch.context() as patch:
            patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
            result = cli(*register)
        connection.execute("DROP TRIGGER refusal")
        connection.commit()
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith(f"nasrec-opt: {address}: ")
    assert (names(), files()) == (before, stored)
    [experiment] = client.search_experiments(filter_string="name = 'team/ads'")
    models = client.search_logged_models([experiment.experiment_id])
    assert len(models) == len(before)

    result = cli(*register)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "models:/remote@champion: version 1\n"
    assert names() == before | {"remote"}
    assert (out / "mlflow.json").read_bytes() == record
    predictor = Predictor.load(out)
    rows = [predictor.preprocessor.example(), dict.fromkeys(predictor.preprocessor.example())]
    uri = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(address)
    try:
        loaded = mlflow.pyfunc.load_model("models:/remote@champion")
    finally:
        mlflow.set_tracking_uri(uri)
    np.testing.assert_allclose(loaded.predict(rows), predictor.predict(rows), atol=1e-5)


def test_a_run_keeps_its_trials_on_a_server_and_its_passwords_to_itself(
    cli, server, postgresql, tmp_path, monkeypatch
):
    monkeypatch.setenv("NASREC_TEST_PASSWORD", PASSWORD)
    address, folder = server
    database, out, study = postgresql.database(), tmp_path / "run", tmp_path / "tiny.toml"
    # Both servers take any password.
    url = database.replace("nasrec@", "nasrec:${NASREC_TEST_PASSWORD}@")
    tracking = {"uri": address.replace("//", "//me:${NASREC_TEST_PASSWORD}@")}
    first = cli("run", study_at(study, url, name="kept", mlflow=tracking), "--out", out)
    assert first.returncode == 0, first.stderr
    study_at(study, url, name="kept", search={"n_trials": 6}, mlflow=tracking)
    second = cli("search", study, "--out", out)
    assert second.returncode == 0, second.stderr
    opened = cli("open", out)
    assert f'optuna-dashboard "{url}" ' in opened.stdout
    assert not (out / "study.db").exists()
    found = {s.study_name: s for s in optuna.get_all_study_summaries(database)}
    assert found["kept"].n_trials == 6
    assert runs_by_kind(address, "kept")["study"]
    said = [text.encode() for r in (first, second, opened) for text in (r.stdout, r.stderr)]
    files = [
        f.read_bytes() for place in (tmp_path, folder) for f in place.rglob("*") if f.is_file()
    ]
    assert any(b"${NASREC_TEST_PASSWORD}" in file for file in files)
    assert_no_password(*said, *files)
    assert_no_password(*rows_of(database))


def rows_of(database: str) -> list[bytes]:
    """All rows of all tables."""
    engine, schema = create_engine(database), MetaData()
    schema.reflect(engine)
    with engine.connect() as connection:
        rows = [row for t in schema.sorted_tables for row in connection.execute(t.select())]
    engine.dispose()
    assert any("space" in row for row in rows)
    return [repr(row).encode() for row in rows]


def test_a_server_that_is_not_there_is_one_sentence_before_anything_is_searched(cli, tmp_path):
    uri = f"http://127.0.0.1:{free_port()}"
    study, out = tmp_path / "tiny.toml", tmp_path / "run"
    study.write_text(SHORT + TABLE.format(uri=uri))
    result = cli("run", study, "--out", out)
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1].startswith(f"nasrec-opt: {uri}: ")
    assert not list(Path(out).glob("study.db"))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('uri = "mlflow.example"', "tiny.toml: mlflow: uri: expected the address"),
        ('experiment = ""', "tiny.toml: mlflow: experiment: expected a name"),
        ("reference_point = { log_loss = 1.0 }", "expected a value for each of log_loss, latency"),
        ('url = "http://x"', "uri"),
    ],
)
def test_a_bad_table_is_one_sentence(cli, tmp_path, table, words):
    study = tmp_path / "tiny.toml"
    study.write_text(f"{SHORT}\n[mlflow]\n{table}\n")
    result = cli("run", study, "--out", tmp_path / "run")
    assert result.returncode == 2
    assert words in result.stderr
