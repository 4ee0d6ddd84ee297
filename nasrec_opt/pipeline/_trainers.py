"""Several models trained at once, each in a process of its own.

A training leaves its results in its folder, and a later call for the same training reads them. So
other processes train ahead what a run needs next, while the run itself goes through its models one
after another as if it were alone. Its results do not depend on the number of processes. A product
in a training step is too small for a second thread to help, so every further core trains a further
model.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import torch

from nasrec_opt._recipe import SMALL_LOG
from nasrec_opt.data import Dataset
from nasrec_opt.ladder import rung_epochs
from nasrec_opt.pipeline._search import Progress
from nasrec_opt.retrain import (
    PartialModel,
    RetrainConfig,
    RetrainedModel,
    has_early,
    has_result,
    retrain,
    retrain_early,
    train_epochs,
)
from nasrec_opt.space import Genotype

MOST = 8  # processes; each holds a model, its table and a part of the log
LIBRARIES = 700 << 20  # bytes of a process with a small model; measured
PROCESS = "nasrec_opt.pipeline._trainer_process"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A training.

    Args:
        genotype: The architecture.
        folder: The model's folder.
        config: How it is trained, with its seed.
        epochs: As for `train_epochs`; None for the finished model.
        first: Epochs of the ladder's first rung, if the results at its rungs are kept on the way to
            the finished model; None if they are not wanted.
        early: As `epochs` of `retrain_early`, whose model is wanted; None for another result.
    """

    genotype: Genotype
    folder: Path
    config: RetrainConfig
    epochs: float | None = None
    first: float | None = None
    early: float | None = None

    def run(self, dataset: Dataset, progress: Progress | None = None) -> None:
        """Train it here.

        Raises:
            StudyError: Training failed.
        """

        def train(epochs: float) -> PartialModel:
            return train_epochs(
                self.genotype, dataset, self.folder, self.config, epochs=epochs, progress=progress
            )

        if self.epochs is not None:
            train(self.epochs)
            return
        if self.first is not None:
            rungs: Iterator[float] = (rung_epochs(number, self.first) for number in count())
            if self.early is not None:
                rungs = takewhile(self.early.__ge__, rungs)
            any(train(rung).is_over for rung in rungs)
        self.model(dataset, progress)

    def model(self, dataset: Dataset, progress: Progress | None = None) -> RetrainedModel:
        """Its model, the early one if that is wanted; read if it is in the folder.

        Raises:
            StudyError: Training failed.
        """
        what = (self.genotype, dataset, self.folder, self.config)
        if self.early is not None:
            return retrain_early(*what, epochs=self.early, progress=progress)
        return retrain(*what, progress=progress)

    def is_done(self, dataset: Dataset) -> bool:
        """Whether its folder has the result."""
        if self.early is not None:
            return has_early(self.genotype, dataset, self.folder, self.config, self.early)
        return has_result(self.genotype, dataset, self.folder, self.config, epochs=self.epochs)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {
            "genotype": self.genotype.to_dict(),
            "folder": str(self.folder),
            "config": dataclasses.asdict(self.config),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Job:
        """Inverse of `to_dict`."""
        config = dict(values["config"])
        config["learning_rates"] = tuple(config["learning_rates"])
        return cls(
            **{
                **values,
                "genotype": Genotype.from_dict(values["genotype"]),
                "folder": Path(values["folder"]),
                "config": RetrainConfig(**config),
            }
        )


def train_ahead(
    jobs: Sequence[Job], dataset: Dataset, workers: int | None, progress: Progress
) -> None:
    """Train models in processes of their own; a single model is left to the caller.

    A training that fails here fails again in the caller, which then reports the reason.

    Args:
        jobs: The trainings, of different models.
        dataset: The log that they learn.
        workers: Maximum number of processes; None for `default_workers`.
        progress: Called with (steps done, steps at most), all trainings together.
    """
    jobs = [job for job in jobs if not job.is_done(dataset)]
    number_of = min(workers or default_workers(dataset), len(jobs))
    if number_of < 2:
        return
    waiting, steps = list(reversed(list(enumerate(jobs)))), [(0, 0)] * len(jobs)
    with _processes(number_of) as processes, selectors.DefaultSelector() as selector:
        for process in processes:
            worker = _Worker(process, dataset)
            selector.register(worker.output, selectors.EVENT_READ, worker)
            worker.give(*waiting.pop())
        while selector.get_map():
            for key, _ in selector.select():
                worker = key.data
                for told in worker.read():
                    if "done" in told:
                        steps[worker.place] = (told["done"], told["of"])
                        progress(sum(done for done, _ in steps), sum(of for _, of in steps))
                    elif waiting:
                        worker.give(*waiting.pop())
                    else:
                        worker.dismiss()
                if worker.is_gone:
                    selector.unregister(worker.output)


class _Worker:
    """The run's end of a process that trains.

    Args:
        process: Runs `_trainer_process`.
        dataset: The log that it learns.
    """

    def __init__(self, process: subprocess.Popen[bytes], dataset: Dataset) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self.output = process.stdin, process.stdout
        self._log = {"dataset": str(dataset.path), "view": dataset.view}
        self._rest = b""
        self._is_dismissed = False
        self.place = 0  # of the job that it has
        self.is_gone = False

    def give(self, place: int, job: Job) -> None:
        """Give it a job."""
        self.place = place
        with suppress(BrokenPipeError):  # the process has ended, which its output will show
            self._input.write(json.dumps(self._log | {"job": job.to_dict()}).encode() + b"\n")
            self._input.flush()

    def dismiss(self) -> None:
        """Tell it that there is nothing more to do."""
        self._is_dismissed = True
        with suppress(BrokenPipeError):
            self._input.close()

    def read(self) -> list[dict[str, Any]]:
        """Read its new output; sets `is_gone` at the end of it."""
        # Not by lines: a line in a read-ahead buffer would not wake `select`.
        read = os.read(self.output.fileno(), 1 << 16)
        *lines, self._rest = (self._rest + read).split(b"\n")
        self.is_gone = not read
        if self.is_gone and not self._is_dismissed:
            # The caller trains its model instead.
            logger.warning("a training process ended unexpectedly")
        return [json.loads(line) for line in lines]


def default_workers(dataset: Dataset) -> int:
    """As many processes as this process has cores, at most 8.

    Fewer if half of the memory does not hold them. One if there is a GPU, which they would share,
    or if the log is so short that a model trains as fast as a process starts.

    Args:
        dataset: What is learnt.
    """
    if torch.cuda.is_available() or dataset.split("train").num_rows < SMALL_LOG:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return max(1, min(MOST, cores, int(_memory() / 2 / _bytes_of_a_process(dataset))))


def _memory() -> float:
    """Bytes of the machine's memory; infinite if unknown."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def _bytes_of_a_process(dataset: Dataset) -> int:
    """Memory of a training: its table, the best one so far, a fresh one, libraries, batches."""
    features = dataset.features
    table = 4 * (features.embedding_dim + 1) * sum(features.cardinalities)
    return 3 * table + LIBRARIES


@contextmanager
def _processes(number_of: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that train jobs; they end with the block."""
    environment = os.environ | dict.fromkeys(THREADS, "1")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the run, which then ends them
        )
        for _ in range(number_of)
    ]
    try:
        yield processes
    except BaseException:
        for process in processes:
            process.kill()
        raise
    finally:
        for process in processes:
            process.__exit__(None, None, None)
