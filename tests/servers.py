"""Servers on loopback that tests start and stop: web servers, PostgreSQL, Optuna's gRPC proxy."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cli_server import Command
from patience import PATIENCE_S

# MLflow's server starts a dozen processes for jobs of its own, which no test here asks for.
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
_PROXY = """
import sys, warnings
warnings.simplefilter("ignore")
import optuna
from optuna.storages import run_grpc_proxy_server
from samplers.studies import open_storage
optuna.logging.set_verbosity(optuna.logging.ERROR)
run_grpc_proxy_server(open_storage(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
"""


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(
    command: list[str],
    port: int,
    cwd: Path | None = None,
    *,
    path: str = "",
    env: dict[str, str] | None = None,
) -> Iterator[str]:
    """Run a web server while the block lasts, once a page of it answers; its address."""
    process = subprocess.Popen(
        command,
        env=(os.environ if env is None else env) | NO_JOBS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=cwd,
        start_new_session=True,  # its own workers end with it
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(
            lambda: process.poll() is None,
            lambda: urllib.request.urlopen(address + path, timeout=2).close(),
            address,
        )
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=PATIENCE_S)


@contextmanager
def grpc_proxy(start_code: Callable[..., Command], behind: str) -> Iterator[str]:
    """Serve a storage through Optuna's gRPC proxy while the block lasts; its address.

    Args:
        start_code: The fixture; nothing else is forked by it meanwhile.
        behind: Address of the storage.
    """
    port = free_port()
    process = start_code(_PROXY, behind, port)
    address = f"grpc://127.0.0.1:{port}"

    def knock() -> None:
        socket.create_connection(("127.0.0.1", port), 2).close()

    try:
        _wait(process.is_running, knock, address)
        yield address
    finally:
        process.stop(signal.SIGTERM)


def _wait(is_running: Callable[[], bool], knock: Callable[[], None], address: str) -> None:
    """Knock until a server answers; one that has ended never will."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            knock()
            return
        except OSError:
            if not is_running() or time.monotonic() > deadline:
                pytest.fail(f"nothing answered on {address}")
            time.sleep(0.2)


class PostgreSQL:
    """A throw-away cluster of databases on loopback, owned by whoever may run one.

    Args:
        programs: Folder of `initdb` and `pg_ctl`.
    """

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        # PostgreSQL refuses to run as root, and pytest's folders are closed to other users.
        self._folder = Path(tempfile.mkdtemp(prefix="nasrec-postgresql-"))
        self._owner: dict[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._owner = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._port = free_port()
        self._count = 0
        self._call("initdb", "-A", "trust", "-U", "nasrec", "--no-sync")
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        log = str(self._folder / "log")
        self._call("pg_ctl", "-w", "-o", f"{options} -c fsync=off", "-l", log, "start")

    def database(self) -> str:
        """A new database; its URL."""
        import psycopg

        self._count += 1
        name = f"study_{self._count}"
        where = f"nasrec@127.0.0.1:{self._port}"
        with psycopg.connect(f"postgresql://{where}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://{where}/{name}"

    def stop(self) -> None:
        """End the server and remove all that it kept."""
        self._call("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(self._folder)

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), "-D", str(self._folder / "data"), *arguments],
            check=True,
            **self._owner,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,  # a pipe would stay open as long as the server
            stderr=subprocess.DEVNULL,
        )


def postgresql_programs() -> Path | None:
    """Folder of PostgreSQL's programs, of the newest version that is installed; Debian's or not."""
    found = shutil.which("initdb")
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4])
    )
    if found is None and not installed:
        return None
    return Path(found).resolve().parent if found else installed[-1].parent
