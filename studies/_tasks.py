"""The three kinds of task of a ranking study: a truth, a supernet, a score.

Each is a function of a task alone, which names the study's folder, so that any process can do it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from nasrec_opt.data import Dataset
from nasrec_opt.oracle import SupernetOracle, log_losses
from nasrec_opt.retrain import predict, retrain
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import (
    SingleOperatorAnyConnection,
    Subnet,
    Supernet,
    TrainConfig,
    WarmUp,
    train_supernet,
)
from studies._loop import train_in_loop
from studies._setup import Setup, true_probabilities
from studies._techniques import SCORINGS, TECHNIQUES

TRUTH_KEYS = ("subnet", "repeat", "balance")
SUPERNET_KEYS = ("technique", "repeat")
SCORE_KEYS = ("technique", "repeat", "scoring", "subnet")
ONE_SUPERNET = {"repeat": 0}  # what results of before there could be several count as

Task = Mapping[str, Any]


def train_from_scratch(task: Task) -> dict[str, Any]:
    """The truth: a subnet trained from fresh weights, and its log loss on the test rows.

    Where the log is synthetic, `expected_log_loss` is that of the true probabilities: what test
    rows without end would give.
    """
    setup, dataset = _study(task["folder"])
    genotype = _subnets(task["folder"])[task["subnet"]]
    return {name: task[name] for name in TRUTH_KEYS} | truth_of(
        genotype, setup, dataset, seed=setup.seed + task["repeat"], balance=task["balance"]
    )


def truth_of(
    genotype: Genotype, setup: Setup, dataset: Dataset, *, seed: int, balance: bool = True
) -> dict[str, Any]:
    """Train a genotype from scratch and score it."""
    config = setup.truth_config(seed, balance=balance)
    with tempfile.TemporaryDirectory() as folder:
        model = retrain(genotype, dataset, folder, config)
        expected = _expected_log_loss(Subnet.load(Path(folder) / "model"), dataset)
    return {
        "genotype": genotype.to_json(),
        "test_log_loss": model.test_log_loss,
        "test_auc": model.test_auc,
        "validation_log_loss": model.validation_log_loss,
        "expected_log_loss": expected,
        "seconds": model.seconds,
    }


def train_one_supernet(task: Task) -> dict[str, Any]:
    """A supernet trained as a technique has it, below `supernets/`; a seed for each repeat."""
    setup, dataset = _study(task["folder"])
    technique = TECHNIQUES[task["technique"]]
    seed = setup.seed + task["repeat"]
    config = TrainConfig(**(setup.train | dict(technique.train)), seed=seed)
    supernet = Supernet(
        setup.search_space,
        dataset.features,
        seed,
        balance=technique.balance,
        masking=technique.masking,
        initialization=config.initialization,
    )
    strategy = None
    if technique.sampling:
        space = setup.search_space
        strategy = WarmUp(technique.sampling(space), fraction=config.warmup_fraction)
    folder = _supernet_folder(task)
    if technique.loop:
        space = setup.search_space
        paths = strategy or WarmUp(
            SingleOperatorAnyConnection(space), fraction=config.warmup_fraction
        )
        result = train_in_loop(supernet, dataset, folder, config, technique.loop, strategy=paths)
    else:
        result = train_supernet(supernet, dataset, folder, config, strategy=strategy)
    return {name: task[name] for name in SUPERNET_KEYS} | {
        "steps": result.steps,
        "train_log_loss": result.train_log_loss,
        "seconds": result.seconds,
    }


def score_subnet(task: Task) -> dict[str, Any]:
    """What a supernet says of a subnet."""
    oracle = _oracle(task["folder"], task["technique"], task["scoring"], task["repeat"])
    genotype = _subnets(task["folder"])[task["subnet"]]
    began = time.perf_counter()
    evaluation = oracle.evaluate(genotype)
    return {name: task[name] for name in SCORE_KEYS} | {
        "log_loss": evaluation.log_loss,
        "auc": evaluation.auc,
        "log_loss_se": evaluation.log_loss_se,
        "seconds": time.perf_counter() - began,
    }


def load_oracle(folder: str, technique: str, scoring: str, repeat: int = 0) -> SupernetOracle:
    """An oracle on a supernet of a technique."""
    task = {"folder": folder, "technique": technique, "repeat": repeat}
    _, dataset = _study(folder)
    return SupernetOracle.load(_supernet_folder(task), dataset, SCORINGS[scoring].oracle)


# A process keeps the last oracle only: tasks come in an order in which neighbours share it.
_oracle = lru_cache(maxsize=1)(load_oracle)


@lru_cache
def _study(folder: str) -> tuple[Setup, Dataset]:
    setup = Setup.load(Path(folder))
    return setup, setup.open_dataset()


@lru_cache
def _subnets(folder: str) -> list[Genotype]:
    return _study(folder)[0].subnets()


def _supernet_folder(task: Task) -> Path:
    repeat = task["repeat"]
    name = task["technique"] if repeat == 0 else f"{task['technique']}-{repeat}"
    return Path(task["folder"]) / "supernets" / name


def _expected_log_loss(subnet: Subnet, dataset: Dataset) -> float | None:
    """Log loss of a model's predictions where clicks have their true probabilities."""
    chance = true_probabilities(dataset, "test")
    if chance is None:
        return None
    logits, _ = predict(subnet, dataset.split("test"))
    return float(log_losses(logits, chance).mean())
