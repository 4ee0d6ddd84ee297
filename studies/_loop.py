"""Trainings of a supernet that the library does not have, for studies to compare with its own.

With no option set, `train_in_loop` is `nasrec_opt.supernet.train_supernet`, weight for weight. It
writes no checkpoints: a study that was killed trains such a supernet from its beginning.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import (
    PathSampling,
    SliceAdagrad,
    Supernet,
    TrainConfig,
    TrainResult,
    full_supernet,
    learning_rates_at,
    row_prior,
    start_at_click_rate,
    train_batches,
    train_step,
    trained_as,
    training_steps,
)

AVERAGE_EVERY = 10  # steps between the weights that are averaged
TABLE = "embedding.table"


@dataclass(frozen=True, kw_only=True)
class Loop:
    """What differs from the library's training.

    Args:
        average: Share of the training at whose end weights are averaged, 0 to 1.
        constant_rate: Whether the learning rate stays at its highest.
        fresh_tables: Whether each pass begins with a fresh embedding table, whose learning rate is
            then constant.
        teacher_every: Full supernets learn the labels every so many steps, and the subnets of all
            steps learn what the full supernet says; 0 means that subnets learn the labels.

    References:
        Izmailov et al. 2018: averages of weights. Fan et al. 2024: a fresh table for each pass.
        Yu and Huang 2019: in-place distillation.
    """

    average: float = 0.0
    constant_rate: bool = False
    fresh_tables: bool = False
    teacher_every: int = 0


def train_in_loop(
    supernet: Supernet,
    dataset: Dataset,
    out_dir: Path,
    config: TrainConfig,
    loop: Loop,
    *,
    strategy: PathSampling,
) -> TrainResult:
    """Train a supernet and save it.

    Args:
        supernet: Its weights are trained in place.
        dataset: Where the training rows come from.
        out_dir: Gets the supernet.
        config: As of `train_supernet`.
        loop: What differs.
        strategy: Draws the subnets.

    Raises:
        StudyError: The weights are no longer numbers.
    """
    started = time.perf_counter()
    rows = dataset.split("train")
    config = config.for_rows(rows.num_rows)
    steps = training_steps(rows.num_rows, config)
    start_at_click_rate(supernet, rows.labels)
    optimizer = SliceAdagrad(supernet, row_prior=row_prior(config), options=config)
    assert config.epochs is not None  # the log has filled it in
    average = WeightAverage(supernet)
    losses: list[float] = []
    for step, batch in train_batches(rows, config, steps):
        if loop.fresh_tables and step and step % (steps // config.epochs) == 0:
            _refresh(supernet, optimizer, config, step)
        tensors = [torch.from_numpy(a) for a in (batch.dense, batch.sparse, batch.labels)]
        rate, of_table = learning_rates_at(0 if loop.constant_rate else step, steps, config)
        if loop.constant_rate or loop.fresh_tables:
            highest = config.embedding_rate or config.learning_rate
            assert highest is not None
            of_table = highest
        if loop.constant_rate:
            assert config.learning_rate is not None
            rate = config.learning_rate
        if loop.teacher_every:
            tensors[2] = _taught(supernet, optimizer, tensors, step, loop, (rate, of_table))
        sampled = strategy.sample(np.random.default_rng([config.seed, step]), step / steps)
        loss = train_step(
            supernet,
            optimizer,
            tensors,
            trained_as(sampled),
            learning_rate=rate,
            embedding_rate=of_table,
        )
        if step >= steps * 0.9:
            losses.append(float(loss))
        if step >= steps * (1 - loop.average) and step % AVERAGE_EVERY == 0:
            average.add()
    average.put()
    if not all(bool(torch.isfinite(weight).all()) for weight in supernet.parameters()):
        raise StudyError(f"{out_dir}: expected finite weights after training, got NaN or infinity")
    log_loss = float(np.mean(losses))
    place = {"path": str(dataset.path), "fingerprint": dataset.fingerprint, "view": dataset.view}
    supernet.save(out_dir, training={"dataset": place, "train_log_loss": log_loss})
    return TrainResult(steps, log_loss, time.perf_counter() - started)


class WeightAverage:
    """The mean of a supernet's weights at several steps."""

    def __init__(self, supernet: Supernet) -> None:
        self._weights = list(supernet.parameters())
        self._sums: list[Tensor] = []
        self._count = 0

    @torch.no_grad()
    def add(self) -> None:
        """The weights as they are now."""
        self._count += 1
        if not self._sums:
            self._sums = [weight.detach().clone() for weight in self._weights]
        else:
            for total, weight in zip(self._sums, self._weights, strict=True):
                total.add_(weight)

    @torch.no_grad()
    def put(self) -> None:
        """Into the supernet, where there is one."""
        for weight, total in zip(self._weights, self._sums, strict=False):
            weight.copy_(total / self._count)


@torch.no_grad()
def _refresh(supernet: Supernet, optimizer: SliceAdagrad, config: TrainConfig, step: int) -> None:
    """A table as at the beginning, of other random numbers; all other weights stay."""
    table = supernet.embedding.table
    fresh = Supernet(
        supernet.space,
        supernet.features,
        config.seed + step,
        max_table_rows=supernet.max_table_rows,
        initialization=supernet.initialization,
    )
    table.copy_(fresh.embedding.table)
    optimizer.squares[TABLE].fill_(row_prior(config))


def _taught(
    supernet: Supernet,
    optimizer: SliceAdagrad,
    tensors: list[Tensor],
    step: int,
    loop: Loop,
    rates: tuple[float, float],
) -> Tensor:
    """What the full supernet says of a batch, `[batch]`, after a step on its labels if one is due.

    Args:
        supernet: Of both, teacher and subnets.
        optimizer: Of the supernet.
        tensors: Dense, sparse and labels.
        step: From 0.
        loop: How often the teacher learns.
        rates: Of the weights and of the table.
    """
    teacher: Genotype = full_supernet(supernet.space)
    if step % loop.teacher_every == 0:
        train_step(
            supernet, optimizer, tensors, trained_as(teacher),
            learning_rate=rates[0], embedding_rate=rates[1],
        )  # fmt: skip
    with torch.no_grad():
        return torch.sigmoid(supernet(trained_as(teacher), tensors[0], tensors[1]))
