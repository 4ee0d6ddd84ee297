"""Training of the supernet: one subnet per step, exact after any interruption.

The rows and the subnet of a step follow from (seed, step). So a checkpoint is the weights, the
optimizer's state and the number of steps done. A killed training continues from the last one and
ends with the same weights: bit for bit on a CPU with the same number of threads, and up to rounding
on a GPU, which adds the gradients of repeated embeddings in any order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from nasrec_opt._weights import relative_to
from nasrec_opt.errors import StudyError
from nasrec_opt.options import Precision, TrainConfig
from nasrec_opt.space import Genotype
from nasrec_opt.supernet._checkpoint import Checkpoint
from nasrec_opt.supernet._network import Network
from nasrec_opt.supernet._optimizer import SliceAdagrad, gradient_of, learning_rate_at
from nasrec_opt.supernet._paths import PathSampling, make_path_sampling
from nasrec_opt.supernet._precision import choose_precision
from nasrec_opt.supernet._quantize import learns_in_floats, trained_as
from nasrec_opt.supernet._ranks import Ranks
from nasrec_opt.supernet._readers import LeafReader
from nasrec_opt.supernet._start import start_at_click_rate
from nasrec_opt.supernet._supernet import Supernet
from nasrec_opt.supernet._training_settings import training_settings

TRAINING = "training.json"
Number = TypeVar("Number", int, float)
Progress = Callable[[int, int | None], None]


class TrainRows(Protocol):
    """The training rows: `nasrec_opt.data.Split` is one.

    Rows with weights also have `weights`, `[rows]`, and `mean_weight`, and their batches are named
    tuples with `weights`.
    """

    @property
    def num_rows(self) -> int:
        """Number of rows."""

    @property
    def labels(self) -> npt.NDArray[Any]:
        """All labels, 0 or 1, `[rows]`."""

    def batches(
        self, batch_size: int, *, seed: int | None, start_step: int, drop_last: bool
    ) -> Iterable[Any]:
        """Batches with `dense`, `sparse`, `labels` as numpy arrays; the same for the same seed."""


class TrainData(Protocol):
    """A dataset: `nasrec_opt.data.Dataset` is one."""

    @property
    def fingerprint(self) -> str:
        """Identity of the prepared rows, which a training continues with alone."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def view(self) -> Mapping[str, Any]:
        """Options that the dataset was opened with; stored, so that it can be opened again."""

    def split(self, name: str) -> TrainRows:
        """The rows of a split."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The result of a training.

    Args:
        steps: Number of steps of the whole training.
        train_log_loss: Mean training log loss over the last tenth of the steps of this process,
            nats.
        seconds: Wall time of this process, s.
    """

    steps: int
    train_log_loss: float
    seconds: float


def train_supernet(
    supernet: Supernet,
    dataset: TrainData,
    out_dir: Path | str,
    config: TrainConfig | None = None,
    progress: Progress | None = None,
    *,
    strategy: PathSampling | None = None,
    ranks: Ranks | None = None,
) -> TrainResult:
    """Train a supernet and save it.

    Args:
        supernet: The supernet; its weights are trained in place.
        dataset: Where the training rows come from.
        out_dir: Folder of the finished supernet, and of checkpoints until then. Training continues
            from a checkpoint of the same configuration; `precision = "auto"` must give the same
            precision as then.
        config: How it is trained, or None for the defaults; what is left open follows the number of
            training rows.
        progress: Called with (steps done, steps).
        strategy: A user's own path sampling, in place of the configuration's. A checkpoint states
            its class and, of a dataclass, its fields; another strategy does not continue it.
        ranks: Processes that train together, each with the same arguments; the first one writes the
            folder, which all must see. None means this one alone.

    Returns:
        Steps, final loss and seconds of the training.

    Raises:
        StudyError: The folder holds a checkpoint of another configuration, path sampling or
            supernet, or a damaged one; the supernet was made with another initialization; there
            are more processes than rows in a batch; or the loss is no longer a number.
        GenotypeError: `strategy` samples a genotype that the supernet has no weights for.
    """
    config = config or TrainConfig()
    _check_initialization(supernet, config)
    out_dir = Path(out_dir)
    started = time.perf_counter()
    rows = dataset.split("train")
    precision = choose_precision(
        config.precision,
        supernet.final.bias.device,
        is_quantized=not learns_in_floats(supernet.space),
    )
    if ranks is not None:
        precision = ranks.first(precision)  # machines may differ
    config = replace(config, precision=precision).for_rows(rows.num_rows)
    if ranks is not None and min(_given(config.batch_size), rows.num_rows) < ranks.count:
        raise StudyError(
            f"batch_size: expected a row for each of {ranks.count} processes, got "
            f"{min(_given(config.batch_size), rows.num_rows)}"
        )
    settings = training_settings(config, supernet, dataset.fingerprint, strategy)
    strategy = strategy or make_path_sampling(
        config.path_sampling,
        supernet.space,
        connections=config.connections,
        warmup_fraction=config.warmup_fraction,
    )
    optimizer = SliceAdagrad(supernet, row_prior=row_prior(config), options=config)
    training = _Training(supernet, optimizer, strategy, config, precision, rows, ranks)
    weights = getattr(rows, "weights", None)
    start_at_click_rate(supernet, rows.labels, weights)  # a checkpoint, if any, replaces it
    checkpoint = Checkpoint(out_dir, supernet, optimizer, settings)
    train_log_loss = training.run(checkpoint, progress)
    if training.writes:
        _save(supernet, dataset, out_dir, settings, train_log_loss)
    return TrainResult(training.steps, train_log_loss, time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class _Training:
    """The steps of a training; each follows from its number.

    Args:
        supernet: Is trained in place.
        optimizer: Of the supernet.
        strategy: Samples the subnet of a step.
        config: How it is trained, filled in by `TrainConfig.for_rows`.
        precision: Of the products in the blocks.
        rows: The training rows.
        ranks: Processes that train together, or None.
    """

    supernet: Supernet
    optimizer: SliceAdagrad
    strategy: PathSampling
    config: TrainConfig
    precision: Precision
    rows: TrainRows
    ranks: Ranks | None

    @property
    def writes(self) -> bool:
        """Whether this process writes files."""
        return self.ranks is None or self.ranks.number == 0

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return training_steps(self.rows.num_rows, self.config)

    def run(self, checkpoint: Checkpoint, progress: Progress | None) -> float:
        """Take the steps that a checkpoint lacks.

        Returns:
            Mean log loss of those in the last tenth of the training, nats; NaN without any.
        """
        steps, done = self.steps, checkpoint.take_up()
        losses: list[Tensor] = []
        saved = time.monotonic()
        for step, batch in train_batches(self.rows, self.config, steps, done):
            loss = self._step(step, steps, batch)
            if step >= steps * 0.9:
                losses.append(loss)
            done = step + 1
            if progress:
                progress(done, steps)
            is_due = time.monotonic() - saved > self.config.checkpoint_s and done < steps
            if is_due and self.writes:
                _check(loss, step)
                checkpoint.write(done)
                saved = time.monotonic()
        return float(torch.stack(losses).mean()) if losses else math.nan

    def _step(self, step: int, steps: int, batch: Any) -> Tensor:
        """Train the subnet of a step on its rows; their log loss."""
        progress = step / steps
        sampled = self.strategy.sample(np.random.default_rng([self.config.seed, step]), progress)
        self.supernet.check_genotype(sampled)  # before the genotype of a user's strategy is used
        rate, of_table = learning_rates_at(step, steps, self.config)
        device = self.supernet.final.bias.device
        return train_step(
            self.supernet,
            self.optimizer,
            batch_tensors(batch, device),
            trained_as(sampled),
            learning_rate=rate,
            embedding_rate=of_table,
            precision=self.precision,
            ranks=self.ranks,
        )


def _check_initialization(supernet: Supernet, config: TrainConfig) -> None:
    if config.initialization != supernet.initialization:
        raise StudyError(
            f"initialization: expected a supernet made with {config.initialization!r}, as in the "
            f"configuration, got one made with {supernet.initialization!r}"
        )


def training_steps(num_rows: int, config: TrainConfig) -> int:
    """Count the steps of the whole training.

    Args:
        num_rows: Number of training rows. An epoch leaves out those that do not fill a batch.
        config: How the supernet is trained.

    Returns:
        Number of steps.
    """
    config = config.for_rows(num_rows)
    return max(1, num_rows // _given(config.batch_size)) * _given(config.epochs)


def train_step(
    network: Network,
    optimizer: SliceAdagrad,
    batch: list[Tensor],
    genotype: Genotype,
    *,
    learning_rate: float,
    embedding_rate: float | None = None,
    precision: Precision = "float32",
    ranks: Ranks | None = None,
) -> Tensor:
    """Train one step of one subnet; only its slices and the batch's embeddings change.

    Args:
        network: A supernet or a subnet.
        optimizer: Of that network.
        batch: Dense `[batch, num_dense]`, sparse `[batch, num_sparse]`, labels `[batch]`, and where
            rows have weights, these relative to the mean weight of the training rows, `[batch]`.
        genotype: Which subnet.
        learning_rate: Adagrad's.
        embedding_rate: That of the embedding table and of first-order weights; None means the same.
        precision: Of the products in the blocks, forward and backward.
        ranks: Processes that each get the whole batch and compute a part of it; None means this one
            alone.

    Returns:
        The batch's log loss, a scalar on the network's device; where rows have weights, the mean of
        losses times weights.

    Raises:
        GenotypeError: The network has no weights for the genotype.
    """
    network.check_genotype(genotype)
    num_rows = len(batch[2])
    dense, sparse, labels, *others = batch if ranks is None else ranks.part(batch)
    row_weights = others[0] if others else None
    rows = network.embedding.rows_of(sparse)
    with torch.no_grad():
        gathered = network.embedding(rows)
    gathered.requires_grad_()
    leaves = LeafReader()
    embedded = gathered.transpose(1, 2).contiguous()
    with torch.autocast(dense.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        activations = network.hidden(genotype, dense, embedded, leaves)
    # The final layer is outside: the eight bits of a bfloat16 are too few for a logit.
    weights = None
    if genotype.wide:
        weights = network.embedding.first_order_of(rows).detach().requires_grad_()
    logits = network.finish(genotype, activations, leaves, weights=weights)
    loss = functional.binary_cross_entropy_with_logits(logits, labels, row_weights)
    if ranks is not None:
        loss = loss * (len(labels) / num_rows)
    loss.backward()
    row_gradients, loss = gradient_of(gathered), loss.detach()
    first_order_gradients = None if weights is None else weights.grad
    if ranks is not None:
        used = [leaf.view.grad for leaf in leaves.used if leaf.view.grad is not None]
        ranks.add([loss, *used])
        rows, row_gradients = (ranks.gather(part, num_rows) for part in (rows, row_gradients))
        if first_order_gradients is not None:
            first_order_gradients = ranks.gather(first_order_gradients, num_rows)
    optimizer.step(
        leaves.used,
        learning_rate,
        rows=rows,
        row_gradients=row_gradients,
        first_order_gradients=first_order_gradients,
        embedding_rate=embedding_rate,
    )
    return loss


def batch_tensors(batch: Any, device: torch.device) -> list[Tensor]:
    """Move a batch to a device, as `train_step` takes it.

    Args:
        batch: As `train_batches` gives it.
        device: The network's.

    Returns:
        Dense, sparse, labels, and weights where rows have some.
    """
    arrays = [batch.dense, batch.sparse, batch.labels]
    if getattr(batch, "weights", None) is not None:
        arrays.append(batch.weights)
    return [torch.from_numpy(array).to(device) for array in arrays]


def train_batches(
    rows: TrainRows, config: TrainConfig, steps: int, done: int = 0
) -> Iterator[tuple[int, Any]]:
    """Iterate over the training steps with their rows; each epoch has an order of its own.

    Args:
        rows: The training rows.
        config: How the supernet is trained.
        steps: Steps of the whole training.
        done: Steps that an earlier process has done.

    Yields:
        Number of the step, from `done`, and its batch, whose weights are relative to the mean
        weight of all training rows.

    Raises:
        StudyError: There are no rows.
        DataError: Rows have weights, and none is above 0.
    """
    if rows.num_rows < 1:
        raise StudyError("train: expected at least one training row, got none")
    batch_size = _given(config.for_rows(rows.num_rows).batch_size)
    per_epoch = max(1, rows.num_rows // batch_size)
    mean_weight = getattr(rows, "mean_weight", None)
    whole = rows.num_rows >= batch_size  # a log of less than a batch is one short batch
    while done < steps:
        epoch, start = divmod(done, per_epoch)
        seed = int(np.random.SeedSequence([config.seed, epoch]).generate_state(1)[0])
        batches = rows.batches(batch_size, seed=seed, start_step=start, drop_last=whole)
        for batch in islice(relative_to(mean_weight, batches), steps - done):
            yield done, batch
            done += 1


def learning_rates_at(step: int, steps: int, config: TrainConfig) -> tuple[float, float]:
    """Compute Adagrad's learning rates of a step.

    Args:
        step: Number of the step, from 0.
        steps: Steps of the whole training.
        config: How the supernet is trained, filled in by `TrainConfig.for_rows`.

    Returns:
        The rate of the weights, and that of the embedding table.
    """
    rate, of_table = learning_rate_at(step, steps, config), config.embedding_rate
    if of_table is None:
        return rate, rate
    return rate, of_table * rate / _given(config.learning_rate)


def row_prior(config: TrainConfig) -> float:
    """Compute the initial accumulators of the embedding table, whose gradients are means, not sums.

    Args:
        config: How the supernet is trained, filled in by `TrainConfig.for_rows`.

    Returns:
        The initial value, in squared gradients of the mean log loss of a batch.
    """
    return _given(config.embedding_prior) / _given(config.batch_size) ** 2


def _given(value: Number | None) -> Number:
    """A value that the log has filled in where its configuration left it open."""
    assert value is not None
    return value


def _check(loss: Tensor, step: int) -> None:
    if not torch.isfinite(loss):
        raise StudyError(f"step {step}: expected a finite training loss, got {float(loss)}")


def _save(
    supernet: Supernet,
    dataset: TrainData,
    out_dir: Path,
    settings: dict[str, Any],
    train_log_loss: float,
) -> None:
    """Save the finished supernet; one rename replaces the checkpoint."""
    if not all(bool(torch.isfinite(weight).all()) for weight in supernet.parameters()):
        raise StudyError(f"{out_dir}: expected finite weights after training, got NaN or infinity")
    source, base = Path(dataset.path).resolve(), out_dir.resolve()
    # Relative where both lie in one run folder, so that the folder can be moved as a whole.
    path = f"../{source.relative_to(base.parent)}" if source.is_relative_to(base.parent) else source
    training = {
        "settings": settings,
        "dataset": {
            "path": str(path),
            "fingerprint": dataset.fingerprint,
            "view": dict(dataset.view),
        },
        "train_log_loss": train_log_loss,
    }
    supernet.save(out_dir, training=training)
