"""Training: it learns, and a killed one ends as one left alone."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from patience import PATIENCE_S
from safetensors.torch import load_file
from supernet.cases import FEATURES, SPACES, Log
from supernet.trained import train

from nasrec_opt import Supernet
from nasrec_opt.errors import StudyError
from nasrec_opt.supernet import TrainConfig, learning_rate_at, train_supernet

SCRIPT = """
from pathlib import Path
from supernet.trained import train
train(Path(sys.argv[1]))
"""


def killed_after_a_checkpoint(start_code, out: Path, checkpoints: int) -> None:
    """Train in a process that is killed after so many checkpoints."""
    process, seen = start_code(SCRIPT, out), set()
    deadline = time.monotonic() + PATIENCE_S
    while process.is_running() and len(seen) < checkpoints and time.monotonic() < deadline:
        seen |= {path.name for path in (out / "checkpoint").glob("[0-9]*")}
        time.sleep(0.001)
    ended = process.stop(signal.SIGKILL)
    assert ended.returncode == -signal.SIGKILL, f"it ended before it was killed: {ended.stderr}"


def interrupted(out: Path) -> None:
    """Begin to train, and leave a checkpoint."""

    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(out, interrupt)


def test_a_killed_training_ends_as_one_left_alone(start_code, tmp_path):
    train(tmp_path / "whole")
    for checkpoints in (1, 4):  # killed twice: the second process takes up where the first was
        killed_after_a_checkpoint(start_code, tmp_path / "killed", checkpoints)
    steps = [int(path.name) for path in (tmp_path / "killed" / "checkpoint").glob("[0-9]*")]
    assert steps
    train(tmp_path / "killed")
    whole, killed = (
        load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "killed")
    )
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == [
        "model.json", "training.json", "weights.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize("path_sampling", ["single-any", "single-single", "any-any"])
def test_training_learns_what_the_log_holds(tmp_path, path_sampling):
    torch.set_num_threads(1)
    supernet = Supernet(SPACES["plain"], FEATURES, seed=0)
    seen = []
    result = train_supernet(
        supernet,
        Log(tmp_path, rows=4000),
        tmp_path / "out",
        TrainConfig(path_sampling=path_sampling, batch_size=100, epochs=2),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert result.train_log_loss < 0.5 * np.log(2)
    assert seen == [(done, result.steps) for done in range(1, result.steps + 1)]
    training = json.loads((tmp_path / "out" / "training.json").read_text())
    assert training["dataset"]["fingerprint"] == "log"


def test_the_table_has_a_rate_of_its_own(tmp_path):
    torch.set_num_threads(1)
    log = Log(tmp_path, rows=200)
    first = Supernet(SPACES["single"], FEATURES, seed=0)
    moved = {}
    for name, rate in (("same", None), ("equal", 0.01), ("faster", 0.04)):
        supernet = Supernet(SPACES["single"], FEATURES, seed=0)
        options = {"batch_size": 200, "epochs": 1, "learning_rate": 0.01, "embedding_prior": 0.0}
        config = TrainConfig(**options, embedding_rate=rate)
        train_supernet(supernet, log, tmp_path / name, config)  # a single step
        moved[name] = {
            key: weight - first.state_dict()[key] for key, weight in supernet.state_dict().items()
        }
    for key, change in moved["same"].items():
        torch.testing.assert_close(moved["equal"][key], change)
        factor = 4 if key == "embedding.table" else 1
        torch.testing.assert_close(moved["faster"][key], factor * change, rtol=1e-4, atol=1e-6)


def test_a_prior_holds_the_table_back_and_nothing_else(tmp_path):
    torch.set_num_threads(1)
    log = Log(tmp_path, rows=200)
    first = Supernet(SPACES["single"], FEATURES, seed=0).state_dict()
    moved = {}
    for prior in (0.0, 1e4):
        supernet = Supernet(SPACES["single"], FEATURES, seed=0)
        options = {"batch_size": 200, "epochs": 1, "learning_rate": 0.01}
        config = TrainConfig(**options, embedding_prior=prior)
        train_supernet(supernet, log, tmp_path / str(prior), config)  # a single step
        moved[prior] = {key: w - first[key] for key, w in supernet.state_dict().items()}
    for key, change in moved[0.0].items():
        if key != "embedding.table":
            torch.testing.assert_close(moved[1e4][key], change)
    # Without a prior the first step of a row is of the size of the rate, whatever the gradient.
    assert (
        moved[1e4]["embedding.table"].abs().max() < 0.1 * moved[0.0]["embedding.table"].abs().max()
    )


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    out = tmp_path / "out"
    interrupted(out)
    with pytest.raises(StudyError, match=r"learning_rate was 0\.03, is 0\.2 now"):
        train(out, learning_rate=0.2)


@pytest.mark.parametrize("name", ["checkpoint.json", "weights.safetensors"])
def test_a_damaged_checkpoint_is_refused(tmp_path, name):
    out = tmp_path / "out"
    interrupted(out)
    for file in (out / "checkpoint").glob(f"[0-9]*/{name}"):
        file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(StudyError, match="expected a checkpoint, got"):
        train(out)


def test_a_loss_that_is_no_number_is_an_error_and_leaves_no_supernet(tmp_path):
    supernet = Supernet(SPACES["plain"], FEATURES)
    with torch.no_grad():
        supernet.embedding.table.fill_(torch.nan)
    with pytest.raises(StudyError, match="finite"):
        train_supernet(supernet, Log(tmp_path, rows=300), tmp_path / "out")
    assert not (tmp_path / "out" / "model.json").exists()


def test_the_learning_rate_rises_then_falls_to_zero():
    config = TrainConfig(learning_rate=0.12, rate_warmup_fraction=0.1)
    rates = np.array([learning_rate_at(step, 1000, config) for step in range(1000)])
    assert rates[:100] == pytest.approx(0.12 * np.arange(1, 101) / 101)
    assert (np.diff(rates[100:]) < 0).all()
    assert rates.max() == pytest.approx(0.12)
    assert rates[-1] < 1e-5


@pytest.mark.parametrize(
    "option",
    [
        {"batch_size": 0},
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"embedding_rate": -1.0},
        {"embedding_prior": -1.0},
        {"warmup_fraction": 1.5},
    ],
)
def test_settings_out_of_range_are_refused(option):
    with pytest.raises(StudyError, match=next(iter(option))):
        TrainConfig(**option)


def test_a_log_without_training_rows_is_refused_and_not_waited_for(tmp_path):
    log = Log(tmp_path, rows=0)
    with pytest.raises(StudyError, match="train: expected at least one training row, got none"):
        train_supernet(Supernet(next(iter(SPACES.values())), FEATURES), log, tmp_path / "out")
