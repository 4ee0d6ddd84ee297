"""How long models take to predict on the processor at hand, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from nasrec_opt.data import Dataset
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet

BATCH = 1000  # rows that are predicted at once
REPEATS = 50
WARM_UP = 3  # predictions before time is taken: the first allocate
MOST_ROWS = 1 << 16  # of one column's table: with all columns, more than caches hold
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class CpuLatency:
    """Median times of predictions on one thread.

    Args:
        cpu_latency_us: Of one row, us.
        cpu_us_per_row: Of a row among up to 1,000 that are predicted at once, us.
    """

    cpu_latency_us: float
    cpu_us_per_row: float


def cpu_latencies(
    genotypes: Sequence[Genotype], dataset: Dataset, *, balance: bool, layer_norm: bool = True
) -> list[CpuLatency]:
    """Measure how long the models of some genotypes take on test rows.

    Weights are random, since times do not depend on them, and embedding tables are cut.

    Args:
        genotypes: The models.
        dataset: The log, opened as the models read it.
        balance: Whether dot products project their vectors.
        layer_norm: Whether a layer norm follows each operator.

    Returns:
        The times of each model.
    """
    models = [
        Subnet(
            genotype,
            dataset.features,
            max_table_rows=MOST_ROWS,
            balance=balance,
            layer_norm=layer_norm,
        )
        for genotype in genotypes
    ]
    batch = dataset.split("test").rows(slice(0, BATCH))
    return measured(models, torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse))


def measured(
    models: Sequence[nn.Module], dense: Tensor, sparse: Tensor, clock: Clock = time.thread_time
) -> list[CpuLatency]:
    """Time predictions of several models, which take turns, so that caches treat all alike.

    The time is that of the thread: what it waits while other processes have the core is not in it.

    Args:
        models: Called with dense features and ids.
        dense: `[rows, num_dense]`.
        sparse: `[rows, num_sparse]`.
        clock: Gives the time, s.

    Returns:
        The times of each model.
    """
    rows = len(dense)
    alone = _medians(models, dense[:1], sparse[:1], clock)
    together = _medians(models, dense, sparse, clock)
    return [
        CpuLatency(one * 1e6, many * 1e6 / rows)  # s -> us
        for one, many in zip(alone, together, strict=True)
    ]


def _medians(
    models: Sequence[nn.Module], dense: Tensor, sparse: Tensor, clock: Clock
) -> list[float]:
    """The median time of one call of each model, s."""
    spent: list[list[float]] = [[] for _ in models]
    with _one_thread(), torch.inference_mode():
        for turn in range(WARM_UP + REPEATS):
            for model, times in zip(models, spent, strict=True):
                before = clock()
                model(dense, sparse)
                after = clock()
                if turn >= WARM_UP:
                    times.append(after - before)
    return [median(times) for times in spent]


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
