"""Several models trained at once, each in a process of its own.

A training leaves its results in its folder, and a later call for the same training reads them. So
other processes train ahead what a run needs next, while the run itself goes through its models one
after another as if it were alone. Its results do not depend on the number of processes. A product
in a training step is too small for a second thread to help, so every further core trains a further
model.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, takewhile
from pathlib import Path

from nasrec_opt.data import Dataset
from nasrec_opt.distributed import Note, RayPool, WorkerDiedError, WorkerPool
from nasrec_opt.errors import StudyError
from nasrec_opt.ladder import rung_epochs
from nasrec_opt.pipeline._search import Progress
from nasrec_opt.pipeline._workers import default_trainers
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

TELL_S = 0.5  # between two reports

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


def train_ahead(
    jobs: Sequence[Job],
    dataset: Dataset,
    workers: int | None,
    progress: Progress,
    *,
    ray: str | None = None,
) -> None:
    """Train models in processes of their own; a single model is left to the caller.

    A training that fails here fails again in the caller, which then reports the reason. So does one
    whose process dies: the caller trains that model instead.

    Args:
        jobs: The trainings, of different models.
        dataset: The log that they learn.
        workers: Maximum number of processes; None for `default_trainers`, or for as many as a
            cluster has cores.
        progress: Called with (steps done, steps at most), all trainings together.
        ray: Address of the Ray cluster that has the processes, or None for this machine. Dataset
            and folders must have the same paths on all of its machines.
    """
    jobs = [job for job in jobs if not job.is_done(dataset)]
    usual = default_trainers(dataset) if ray is None else len(jobs)
    number_of = min(workers or usual, len(jobs))
    if number_of < 2:
        return
    told, steps = [(0, 0)] * len(jobs), [(0, 0)] * len(jobs)
    with _pool(dataset, number_of, ray) as pool:

        def noted(place: int, done: int, of: int) -> None:
            steps[place] = (done, of)

        futures = {
            pool.submit(replace(job, folder=job.folder.absolute()), partial(noted, place))
            for place, job in enumerate(jobs)
        }
        while futures:
            ended, futures = wait(futures, timeout=TELL_S, return_when=FIRST_COMPLETED)
            for future in ended:
                _warn(future.exception())
            if steps != told:
                told = list(steps)
                progress(sum(done for done, _ in told), sum(of for _, of in told))


def _pool(dataset: Dataset, workers: int, ray: str | None) -> WorkerPool | RayPool:
    if ray is None:
        return WorkerPool(partial(_train, dataset), workers, attempts=1)
    there = copy(dataset)
    there.path = dataset.path.absolute()
    return RayPool(partial(_train, there), workers, ray)


def _warn(error: BaseException | None) -> None:
    """Say why the caller trains a model, unless it will say so itself."""
    if isinstance(error, WorkerDiedError):
        logger.warning("a training process ended unexpectedly")
    elif error is not None and not isinstance(error, StudyError):
        logger.warning("a training process failed: %s: %s", type(error).__name__, error)


def _train(dataset: Dataset, job: Job, note: Note) -> None:
    """What a worker does."""
    last = 0.0

    def progress(done: int, of: int | None) -> None:
        nonlocal last
        if time.monotonic() - last > TELL_S:
            last = time.monotonic()
            note(done, of or 0)

    job.run(dataset, progress)
