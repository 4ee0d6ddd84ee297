"""Processes that `torchrun` starts: the first one runs the command, the others help it to train.

The first process sends a job for each training of a supernet. The others read no command line,
write no files, and end when the first one does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from nasrec_opt.errors import NasrecError, StudyError
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._folder import RunFolder

PATIENCE = timedelta(days=1)  # for which the first process may do other things


@contextmanager
def joined() -> Iterator[bool]:
    """Join the other processes.

    Yields:
        Whether this is the first one. When its block ends, the others end.
    """
    import torch
    from torch import distributed

    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "cpu:gloo,cuda:nccl" if has_gpu else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    is_first = distributed.get_rank() == 0
    try:
        yield is_first
    finally:
        if is_first:
            with suppress(RuntimeError):  # one that was lost needs no word
                _broadcast(None)
        distributed.destroy_process_group()


def help_to_train() -> int:
    """Take part in the trainings of the first process until it ends.

    Returns:
        The exit code.
    """
    try:
        while (job := _broadcast(None)) is not None:
            train(*job)
    except (RuntimeError, NasrecError) as error:
        print(f"nasrec-opt: process {os.environ['RANK']}: {_line(error)}", file=sys.stderr)
        return 2
    return 0


def train(config: StudyConfig, folder: RunFolder, progress: Any = None) -> Any:
    """Train the supernet of a run, with the other processes where there are some.

    Args:
        config: The study.
        folder: Its run folder, with a dataset, at the same path for all processes.
        progress: As for `train_supernet`.

    Returns:
        The `TrainResult`.

    Raises:
        StudyError: As for `train_supernet`; or another process was lost.
    """
    from torch import distributed

    from nasrec_opt.pipeline._context import dataset_of
    from nasrec_opt.supernet import Ranks, Supernet, best_device, train_supernet

    ranks = None
    if distributed.is_available() and distributed.is_initialized():
        if distributed.get_rank() == 0:
            _broadcast((config, folder))
        ranks = Ranks()
    options, dataset = replace(config.supernet, seed=config.seed), dataset_of(config, folder)
    supernet = Supernet(
        config.space.build(),
        dataset.features,
        seed=options.seed,
        max_table_rows=options.max_table_rows,
        initialization=options.initialization,
    ).to(best_device())
    try:
        return train_supernet(
            supernet, dataset, folder.supernet, options, progress=progress, ranks=ranks
        )
    except RuntimeError as error:
        if ranks is None:
            raise
        raise StudyError(
            f"torchrun: expected {ranks.count} processes to the end, lost one ({_line(error)}); "
            "run the same command again to continue"
        ) from error


def _broadcast(job: Any) -> Any:
    """The job of the first process."""
    from torch import distributed

    jobs = [job]
    distributed.broadcast_object_list(jobs, src=0)
    return jobs[0]


def _line(error: BaseException) -> str:
    """The first sentence of an error; gloo adds advice to its own."""
    return (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]
