"""Processes that train one supernet together take the steps that one takes alone."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import environment
from patience import PATIENCE_S
from safetensors.torch import load_file, save_file
from study_files import tiny_study_with
from torch import distributed

from nasrec_opt import SearchSpace
from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.options import TrainConfig
from nasrec_opt.supernet import Ranks, Supernet, train_supernet

SPACE = SearchSpace.nasrec_small(num_blocks=3, wide=(False, True))
# Rows that two and three processes cannot share evenly. A gradient that is zero but for rounding
# moves its weight by a whole step if epsilon is small, so that no two orders of additions agree.
CONFIG = TrainConfig(batch_size=101, epochs=1, learning_rate=0.03, epsilon=1.0, clip_norm=0.05)
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return generate_synthetic(tmp_path_factory.mktemp("log") / "dataset", rows=2600)  # 20 steps


@pytest.fixture(scope="module")
def alone(dataset, tmp_path_factory) -> dict[str, torch.Tensor]:
    """What one process comes to."""
    return trained(dataset, tmp_path_factory.mktemp("alone"))


def trained(dataset: Dataset, out: Path, **options: Any) -> dict[str, torch.Tensor]:
    supernet = Supernet(SPACE, dataset.features, seed=1)
    result = train_supernet(supernet, dataset, out, CONFIG, **options)
    assert result.steps == 20
    return supernet.state_dict()


def together(dataset: Dataset, out: Path, count: int, until: int | None = None) -> list[str]:
    """Train in several processes; what each of them says. The first one may stop at a step."""
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()
    processes = [
        context.Process(target=_train, args=(dataset, out, rank, count, until, said))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_S)
    return sorted(said.get() for _ in processes)


def _train(
    dataset: Dataset, out: Path, rank: int, count: int, until: int | None, said: Any
) -> None:
    torch.set_num_threads(1)
    store = f"file://{out}/store"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=count)
    ranks = Ranks()

    def progress(done: int, of: int | None) -> None:
        if rank == 0 and done == until:
            raise KeyboardInterrupt

    try:
        config = replace(CONFIG, checkpoint_s=0.0) if until else CONFIG
        supernet = Supernet(SPACE, dataset.features, seed=1)
        train_supernet(supernet, dataset, out / "supernet", config, progress, ranks=ranks)
        save_file(supernet.state_dict(), out / f"weights{rank}")
        said.put("trained")
    except (KeyboardInterrupt, RuntimeError) as error:
        said.put(type(error).__name__)


@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_take_the_steps_of_one(count, dataset, alone, tmp_path):
    assert together(dataset, tmp_path, count) == ["trained"] * count
    weights = [load_file(tmp_path / f"weights{rank}") for rank in range(count)]
    for name, expected in alone.items():
        assert float((weights[0][name] - expected).abs().max()) < TOLERANCE, name
        assert all(torch.equal(other[name], weights[0][name]) for other in weights[1:])
    [saved] = (tmp_path / "supernet").glob("*.safetensors")
    assert all(torch.equal(load_file(saved)[name], weights[0][name]) for name in alone)


def test_what_several_began_one_ends(dataset, alone, tmp_path):
    assert together(dataset, tmp_path, 2, until=12) == ["KeyboardInterrupt", "RuntimeError"]
    assert (tmp_path / "supernet" / "checkpoint").is_dir()
    steps: list[int] = []
    config = replace(CONFIG, checkpoint_s=0.0)
    supernet = Supernet(SPACE, dataset.features, seed=1)
    train_supernet(
        supernet, dataset, tmp_path / "supernet", config, lambda done, of: steps.append(done)
    )
    assert steps[0] in (12, 13)
    for name, expected in alone.items():
        assert float((supernet.state_dict()[name] - expected).abs().max()) < TOLERANCE, name


class Three:
    """Three processes, of which no one is asked anything."""

    number, count = 1, 3

    def first(self, value: Any) -> Any:
        return value


def test_a_batch_has_a_row_for_each_process(dataset, tmp_path):
    supernet = Supernet(SPACE, dataset.features, seed=1)
    config = replace(CONFIG, batch_size=2)
    with pytest.raises(StudyError, match="batch_size: expected a row for each of 3 processes, got"):
        train_supernet(supernet, dataset, tmp_path, config, ranks=Three())  # type: ignore[arg-type]


def test_torchrun_trains_the_supernet_of_a_run_and_the_first_process_alone_writes(cli, tmp_path):
    study = tmp_path / "tiny.toml"
    options = {"batch_size": 128, "epsilon": 1.0, "learning_rate": 0.03, "epochs": 1}
    study.write_text(tiny_study_with(supernet=options))
    here = cli("train", study, "--out", tmp_path / "here")
    assert here.returncode == 0, here.stderr
    there = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
         "-m", "nasrec_opt", "train", str(study), "--out", str(tmp_path / "there")],
        env=environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert there.returncode == 0, there.stderr
    assert there.stderr.count("supernet of nasrec_small trained for") == 1
    one, two = (
        load_file(tmp_path / name / "supernet" / "weights.safetensors")
        for name in ("here", "there")
    )
    for name, expected in one.items():
        assert float((two[name] - expected).abs().max()) < TOLERANCE, name
