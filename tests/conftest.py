"""What several test modules need."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_server import Command, CommandServer
from hypothesis import settings
from patience import PATIENCE_S
from servers import PostgreSQL, postgresql_programs

# A slow machine is no failure: nothing here is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
# Few examples, and the same each time: tests/mutants.py runs tests once for each mutant.
settings.register_profile("mutants", max_examples=15, derandomize=True, database=None)


# What imports and collection make stays: looking through it again and again takes seconds.
gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()


def pytest_runtest_setup() -> None:
    if "sqlalchemy.engine" in sys.modules:
        from unsynced import wait_for_no_disk

        wait_for_no_disk()
    if "mlflow.store.db.utils" in sys.modules:  # loading it takes seconds: not for every test
        from mlflow_stores import copy_new_stores

        copy_new_stores()
    if "optuna.storages._rdb.storage" in sys.modules:
        from optuna_stores import read_migrations_once

        read_migrations_once()


REPOSITORY = Path(__file__).parents[1]
DATA = REPOSITORY.parent / "shared" / "data"  # real logs, only where somebody put them

TINY_STUDY = """
name = "tiny"
seed = 3

[data]
synthetic_rows = 1000
binned_dense = false

[space]
preset = "nasrec_small"
num_blocks = 2

[supernet]
batch_size = 128
epochs = 1

[oracle]
fidelity = "supernet"

[search]
sampler = "evolution"
n_trials = 12

[search.evolution]
population_size = 8
tournament_size = 4
children_per_round = 4

[retrain]
top = 1
"""


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study file whose stages take seconds."""
    path = tmp_path_factory.mktemp("study") / "tiny.toml"
    path.write_text(
        TINY_STUDY + "\n[retrain.model]\nepochs = 2\nbatch_size = 128\n"
    )  # not until patience ends them
    return path


Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., Command]


@pytest.fixture(scope="session")
def command_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandServer]:
    """Forks processes from one that has torch and the rest loaded. One runs at a time."""
    with CommandServer(tmp_path_factory.mktemp("cli"), environment()) as server:
        yield server


@pytest.fixture(scope="session")
def start(command_server: CommandServer) -> Start:
    """Begin the command line as a forked process that a test stops: `start("run", path)`."""

    def begin(
        *arguments: object, cwd: Path | None = None, stdin: Path | str = os.devnull
    ) -> Command:
        given, folder = [*map(str, arguments)], cwd or Path.cwd()
        return command_server.start(given, folder, environment(), stdin=str(stdin))

    return begin


@pytest.fixture(scope="session")
def start_code(command_server: CommandServer) -> Start:
    """Begin `python -c` as a forked process, with this one's `sys.path`: `start_code(CODE, 3)`."""

    def begin(code: str, *arguments: object) -> Command:
        code = f"import sys; sys.path[:] = {sys.path!r}\n{code}"
        return command_server.start([*map(str, arguments)], Path.cwd(), environment(), code)

    return begin


@pytest.fixture(scope="session")
def cli(start: Start) -> Cli:
    """Run the command line as a process: `cli("run", path)`.

    Forked from one that has torch and the rest loaded; with `is_cold=True` it begins from nothing,
    as a user's does.
    """

    def call(
        *arguments: object,
        cwd: Path | None = None,
        is_cold: bool = False,
        stdin: Path | str = os.devnull,
    ) -> subprocess.CompletedProcess[str]:
        if not is_cold:
            return start(*arguments, cwd=cwd, stdin=stdin).wait()
        return subprocess.run(
            [sys.executable, "-m", "nasrec_opt", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=environment(),
            timeout=PATIENCE_S,
            check=False,
        )

    return call


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server of this session's own."""
    pytest.importorskip("psycopg", reason="the extra 'postgresql' is not installed")
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("needs the programs of PostgreSQL: initdb, pg_ctl")
    server = PostgreSQL(programs)
    yield server
    server.stop()


def environment() -> dict[str, str]:
    """This process's environment, with one thread and no terminal width to depend on."""
    return os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}
