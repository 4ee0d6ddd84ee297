"""The training of a hand-made model: validation rows decide when it ends.

Unlike `fit` of the libraries, training stops where validation no longer falls, and keeps the best
weights.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nasrec_opt._weights import relative_to
from nasrec_opt.baselines._network import Network
from nasrec_opt.baselines._options import BaselineOptions
from nasrec_opt.baselines._registry import Build
from nasrec_opt.data import Batch, Dataset, Split, evenly_spaced
from nasrec_opt.errors import StudyError
from nasrec_opt.retrain import VALIDATION_PASS

EPOCHS = 20
SCORINGS = 4  # of validation rows, an epoch
PATIENCE = 6  # scorings without a gain, after which training stops
CHOICE_ROWS = 200_000  # validation rows that decide while training, as in our own retraining
CHUNK_ROWS = 8192
LEAST = 1e-7  # probabilities are held this far from 0 and 1, which float32 sigmoids reach

Report = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """A trained network.

    Args:
        network: The network, with the weights that were best on validation rows.
        dataset: The log that it was trained on.
        options: Its hyperparameters.
        seed: Seed of the order of the rows.
        moments: Adam's state at the step of those weights.
    """

    network: Network
    dataset: Dataset
    options: BaselineOptions
    seed: int
    moments: dict[str, Any]

    def learn_validation(self) -> None:
        """Let the weights learn the validation rows as well, in one pass, as our own models do.

        Training continues from the step at which the weights were kept. From then on, validation
        rows can choose nothing more.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            adam = _adam(self.network, self.options)
            adam.load_state_dict(self.moments)
            split, mean = self.dataset.split("validation"), self.dataset.split("train").mean_weight
            batches = _batches(split, self.options, self.seed, VALIDATION_PASS)
            for batch in relative_to(mean, batches):
                _step(self.network, adam, batch)
        self.network.module.eval()

    def click_probabilities(self, split: str, rows: int | None = None) -> npt.NDArray[np.float64]:
        """Predict rows of a split.

        Args:
            split: `train`, `validation` or `test`.
            rows: Number of rows, evenly spread, or None for all of them.

        Returns:
            Probability of a click, at least 1e-7 away from 0 and 1, `[rows]`.
        """
        found = list(_answers(self.network, self.dataset.split(split), rows))
        chances = np.concatenate([chances for chances, _ in found])
        return np.asarray(np.clip(chances, LEAST, 1 - LEAST))

    def log_loss(self, split: str) -> float:
        """Score a split.

        Args:
            split: `train`, `validation` or `test`.

        Returns:
            Mean log loss on its rows, nats; infinite where it is no number.
        """
        return log_loss(self.network, self.dataset.split(split))


def fit(
    build: Build,
    options: BaselineOptions,
    dataset: Dataset,
    seed: int,
    *,
    progress: Callable[[], None] | None = None,
    report: Report | None = None,
) -> FittedNetwork:
    """Train one network; test rows are not read.

    Batches are those of our own training with the same seed and batch size.

    Args:
        build: Makes the network, as `BaselineSpec.build`.
        options: Its hyperparameters.
        dataset: The log, opened as the model is to read it.
        seed: Seed of the weights and of the order of the rows.
        progress: Called after every step; may raise to end the training.
        report: Called with (scoring, validation log loss) at each scoring while training; may raise
            to end the training.

    Returns:
        The network with the weights that were best on validation rows.

    Raises:
        MissingExtraError: The library of the model is not installed.
        StudyError: Training came to no finite log loss.
    """
    with torch.random.fork_rng(devices=[]):  # the libraries draw from torch's own stream
        network = build(dataset.features, options, seed)
        best, moments = _best_weights(network, options, dataset, seed, progress, report)
    if not best:
        raise StudyError(
            f"{type(network.module).__name__}: expected a finite validation log loss, got none"
        )
    network.module.load_state_dict(best)
    network.module.eval()
    return FittedNetwork(network, dataset, options, seed, moments)


def _best_weights(
    network: Network,
    options: BaselineOptions,
    dataset: Dataset,
    seed: int,
    progress: Callable[[], None] | None,
    report: Report | None,
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The weights at the best scoring, and Adam's state; empty if no score was finite."""
    validation, adam = dataset.split("validation"), _adam(network, options)
    best, weights, moments, waited = math.inf, {}, {}, 0
    scorings = _scorings(network, adam, options, dataset, seed, progress)
    for number, _ in enumerate(scorings, start=1):
        value = log_loss(network, validation, CHOICE_ROWS)
        waited += 1
        if value < best:
            best, weights, waited = value, copy.deepcopy(network.module.state_dict()), 0
            moments = copy.deepcopy(adam.state_dict())
        if report:
            report(number, value)
        if waited == PATIENCE:
            break
    return weights, moments


def _scorings(
    network: Network,
    adam: torch.optim.Adam,
    options: BaselineOptions,
    dataset: Dataset,
    seed: int,
    progress: Callable[[], None] | None,
) -> Iterator[None]:
    """Train; a pause for each scoring."""
    split = dataset.split("train")
    steps = max(1, split.num_rows // options.batch_size)
    pauses = {round(steps * (i + 1) / SCORINGS) for i in range(SCORINGS)} - {0}
    for epoch in range(EPOCHS):
        batches = relative_to(split.mean_weight, _batches(split, options, seed, epoch))
        for step, batch in enumerate(batches, start=1):
            _step(network, adam, batch)
            if progress:
                progress()
            if step in pauses:
                yield


def _adam(network: Network, options: BaselineOptions) -> torch.optim.Adam:
    return torch.optim.Adam(network.module.parameters(), options.learning_rate)


def _batches(split: Split, options: BaselineOptions, seed: int, epoch: int) -> Iterable[Batch]:
    order = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    drop = split.num_rows >= options.batch_size
    return split.batches(options.batch_size, seed=order, drop_last=drop)


def _step(network: Network, adam: torch.optim.Adam, batch: Batch) -> None:
    network.module.train()
    adam.zero_grad()
    network.loss(batch).backward()
    adam.step()


def log_loss(network: Network, split: Split, rows: int | None = None) -> float:
    """Score a network on rows of a split.

    Args:
        network: The network.
        split: The rows.
        rows: Number of rows, evenly spread, or None for all of them.

    Returns:
        Mean log loss, nats; infinite where it is no number.
    """
    total, count = 0.0, 0.0
    for chances, batch in _answers(network, split, rows):
        right = np.where(batch.labels == 1, chances, 1 - chances)
        losses = -np.log(np.clip(right, LEAST, 1))
        total += losses.sum() if batch.weights is None else losses @ batch.weights
        count += len(losses) if batch.weights is None else batch.weights.sum(dtype=np.float64)
    value = float(total / count) if count else math.inf
    return value if math.isfinite(value) else math.inf


def _answers(
    network: Network, split: Split, rows: int | None = None
) -> Iterator[tuple[npt.NDArray[np.float64], Batch]]:
    """Probabilities and the rows that they are of, a chunk at a time."""
    index = evenly_spaced(split.num_rows, rows)
    network.module.eval()
    for start in range(0, len(index), CHUNK_ROWS):
        batch = split.rows(index[start : start + CHUNK_ROWS])
        yield network.click_probabilities(batch), batch
