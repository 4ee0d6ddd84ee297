"""A run killed with SIGKILL and started again ends with the trials of one left alone."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from cli_server import Command
from patience import PATIENCE_S


@pytest.fixture(scope="module")
def trained(cli, tiny_study, tmp_path_factory) -> Path:
    """A run folder up to the supernet, which the searches below copy."""
    out = tmp_path_factory.mktemp("trained") / "run"
    assert cli("train", tiny_study, "--out", out).returncode == 0
    return out


@pytest.fixture(scope="module")
def alone(cli, tiny_study, trained, tmp_path_factory) -> Path:
    """A search that nobody stopped."""
    out = tmp_path_factory.mktemp("alone") / "run"
    shutil.copytree(trained, out)
    assert cli("search", tiny_study, "--out", out).returncode == 0
    return out


def test_killed_search_ends_with_the_same_trials(cli, start, tiny_study, trained, alone, tmp_path):
    killed = tmp_path / "killed"
    shutil.copytree(trained, killed)
    for trials in (3, 6, 9):
        kill_search_after(trials, killed, start("search", tiny_study, "--out", killed))
    assert cli("search", tiny_study, "--out", killed).returncode == 0
    assert described(killed) == described(alone)


def test_killed_stages_before_the_search_resume(cli, start, tiny_study, trained, tmp_path):
    out = tmp_path / "run"
    for begun in (out, out / "dataset", out / "supernet"):
        kill_when(begun.exists, start("train", tiny_study, "--out", out))
    assert cli("train", tiny_study, "--out", out).returncode == 0
    for name in ("train", "prepare"):
        assert_same_files(out, trained, name)


def test_interrupted_search_says_so_and_goes_on(cli, start, tiny_study, trained, alone, tmp_path):
    stopped = tmp_path / "stopped"
    shutil.copytree(trained, stopped)
    search = start("search", tiny_study, "--out", stopped)
    code, said = kill_search_after(5, stopped, search, signal.SIGINT)
    assert code == 130, said
    assert said.endswith("nasrec-opt: interrupted; run the same command again to continue\n")
    assert "Traceback" not in said
    assert cli("search", tiny_study, "--out", stopped).returncode == 0
    assert described(stopped) == described(alone)


def kill_search_after(
    trials: int, out: Path, search: Command, how: signal.Signals = signal.SIGKILL
) -> tuple[int, str]:
    """Kill a search once `trials` trials are complete, in the middle of a trial."""

    def is_far_enough() -> bool:
        # Reads alone: Optuna would create tables, and the process under test is about to.
        try:
            with closing(sqlite3.connect(f"file:{out}/study.db?mode=ro", uri=True)) as database:
                [count] = database.execute("SELECT COUNT(*) FROM trials").fetchone()
        except sqlite3.OperationalError:  # no file, or no table yet
            return False
        return count > trials

    return kill_when(is_far_enough, search, how)


def kill_when(
    condition: Callable[[], bool],
    command: Command,
    how: signal.Signals = signal.SIGKILL,
) -> tuple[int, str]:
    """Exit code and standard error of a command that was sent a signal."""
    deadline = time.monotonic() + PATIENCE_S
    while command.is_running() and time.monotonic() < deadline and not condition():
        time.sleep(0.01)
    stopped = command.stop(how)
    return stopped.returncode, stopped.stderr


def described(out: Path) -> list[tuple[object, ...]]:
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{out}/study.db")
    return [(t.number, t.state, t.params, t.values) for t in study.trials]


def assert_same_files(one: Path, other: Path, stage: str) -> None:
    folder = {"train": "supernet", "prepare": "dataset"}[stage]
    names = sorted(
        p.relative_to(other / folder)
        for p in (other / folder).rglob("*")
        if p.suffix in {".npy", ".arrow", ".safetensors"}
    )
    assert names
    for name in names:
        assert (one / folder / name).read_bytes() == (other / folder / name).read_bytes(), name
