"""How much faster several processes train one supernet.

    python -m benchmarks.ranks DATASET [--batch-size 2048]

One and two processes take turns at the same steps of NASRec-Small, with one thread each: seconds of
a step without the start of the processes, and the ratio. It needs as many idle cores as processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import distributed

from benchmarks._turns import compared
from nasrec_opt import SearchSpace
from nasrec_opt.data import Dataset
from nasrec_opt.options import TrainConfig
from nasrec_opt.supernet import (
    Ranks,
    SingleOperatorAnyConnection,
    SliceAdagrad,
    Supernet,
    batch_tensors,
    train_batches,
    train_step,
    trained_as,
)

SPACE = SearchSpace.nasrec_small()
STEPS_AT_ONCE = 10


def _work(
    folder: Path, store: str, rank: int, batch_size: int, rounds: int, found: list[list[float]]
) -> None:
    """Both sides in turn; the second process takes part in one of them."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    dataset, ranks = Dataset.open(folder), Ranks()
    supernet = Supernet(SPACE, dataset.features, seed=0)
    optimizer, strategy = SliceAdagrad(supernet), SingleOperatorAnyConnection(SPACE)
    steps = STEPS_AT_ONCE * (rounds + 1)  # the first round is for warming up
    config = TrainConfig(batch_size=batch_size, epochs=steps)
    batches = iter(train_batches(dataset.split("train"), config, steps))
    seconds: list[list[float]] = [[], []]
    for _ in range(rounds + 1):
        some = [next(batches) for _ in range(STEPS_AT_ONCE)]
        for together in (False, True):
            distributed.barrier()
            started = time.perf_counter()
            for number, batch in some if together or rank == 0 else ():
                genotype = strategy.sample(np.random.default_rng([0, number]), number / steps)
                train_step(
                    supernet,
                    optimizer,
                    batch_tensors(batch, torch.device("cpu")),
                    trained_as(genotype),
                    learning_rate=0.01,
                    ranks=ranks if together else None,
                )
            seconds[together].append((time.perf_counter() - started) / STEPS_AT_ONCE)
            distributed.barrier()
    if rank == 0:
        found.extend([side[1:] for side in seconds])


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path, help="prepared dataset")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, context.Manager() as manager:
        found = manager.list()
        given = (options.dataset, f"{folder}/store")
        processes = [
            context.Process(
                target=_work, args=(*given, rank, options.batch_size, options.rounds, found)
            )
            for rank in range(2)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        alone, both = found
    turns = compared(list(zip(both, alone, strict=True)))
    print(
        f"a step of {options.batch_size:,} rows: {turns.other * 1e3:.0f} ms in one process, "
        f"{turns.ours * 1e3:.0f} ms in two, ratio {turns.ratio:.2f} "
        f"({turns.low:.2f} to {turns.high:.2f})"
    )


if __name__ == "__main__":
    main()
