"""Hand-made models of deepctr-torch: one of them trained with given hyperparameters.

A step is what `fit` of the package does. Unlike `fit`, training stops where validation no longer
falls, and keeps the best weights.
"""

from __future__ import annotations

import contextlib
import copy
import io
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from optuna.trial import BaseTrial
from torch import Tensor

from nasrec_opt.data import Batch, Dataset, Split, evenly_spaced
from nasrec_opt.errors import MissingExtraError, StudyError

FAMILIES = ("DeepFM", "WDL", "DCN", "xDeepFM", "AutoInt")
HIDDEN = {"64": (64,), "128-64": (128, 64), "256-128": (256, 128), "400-400-400": (400, 400, 400)}
EPOCHS = 20
SCORINGS = 4  # of validation rows, an epoch
PATIENCE = 6  # scorings without a gain, after which training stops
CHOICE_ROWS = 200_000  # validation rows that decide while training, as in our own retraining
CHUNK_ROWS = 8192
LEAST = 1e-7  # probabilities are held this far from 0 and 1, which float32 sigmoids reach

Report = Callable[[int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Hyperparameters; the defaults are the package's, with embeddings as wide as ours.

    Args:
        family: Of `FAMILIES`.
        hidden: Widths of the deep part, of `HIDDEN`.
        embedding_dim: Width of embeddings.
        learning_rate: Adam's.
        batch_size: Rows of a step.
        l2: On embeddings and first-order weights.
        dropout: In the deep part.
        min_count: Values that fewer training rows have share an id.
        binned_dense: Whether dense columns are read as binned sparse columns as well.
    """

    family: str = "DeepFM"
    hidden: str = "256-128"
    embedding_dim: int = 16
    learning_rate: float = 1e-3
    batch_size: int = 256
    l2: float = 1e-5
    dropout: float = 0.0
    min_count: int = 4
    binned_dense: bool = True

    @classmethod
    def suggest(cls, trial: BaseTrial, families: tuple[str, ...]) -> Options:
        """Ask a trial for all of them."""
        ask = trial.suggest_categorical
        return cls(
            family=ask("family", families) if len(families) > 1 else families[0],
            hidden=ask("hidden", tuple(HIDDEN)),
            embedding_dim=ask("embedding_dim", (4, 8, 16, 32)),
            learning_rate=trial.suggest_float("learning_rate", 2e-4, 1e-2, log=True),
            batch_size=ask("batch_size", (64, 128, 256, 512, 1024)),
            l2=trial.suggest_float("l2", 1e-7, 1e-1, log=True),
            dropout=trial.suggest_float("dropout", 0.0, 0.6),
            min_count=ask("min_count", (1, 2, 4, 10)),
            binned_dense=ask("binned_dense", (True, False)),
        )


def load_package() -> Any:
    """The models of deepctr-torch.

    Raises:
        MissingExtraError: The package is not installed.
    """
    before = set(threading.enumerate())
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import deepctr_torch.models

            # Importing it asks PyPI for its latest version, in a thread, and prints what comes.
            for thread in set(threading.enumerate()) - before:
                thread.join(timeout=10)
    except ImportError as error:
        raise MissingExtraError("deepctr-torch", "bench") from error
    return deepctr_torch.models


def train(
    options: Options, dataset: Dataset, seed: int, *, progress: Callable[[], None], report: Report
) -> tuple[float, float]:
    """Train one model.

    Args:
        options: Which, and how.
        dataset: The log; test rows are read once, at the end.
        seed: Of weights and the order of rows.
        progress: Called after every step.
        report: Called with (scoring, validation log loss) at each scoring while training.

    Returns:
        Log loss on validation and on test rows, of the weights that were best on validation.

    Raises:
        StudyError: Training came to no finite log loss.
    """
    dataset = Dataset.open(
        dataset.path, min_count=options.min_count, binned_dense=options.binned_dense
    )
    model = build(options, dataset, seed)
    validation = dataset.split("validation")
    best, weights, waited = math.inf, {}, 0
    for number, _ in enumerate(_scorings(model, options, dataset, seed, progress), start=1):
        value = log_loss(model, validation, CHOICE_ROWS)
        waited += 1
        if value < best:
            best, weights, waited = value, copy.deepcopy(model.state_dict()), 0
        report(number, value)
        if waited == PATIENCE:
            break
    if not weights:
        raise StudyError(f"{options.family}: expected a finite validation log loss, got none")
    model.load_state_dict(weights)
    return log_loss(model, validation), log_loss(model, dataset.split("test"))


def build(options: Options, dataset: Dataset, seed: int) -> Any:
    """A fresh model on the columns of a log."""
    models = load_package()
    from deepctr_torch.inputs import DenseFeat, SparseFeat

    features = dataset.features
    columns = [
        SparseFeat(f"C{number}", size, embedding_dim=options.embedding_dim)
        for number, size in enumerate(features.cardinalities)
    ]
    columns += [DenseFeat(f"I{number}", 1) for number in range(features.num_dense)]
    l2 = {"l2_reg_embedding": options.l2}
    if options.family != "AutoInt":  # whose first-order weights have no penalty
        l2["l2_reg_linear"] = options.l2
    model = getattr(models, options.family)(
        columns,
        columns,
        dnn_hidden_units=HIDDEN[options.hidden],
        dnn_dropout=options.dropout,
        seed=seed,
        device="cpu",
        **l2,
    )
    adam = torch.optim.Adam(model.parameters(), options.learning_rate)
    model.compile(adam, "binary_crossentropy")
    return model


def _scorings(
    model: Any, options: Options, dataset: Dataset, seed: int, progress: Callable[[], None]
) -> Iterator[None]:
    """Train; a pause for each scoring."""
    split = dataset.split("train")
    steps = max(1, split.num_rows // options.batch_size)
    pauses = {round(steps * (i + 1) / SCORINGS) for i in range(SCORINGS)} - {0}
    for epoch in range(EPOCHS):
        order = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
        drop = split.num_rows >= options.batch_size
        batches = split.batches(options.batch_size, seed=order, drop_last=drop)
        for step, batch in enumerate(batches, start=1):
            model.train()
            learn(model, batch)
            progress()
            if step in pauses:
                yield


def learn(model: Any, batch: Batch) -> None:
    """What `fit` of the package does with a batch."""
    predicted = model(joined(batch)).squeeze(-1)
    model.optim.zero_grad()
    loss = model.loss_func(predicted, torch.from_numpy(batch.labels), reduction="sum")
    (loss + model.get_regularization_loss() + model.aux_loss).backward()
    model.optim.step()


def joined(batch: Batch) -> Tensor:
    """A batch as the package takes it: ids, then dense features, float32 `[batch, columns]`."""
    return torch.from_numpy(np.concatenate([batch.sparse, batch.dense], axis=1, dtype=np.float32))


def log_loss(model: Any, split: Split, rows: int | None = None) -> float:
    """Mean log loss of a model on rows of a split; infinite where it is no number.

    Args:
        model: The model.
        split: The rows.
        rows: How many of them, evenly spread, or None for all.
    """
    index = evenly_spaced(split.num_rows, rows)
    total = 0.0
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(index), CHUNK_ROWS):
            batch = split.rows(index[start : start + CHUNK_ROWS])
            chances = model(joined(batch)).squeeze(-1).double().numpy()
            total += _losses(chances, batch.labels).sum()
    value = float(total / len(index))
    return value if math.isfinite(value) else math.inf


def _losses(
    chances: npt.NDArray[np.float64], labels: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    right = np.where(labels == 1, chances, 1 - chances)
    return np.asarray(-np.log(np.clip(right, LEAST, 1)))
