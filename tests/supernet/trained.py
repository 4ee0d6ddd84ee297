"""A supernet trained with a checkpoint after every step, in this process or in another."""

from collections.abc import Callable
from pathlib import Path

import torch
from supernet.cases import FEATURES, SPACES, Log

from nasrec_opt import Supernet
from nasrec_opt.supernet import TrainConfig, train_supernet


def train(
    out: Path, progress: Callable[[int, int | None], None] | None = None, **options: float
) -> None:
    torch.set_num_threads(1)
    config = TrainConfig(batch_size=100, epochs=2, checkpoint_s=0, seed=5, **options)
    supernet = Supernet(SPACES["single"], FEATURES, seed=5)
    train_supernet(supernet, Log(out.parent / "log"), out, config, progress)
