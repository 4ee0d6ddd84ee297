"""A run killed with SIGKILL and started again ends with the trials of one left alone."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from conftest import environment


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


def test_killed_search_ends_with_the_same_trials(cli, tiny_study, trained, alone, tmp_path):
    killed = tmp_path / "killed"
    shutil.copytree(trained, killed)
    for trials in (3, 11, 17):
        kill_search_after(tiny_study, killed, trials)
    assert cli("search", tiny_study, "--out", killed).returncode == 0
    assert described(killed) == described(alone)


def test_killed_stages_before_the_search_resume(cli, tiny_study, trained, tmp_path):
    out = tmp_path / "run"
    for seconds in (2.0, 4.0):
        kill_when(lambda: False, tiny_study, out, seconds)
    assert cli("train", tiny_study, "--out", out).returncode == 0
    for name in ("train", "prepare"):
        assert_same_files(out, trained, name)


def test_interrupted_search_says_so_and_goes_on(cli, tiny_study, trained, alone, tmp_path):
    stopped = tmp_path / "stopped"
    shutil.copytree(trained, stopped)
    code, said = kill_search_after(tiny_study, stopped, 5, signal.SIGINT)
    assert code == 130, said
    assert said.endswith("nasrec-opt: interrupted; run the same command again to continue\n")
    assert "Traceback" not in said
    assert cli("search", tiny_study, "--out", stopped).returncode == 0
    assert described(stopped) == described(alone)


def kill_search_after(
    study: Path, out: Path, trials: int, how: signal.Signals = signal.SIGKILL
) -> tuple[int, str]:
    """Start the search, and kill it once `trials` trials are complete, in the middle of a trial."""

    def is_far_enough() -> bool:
        # Reads alone: Optuna would create tables, and the process under test is about to.
        try:
            with closing(sqlite3.connect(f"file:{out}/study.db?mode=ro", uri=True)) as database:
                [count] = database.execute("SELECT COUNT(*) FROM trials").fetchone()
        except sqlite3.OperationalError:  # no file, or no table yet
            return False
        return count > trials

    return kill_when(is_far_enough, study, out, 120.0, command="search", how=how)


def kill_when(
    condition,
    study: Path,
    out: Path,
    timeout_s: float,
    command: str = "train",
    how: signal.Signals = signal.SIGKILL,
) -> tuple[int, str]:
    """Exit code and standard error of a command that was sent a signal."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nasrec_opt", command, str(study), "--out", str(out)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < deadline and not condition():
        time.sleep(0.01)
    process.send_signal(how)
    _, said = process.communicate()
    return process.returncode, said


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
