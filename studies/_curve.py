"""One learning curve: a model trained from scratch to its end, and what it was worth on the way.

A function of a task alone, so that any process can do it, on a GPU where it sees one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from nasrec_opt.data import Dataset
from nasrec_opt.ladder import training_work
from nasrec_opt.lowering import lower
from nasrec_opt.retrain import RetrainConfig, Training, log_losses, predict
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet, best_device, start_at_click_rate
from studies._setup import true_probabilities

KEYS = ("model", "seed")
FIRST_LOOK = 1 / 8  # of the first epoch, before it is first scored

Task = Mapping[str, Any]


class OutOfTimeError(Exception):
    """The study's limit has come."""


class Clock:
    """Wall and processor seconds since it was made; `rewind` takes out what is not to count."""

    def __init__(self) -> None:
        self._start = self._now()

    def read(self) -> tuple[float, float]:
        """Wall seconds and processor seconds."""
        wall, cpu = self._now()
        return wall - self._start[0], cpu - self._start[1]

    def rewind(self, reading: tuple[float, float]) -> None:
        """Go on from an earlier reading."""
        wall, cpu = self._now()
        self._start = wall - reading[0], cpu - reading[1]

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


@dataclass
class Curve:
    """What a training was worth on its way.

    Args:
        steps: Steps done at each point.
        validation: Validation log loss of the averaged weights there.
        wall_seconds: Seconds to get there, with what a training scores, without what a curve adds.
        cpu_seconds: The same on the processor.
        epoch_expected: At the end of each epoch, the log loss on test rows under the true click
            probabilities; empty where they are not known.
        epoch_test: The same under the labels.
    """

    steps: list[int] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    wall_seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    epoch_expected: list[float] = field(default_factory=list)
    epoch_test: list[float] = field(default_factory=list)

    def add(self, steps: int, log_loss: float, reading: tuple[float, float]) -> None:
        """A point."""
        self.steps.append(steps)
        self.validation.append(log_loss)
        self.wall_seconds.append(reading[0])
        self.cpu_seconds.append(reading[1])


def train_curve(task: Task, now: Callable[[], float] = time.time) -> dict[str, Any] | None:
    """Train a model to its end, or to the limit; None if that had come before it began.

    Args:
        task: `model`, `seed`, `genotype` (JSON), `log` (folder), `view` (options of
            `Dataset.open`), `config` (fields of `RetrainConfig`) and `until` (seconds that `now`
            tells, or None for no limit).
        now: Tells the time; asked at every step.

    Returns:
        A row of the ledger.
    """
    until = task["until"]

    def check_limit(done: int = 0, most: int | None = None) -> None:
        if until is not None and now() >= until:
            raise OutOfTimeError

    genotype = Genotype.from_json(task["genotype"])
    config = RetrainConfig(**task["config"], seed=task["seed"])
    try:
        check_limit()
        dataset = _dataset(task["log"], **task["view"])
        training = Training(dataset, config, check_limit)
        clock = Clock()
        state = training.begin(lambda: _subnet(genotype, dataset, config))
    except OutOfTimeError:
        return None
    curve = Curve()
    final: dict[str, float | None] = {"expected_log_loss": None, "test_log_loss": None}
    is_over = False
    try:
        _first_look(training, state, dataset, config, clock, curve)
        while not is_over:
            training.advance(state, state.learner.steps + 1)  # to where it is scored next
            curve.add(*state.validation[-1], clock.read())
            is_over = training.is_over(state)
            if state.learner.steps % training.epoch_steps == 0:
                _end_epoch(state, dataset, clock, curve)
    except OutOfTimeError:
        pass
    seconds, cpu_seconds = clock.read()
    subnet, steps_done = state.learner.subnet, state.learner.steps
    if is_over and state.best.weights:
        training.finish(state, subnet)
        training.learn_validation(state, state.best)
        final = _test(subnet, dataset)
    tables = {id(weight) for weight in subnet.embedding.parameters()}
    return {
        **{key: task[key] for key in KEYS},
        "genotype": task["genotype"],
        "macs": int(lower(genotype, dataset.features).macs),
        "parameters": sum(w.numel() for w in subnet.parameters() if id(w) not in tables),
        "work": training_work(genotype, dataset.features),
        "learning_rate": state.learner.learning_rate,
        "epoch_steps": training.epoch_steps,
        **vars(curve),
        "steps_done": steps_done,
        "seconds": seconds,
        "seconds_of_cpu": cpu_seconds,
        "best_step": state.best.step,
        "best_validation": state.best.log_loss,
        **final,
        "is_over": is_over,
        "device": device_name(),
    }


def device_name() -> str:
    """What a network is trained on."""
    device = best_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _first_look(
    training: Training,
    state: Any,
    dataset: Dataset,
    config: RetrainConfig,
    clock: Clock,
    curve: Curve,
) -> None:
    """A point before the first score, which changes nothing of the training."""
    steps = round(FIRST_LOOK * training.epoch_steps)
    for point in state.validation:  # what the comparison of learning rates came to
        done, log_loss = point
        curve.add(done, log_loss, clock.read())
    if steps <= state.learner.steps:
        return
    training.learn(state, steps)
    before = clock.read()
    with state.learner.averaged() as averaged:
        logits, labels = predict(averaged, dataset.split("validation"), config.evaluation_rows)
    curve.add(state.learner.steps, float(log_losses(logits, labels).mean()), clock.read())
    clock.rewind(before)


def _end_epoch(state: Any, dataset: Dataset, clock: Clock, curve: Curve) -> None:
    """What the averaged weights are worth on test rows; no choice sees it."""
    before = clock.read()
    with state.learner.averaged() as averaged:
        found = _test(averaged, dataset)
    if found["expected_log_loss"] is not None:
        curve.epoch_expected.append(found["expected_log_loss"])
    assert found["test_log_loss"] is not None
    curve.epoch_test.append(found["test_log_loss"])
    clock.rewind(before)


def _test(subnet: Subnet, dataset: Dataset) -> dict[str, float | None]:
    """Log loss on all test rows, under true probabilities and under labels."""
    logits, labels = predict(subnet, dataset.split("test"))
    chance = true_probabilities(dataset, "test")
    expected = None if chance is None else float(log_losses(logits, chance).mean())
    labelled = float(log_losses(logits, labels).mean())
    return {"expected_log_loss": expected, "test_log_loss": labelled}


def _subnet(genotype: Genotype, dataset: Dataset, config: RetrainConfig) -> Subnet:
    """The model before its first step, as `retrain` has it."""
    subnet = Subnet(genotype, dataset.features, config.seed)
    start_at_click_rate(subnet, dataset.split("train").labels)
    return subnet.to(best_device())


@lru_cache(maxsize=1)
def _dataset(log: str, *, min_count: int, binned_dense: bool) -> Dataset:
    return Dataset.open(Path(log), min_count=min_count, binned_dense=binned_dense)
