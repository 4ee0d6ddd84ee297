"""Tasks on a Ray cluster of two nodes: results as without it, whatever is lost on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Start
from distributed.held import hold
from distributed.test_pool import work
from objective.test_workers import evolution, objective_of, searched, told
from patience import PATIENCE_S
from processes import wait_until_gone
from servers import free_port
from study_files import tiny_study_with

from nasrec_opt import search
from nasrec_opt.distributed import NotSharedError, RayPool, WorkerDiedError, connected, executor_of
from nasrec_opt.errors import StudyError
from nasrec_opt.objective import answer
from nasrec_opt.options import RayConfig
from nasrec_opt.pipeline import RunFolder, StudyConfig, run_study
from nasrec_opt.pipeline._storage import stored_study

pytest.importorskip("ray", reason="the extra 'ray' is not installed")

from ray.cluster_utils import Cluster

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head and another node, each with a core, which can import what the tests define."""
    # Paths of sockets have at most 107 characters, which pytest's folders leave too few of.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_raylet_start_wait_time_s", "300")  # on a busy machine
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
        try:
            cluster.add_node(**NODE)
            with connected(cluster.address):  # processes stay from one test to the next
                yield cluster
        finally:
            cluster.shutdown()
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pool(cluster) -> Iterator[RayPool]:
    with RayPool(work, 2, cluster.address) as pool:
        yield pool


def begun(folder: Path, count: int) -> dict[int, str]:
    """The nodes of so many tasks by process, as soon as they hold."""
    deadline = time.monotonic() + PATIENCE_S
    while len(names := [file.name.split() for file in folder.iterdir()]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return {int(pid): node for pid, node in names}


def processes_of(cluster: Cluster, *titles: bytes) -> list[int]:
    """Processes of the nodes that do a task now, or that have other titles."""
    nodes = {node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "cmdline").read_bytes().startswith(titles or b"ray::_do"):
                parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
                found += [int(folder.name)] if int(parent) in nodes else []
    return found


def test_results_and_errors_come_back(pool):
    results = [pool.submit(("give", number)) for number in range(6)]
    raised = [pool.submit(("raise", ValueError("wrong"))), pool.submit(("raise", OSError(2, "no")))]
    assert [future.result() for future in results] == list(range(6))
    assert repr(raised[0].exception()) == "ValueError('wrong')"
    assert isinstance(raised[1].exception(), FileNotFoundError)  # not taken for one that was lost
    assert "CustomError: 1 and 2" in str(pool.submit(("custom", None)).exception())
    assert pool.submit(("threads", None)).result() == 1


def test_a_task_whose_process_dies_is_done_again_and_at_last_fails_alone(pool, tmp_path):
    assert pool.submit(("die once", tmp_path / "died")).result() == tmp_path / "died"
    deadly, harmless = pool.submit(("die", None)), pool.submit(("give", 1))
    with pytest.raises(WorkerDiedError, match="lost at 3 attempts"):
        deadly.result()
    assert harmless.result() == 1


def test_the_end_of_a_pool_is_the_end_of_its_tasks(cluster, tmp_path):
    pool = RayPool(hold, 3, cluster.address)
    futures = [pool.submit(tmp_path) for _ in range(4)]  # the third waits for a core
    pids = begun(tmp_path, 2)
    with pytest.raises(KeyboardInterrupt), pool:
        raise KeyboardInterrupt
    assert wait_until_gone(pids)
    assert all(future.cancelled() or future.exception() for future in futures)


def test_a_search_is_that_of_this_process_also_where_tasks_are_lost(cluster):
    objective = objective_of()
    study = objective.create_study(sampler=evolution())

    def kill(study, trial):
        if trial.number == 3:
            for pid in processes_of(cluster, b"ray::_do", b"ray::IDLE"):
                os.kill(pid, signal.SIGKILL)

    with RayPool(partial(answer, objective), 2, cluster.address) as pool:
        search(study, objective, n_trials=24, workers=pool, lag=4, callbacks=[kill])
    assert told(study) == told(searched(1, 4, evolution()))


def test_a_run_on_a_cluster_that_loses_a_task_is_that_of_one_machine(
    cluster, start: Start, tmp_path, monkeypatch
):
    study = tmp_path / "tiny.toml"
    study.write_text(
        tiny_study_with(
            search={"n_trials": 8, "workers": 2},
            retrain={"top": 2, "workers": 2, "model": {"learning_rates": [0.003], "epochs": 1}},
        )
    )
    monkeypatch.chdir(tmp_path)
    run = start("run", study, "--ray", cluster.address, "--out", "there")
    while not (pids := processes_of(cluster)):
        time.sleep(0.02)
        assert run.is_running()
    os.kill(pids[0], signal.SIGKILL)
    result = run.wait()
    assert result.returncode == 0, result.stderr
    assert "training process" not in result.stderr
    run_study(StudyConfig.from_toml(study), Path("here"))
    assert contents(RunFolder(Path("here"))) == contents(RunFolder(Path("there")))


def contents(folder: RunFolder) -> tuple[Any, Any]:
    """Trials and results without times."""
    with stored_study(folder, "tiny") as study:
        return told(study), without_times(json.loads(folder.results.read_text()))


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if "seconds" not in k}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def test_what_cannot_be_sent_is_done_here(cluster, caplog):
    lock = threading.Lock()
    with pytest.raises(NotSharedError, match="cannot pickle"):
        RayPool(lambda task, note: lock, 2, "127.0.0.1:1")
    with executor_of(lambda task, note: bool(lock), 2, "work is done", ray="x:1") as executor:
        assert executor.submit(None).result()
    assert "work is done by one process instead of 2" in caplog.text


def test_an_address_without_a_cluster_is_one_sentence(cli: Cli, tiny_study, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    result = cli("run", tiny_study, "--ray", address, "--out", tmp_path / "run")
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert line.startswith(f"nasrec-opt: {address}: expected a Ray cluster, got: ")
    assert not (tmp_path / "run").exists()
    wrong = cli("run", tiny_study, "--ray", "head", "--out", tmp_path / "run")
    assert wrong.returncode == 2
    assert "--ray: address: expected 'HOST:PORT' of a Ray cluster" in wrong.stderr


@pytest.mark.parametrize("address", ["auto", "head:6379", "10.0.0.1:6379", "ray://h:1", "[::1]:9"])
def test_addresses_of_clusters_are_taken(address):
    assert RayConfig(address=address).address == address


@pytest.mark.parametrize("address", ["", "local", "head", "http://h:1", "h:port", "a:b@h:1"])
def test_what_is_no_address_of_a_cluster_is_refused(address):
    with pytest.raises(StudyError, match="address: expected 'HOST:PORT' of a Ray cluster"):
        RayConfig(address=address)


def test_the_task_of_a_lost_node_is_done_by_another(cluster, tmp_path):
    """The last test of this file: the cluster has one node then."""
    other = cluster.worker_nodes.copy().pop()
    noted: list[tuple[str]] = []
    with RayPool(hold, 2, cluster.address) as pool:
        futures = [pool.submit(tmp_path, lambda *v: noted.append(v)) for _ in range(2)]
        nodes = begun(tmp_path, 2)
        assert set(nodes.values()) == {node.node_id for node in cluster.list_all_nodes()}
        while not noted:
            time.sleep(0.02)
        cluster.remove_node(other, allow_graceful=False)
        assert wait_until_gone(pid for pid, node in nodes.items() if node == other.node_id)
        (tmp_path / "go").touch()
        assert [future.result() for future in futures] == [cluster.head_node.node_id] * 2
    assert set(noted) == {("waits",)}
