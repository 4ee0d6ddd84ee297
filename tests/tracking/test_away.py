"""A tracking server that goes away and comes back: nobody waits, nothing is lost or there twice."""

from __future__ import annotations

import socket
import sys
import threading
import time
from contextlib import suppress

import pytest
from servers import free_port, serve
from tracking import studies

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

from mlflow.tracking import MlflowClient

from nasrec_opt.errors import StudyError
from nasrec_opt.tracking import MLflowLogger, genotype_of


class Road:
    """Leads from a port of its own to a server; while it is closed, connections are refused.

    Starting MLflow's server takes half a minute, closing the road to it nothing.

    Args:
        port: Of the server.
    """

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self._to = port
        self._door: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.open()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        self._door = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._welcome, args=(self._door,), daemon=True).start()

    def close(self) -> None:
        """Refuse new connections and cut those that there are."""
        assert self._door is not None
        for connection in (self._door, *self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()

    def _welcome(self, door: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = door.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                for here, there in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(here, there), daemon=True).start()

    def _carry(self, here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while data := here.recv(65536):
                there.sendall(data)
            there.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def server(empty_store, tmp_path_factory):
    """MLflow's own server; its port."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    with serve(command, port):
        yield port


@pytest.fixture
def road(server):
    road = Road(server)
    yield road
    road.close()


def trial_runs(port: int, name: str) -> dict[int, object]:
    """Runs of trials, each trial once."""
    client = MlflowClient(f"http://127.0.0.1:{port}")
    experiment = client.get_experiment_by_name(name).experiment_id
    found = [r for r in client.search_runs([experiment]) if "nasrec.trial" in r.data.tags]
    numbers = [int(run.data.tags["nasrec.trial"]) for run in found]
    assert len(set(numbers)) == len(numbers)
    return dict(zip(numbers, found, strict=True))


def test_trials_wait_for_a_server_that_is_away(server, road):
    study = studies.create(name="away")
    with MLflowLogger(road.uri, experiment="away") as logger:
        study.optimize(studies.objective, n_trials=2, callbacks=[logger])
        logger.flush()
        road.close()
        started = time.perf_counter()
        study.optimize(studies.objective, n_trials=6, callbacks=[logger])
        assert time.perf_counter() - started < 5  # nobody waited for the server
        assert sorted(trial_runs(server, "away")) == [0, 1]
        road.open()
        logger.flush()
        runs = trial_runs(server, "away")
        assert {run.info.status for run in runs.values()} == {"FINISHED"}
        for trial in study.trials:
            assert genotype_of(runs[trial.number]).to_json() == trial.user_attrs["genotype"]
            assert runs[trial.number].data.metrics["log_loss"] == trial.values[0]


def test_a_run_that_was_half_written_when_the_server_went_is_completed(server, road):
    study = studies.create(name="half")
    logger = MLflowLogger(road.uri, experiment="half")
    study.optimize(studies.objective, n_trials=1, callbacks=[logger])
    logger.flush()
    client = logger._parents.store("half").client
    log_batch = client.log_batch

    def cut(*args, **kwargs):
        client.log_batch = log_batch
        road.close()
        threading.Timer(0.2, road.open).start()
        raise ConnectionResetError("cut")  # what MLflow says after minutes of its own attempts

    client.log_batch = cut
    study.optimize(studies.objective, n_trials=2, callbacks=[logger])
    logger.close()
    runs = trial_runs(server, "half")
    assert sorted(runs) == [0, 1, 2]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert {len(run.data.metrics) for run in runs.values()} == {len(runs[0].data.metrics)}


def test_the_end_waits_so_long_and_sync_writes_the_rest(server, road):
    study = studies.create(name="gone")
    logger = MLflowLogger(road.uri, experiment="gone", patience_s=0.3)
    study.optimize(studies.objective, n_trials=1, callbacks=[logger])
    logger.flush()
    road.close()
    study.optimize(studies.objective, n_trials=3, callbacks=[logger])
    started = time.perf_counter()
    with pytest.raises(StudyError, match=r"sync logs what is missing\): the tracking server does "):
        logger.close()
    assert time.perf_counter() - started < 5
    road.open()
    with MLflowLogger(road.uri, experiment="gone") as logger:
        assert logger.sync(study) == 3
    assert sorted(trial_runs(server, "gone")) == [0, 1, 2, 3]


def test_a_server_that_was_never_there_is_one_sentence_at_once():
    uri = f"http://127.0.0.1:{free_port()}"
    started = time.perf_counter()
    with pytest.raises(StudyError, match=f"^{uri}: expected an MLflow store, got: the tracking "):
        MLflowLogger(uri, experiment="toy")
    assert time.perf_counter() - started < 10
