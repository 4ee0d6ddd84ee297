"""Starts the command line over and over by forking a process that has its packages loaded already.

A start from nothing spends seconds on imports, which is most of what many a command takes. The
forked process is one as any other: its own memory, arguments, environment, output and exit code.
Requests are read from standard input, a line of JSON each; two lines answer each of them: the
number of the process that does it, and the exit code that it ended with.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Timer
from types import TracebackType

import numpy as np

from studies._preload import LIBRARIES, load_without_threads
from tests.patience import PATIENCE_S

LOADED = (
    *LIBRARIES,
    "torch._dynamo",  # exports a model
    # What reads no table, and so needs no Polars, which starts threads.
    "nasrec_opt.bayes",
    "nasrec_opt.lowering",
    "nasrec_opt.samplers",
    "nasrec_opt.supernet",
    "jinja2",
    "typer",
    "wcwidth",
    "filelock",
    "optuna.storages._rdb.models",
    "alembic.command",  # makes a store of Optuna or MLflow
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
)


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

    def start(self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Command:
        """Begin `python -m nasrec_opt` with `arguments`; its end must be waited for."""
        self._process = self._process or self._start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for file in (self._stdout, self._stderr):
            file.write_bytes(b"")
        request = {
            "arguments": arguments,
            "cwd": str(cwd),
            "environment": dict(environment),
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
            env=dict(self._environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def main() -> None:
    load_without_threads(LOADED)
    if "mlflow.store.db.utils" in sys.modules:
        from tests.mlflow_stores import copy_new_stores

        copy_new_stores()
    tasks = Path("/proc/self/task")
    if tasks.exists() and len(list(tasks.iterdir())) > 1:
        raise RuntimeError("a process with threads cannot be forked: some of LOADED starts one")
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            become(json.loads(line))
            return
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def become(request: dict) -> None:
    """`python -m nasrec_opt`, with its arguments, folder, environment and files."""
    for number, (file, flags) in enumerate(
        (
            (os.devnull, os.O_RDONLY),
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
    runpy.run_module("nasrec_opt", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
