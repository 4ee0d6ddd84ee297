"""Starts commands over and over by forking a process that has its packages loaded already.

A start from nothing spends seconds on imports, which is most of what many a command takes. The
forked process is one as any other: its own memory, arguments, environment, output and exit code.
Requests are read from standard input, a line of JSON each; two lines answer each of them: the
number of the process that does it, and the exit code that it ended with.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from threading import Timer
from types import ModuleType, TracebackType
from typing import NoReturn

import numpy as np

from studies._preload import LIBRARIES, load_without_threads
from tests.patience import PATIENCE_S

LOADED = (
    *LIBRARIES,
    "torch._dynamo",  # exports a model
    "optuna_dashboard",
    "plotly.graph_objects",
    "matplotlib.backends.backend_svg",
    "safetensors.torch",
    "jinja2",
    "typer",
    "wcwidth",
    "filelock",
    "optuna.storages._rdb.models",
    "alembic.command",  # makes a store of Optuna or MLflow
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
)
NOT_LOADED = ("nasrec_opt.ax", "nasrec_opt.__main__", "nasrec_opt.distributed._worker")
# Polars, which our own packages need, comes with a thread that removes files of queries beyond
# memory; it waits, and no command needs it. The threads of its allocator are switched off.
WITHOUT_THREADS = {"_RJEM_MALLOC_CONF": "background_thread:false"}
WAITING_THREAD = "polars-ooc-clea"


class Command:
    """A command that was started, and that a test may stop.

    Args:
        pid: Number of its process.
        server: The process that started it, which says how it ended.
        arguments: Of `nasrec-opt`.
        stdout: File that has its standard output.
        stderr: File that has its standard error.
    """

    def __init__(
        self,
        pid: int,
        server: subprocess.Popen[str],
        arguments: Sequence[str],
        stdout: Path,
        stderr: Path,
    ) -> None:
        self.pid = pid
        self._server, self._arguments = server, arguments
        self._stdout, self._stderr = stdout, stderr

    def is_running(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:  # the server has seen its end
            return False
        return True

    def stop(self, how: signal.Signals) -> subprocess.CompletedProcess[str]:
        """Send it a signal and wait for its end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, how)
        return self.wait()

    def wait(self) -> subprocess.CompletedProcess[str]:
        """What `subprocess.run` would return; after `PATIENCE_S` the process is killed."""
        assert self._server.stdout is not None
        timer = Timer(PATIENCE_S, os.kill, (self.pid, signal.SIGKILL))
        timer.start()
        code = int(self._server.stdout.readline())
        timer.cancel()
        said = self._stdout.read_text(), self._stderr.read_text()
        return subprocess.CompletedProcess(["nasrec-opt", *self._arguments], code, *said)


class CommandServer:
    """The side of the tests; the other process starts with the first command.

    Args:
        folder: Where standard output and error of a command are kept.
        environment: Environment that the packages are loaded in.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> CommandServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process:
            self._process.communicate()  # it ends with its input

    def start(
        self,
        arguments: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        code: str | None = None,
        stdin: str = os.devnull,
    ) -> Command:
        """Begin `python -m nasrec_opt` or `python -c` with `arguments`; wait for its end."""
        self._process = self._process or self._start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for file in (self._stdout, self._stderr):
            file.write_bytes(b"")
        request = {
            "code": code,
            "arguments": arguments,
            "cwd": str(cwd),
            "environment": dict(environment),
            "stdin": stdin,
            "stdout": str(self._stdout),
            "stderr": str(self._stderr),
        }
        print(json.dumps(request), file=self._process.stdin, flush=True)
        pid = int(self._process.stdout.readline())
        return Command(pid, self._process, arguments, self._stdout, self._stderr)

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.cli_server"],
            cwd=Path(__file__).parents[1],
            env={**self._environment, **WITHOUT_THREADS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def main() -> None:
    load_without_threads(LOADED)
    if "sqlalchemy" in sys.modules:
        from tests.unsynced import wait_for_no_disk

        wait_for_no_disk()
    if "mlflow.store.db.utils" in sys.modules:
        from tests.mlflow_stores import copy_new_stores

        copy_new_stores()
    import nasrec_opt
    from tests.optuna_stores import read_migrations_once

    read_migrations_once()
    with suppress(ImportError):
        make_what_is_made_once()
    gc.disable()
    for name in modules_of(nasrec_opt):
        with suppress(ImportError):  # needs an extra that is not installed
            import_module(name)
    gc.enable()
    gc.freeze()
    if others := other_threads():
        raise RuntimeError(f"a process with threads cannot be forked: some import starts {others}")
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            become(json.loads(line))
            return
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def make_what_is_made_once() -> None:
    """Optuna's migrations, the models of its tables, and the many modules of a figure."""
    from optuna.storages import RDBStorage
    from optuna.study import StudyDirection
    from plotly.graph_objects import Bar, Figure

    storage = RDBStorage("sqlite://")
    storage.create_new_trial(storage.create_new_study([StudyDirection.MINIMIZE]))
    storage.remove_session()
    storage.engine.dispose()
    Figure(Bar(x=[1], y=[1])).update_layout(title="").to_json()


def modules_of(package: ModuleType) -> list[str]:
    found = [module.name for module in walk_packages(package.__path__, f"{package.__name__}.")]
    return [name for name in found if not name.startswith(NOT_LOADED)]


def other_threads() -> list[str]:
    """Names of this process's threads, but for the first and the one that a fork may lose."""
    tasks = [task for task in Path("/proc/self/task").glob("*") if task.name != str(os.getpid())]
    names = [(task / "comm").read_text().strip() for task in tasks]
    return [name for name in names if name != WAITING_THREAD]


def become(request: dict) -> NoReturn:
    """`python -m nasrec_opt` or `python -c`: its arguments, folder, environment and files."""
    for number, (file, flags) in enumerate(
        (
            (request["stdin"], os.O_RDONLY),
            (request["stdout"], os.O_WRONLY | os.O_CREAT),
            (request["stderr"], os.O_WRONLY | os.O_CREAT),
        )
    ):
        os.dup2(os.open(file, flags), number)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    np.random.seed()  # noqa: NPY002 - fresh, as in a process of its own
    sys.argv[1:] = request["arguments"]
    code = None
    try:
        if request["code"] is None:
            runpy.run_module("nasrec_opt", run_name="__main__", alter_sys=True)
        else:
            exec(compile(request["code"], "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code
        if not isinstance(code, int | None):
            raise
    # The end of a process, without taking apart all that was loaded, which copies its memory.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    close_databases()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def close_databases() -> None:
    """Close SQLite files, as Python's end does, which moves their write-ahead logs into them."""
    for found in gc.get_objects():  # but for what the fork began with
        if type(found) is sqlite3.Connection:
            found.close()


if __name__ == "__main__":
    main()
