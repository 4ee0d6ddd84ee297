"""Baselines that a retrained model has to beat: the constant click rate and logistic regression.

Logistic regression is a strong baseline on click logs: every category of the training rows one-hot,
integers as categories floor(log(x + 1)^2) with one more for missing values, and an L2 penalty
chosen on validation rows. On small logs neural models find it hard to beat.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from nasrec_opt._weights import unit_of
from nasrec_opt.data import Batch, Dataset, Split, evenly_spaced
from nasrec_opt.retrain._metrics import auc, log_loss
from nasrec_opt.supernet import log_odds

Progress = Callable[[int, int | None], None]

# Inverse strength of the L2 penalty, scikit-learn's C, weakest model first.
PENALTIES = (0.003, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
LEAST_TRIED = 5
MAX_ROWS = 1_000_000  # training rows that scikit-learn is given at most: about 2 GB
CHOICE_ROWS = 200_000  # validation rows that choose the penalty at most
CHUNK_ROWS = 65_536  # rows that are answered, and one-hot, at a time


@dataclass(frozen=True, slots=True)
class Baseline:
    """The figures of a baseline.

    Args:
        test_log_loss: Log loss on all test rows, nats.
        test_auc: AUC on all test rows, or None if they are of one class.
        validation_log_loss: Log loss on all validation rows, nats.
        validation_logits: Logits of the validation rows, `[rows]`.
        test_logits: Logits of the test rows, `[rows]`.
    """

    test_log_loss: float
    test_auc: float | None
    validation_log_loss: float
    validation_logits: npt.NDArray[np.float32]
    test_logits: npt.NDArray[np.float32]

    def to_dict(self) -> dict[str, float | None]:
        """Convert the figures to JSON values, without the logits.

        Returns:
            `test_log_loss` and `validation_log_loss` in nats, and `test_auc`.
        """
        return {
            "test_log_loss": self.test_log_loss,
            "test_auc": self.test_auc,
            "validation_log_loss": self.validation_log_loss,
        }


@dataclass(frozen=True, slots=True)
class LogisticRegressionBaseline(Baseline):
    """A fitted logistic regression, scored.

    Args:
        penalty: The C that was chosen, scikit-learn's inverse strength of the L2 penalty.
        tried: Log loss by C on at most 200,000 validation rows, evenly spread; empty if all
            training rows are of one class, where only the constant click rate can be fitted.
        rows: Number of training rows it was fitted on.
        seconds: Wall time of the fits, s.
    """

    penalty: float
    tried: dict[float, float]
    rows: int
    seconds: float


def baselines(dataset: Dataset, progress: Progress | None = None) -> dict[str, Baseline]:
    """Fit and score the baselines, which need no neural network.

    Args:
        dataset: The log, opened in any way: the baselines read it with `min_count=1` and with
            binned dense columns.
        progress: Called with (fits done, maximum number of fits).

    Returns:
        `constant` (the click rate of the training rows) and `logistic_regression`.
    """
    return {
        "constant": constant(dataset),
        "logistic_regression": logistic_regression(dataset, progress),
    }


def constant(dataset: Dataset) -> Baseline:
    """Score a constant prediction: the click rate of the training rows.

    Args:
        dataset: The log.

    Returns:
        Log losses (nats), AUC and logits.
    """
    train = dataset.split("train")
    logit = log_odds(train.labels, train.weights)
    validation, test = (
        np.full(dataset.split(name).num_rows, logit, np.float32) for name in ("validation", "test")
    )
    return Baseline(**_scored(dataset, validation, test))


def constant_log_loss(dataset: Dataset) -> float:
    """Compute the log loss of the training rows' click rate on the test rows.

    Args:
        dataset: The log.

    Returns:
        Test log loss, nats.
    """
    return constant(dataset).test_log_loss


def logistic_regression(
    dataset: Dataset, progress: Progress | None = None, *, max_rows: int = MAX_ROWS, seed: int = 0
) -> LogisticRegressionBaseline:
    """Fit logistic regression, its L2 penalty chosen on validation rows.

    Penalties are tried from the strongest, each fit starting from the one before, until two in a
    row are worse than the best, and at least five of them.

    Args:
        dataset: The log, opened in any way.
        progress: Called with (fits done, maximum number of fits).
        max_rows: Training rows beyond this number are left out at random, since scikit-learn holds
            all of them in memory. On a longer log the baseline is fitted on a sample.
        seed: Seed of that sample.

    Returns:
        Its log losses (nats), AUC, logits, and the penalties that were tried.
    """
    started = time.perf_counter()
    if progress:
        progress(0, len(PENALTIES))
    dataset = Dataset.open(dataset.path, min_count=1, binned_dense=True)
    split = dataset.split("train")
    index: slice | npt.NDArray[np.int64] = slice(None)
    if split.num_rows > max_rows:
        drawn = np.random.default_rng(seed).choice(split.num_rows, max_rows, replace=False)
        index = np.sort(drawn)
    train = split.rows(index)
    counted = train.labels if train.weights is None else train.labels[train.weights > 0]
    if counted.min() == counted.max():
        return LogisticRegressionBaseline(
            **{f.name: getattr(constant(dataset), f.name) for f in fields(Baseline)},
            penalty=0.0,
            tried={},
            rows=len(train.labels),
            seconds=time.perf_counter() - started,
        )
    encoder = OneHot(train, dataset.features.cardinalities)
    held_out = dataset.split("validation")
    validation = held_out.rows(evenly_spaced(held_out.num_rows, CHOICE_ROWS))
    inputs, validation_inputs = encoder(train), encoder(validation)
    model = LogisticRegression(max_iter=1000, warm_start=True)
    tried: dict[float, float] = {}
    best = (np.inf, 0.0, np.empty(0), 0.0)
    for count, penalty in enumerate(_penalties(split.mean_weight), start=1):
        model.set_params(C=penalty).fit(inputs, train.labels, sample_weight=train.weights)
        answered = model.decision_function(validation_inputs)
        value = log_loss(answered, validation.labels, validation.weights)
        tried[penalty] = value
        if value < best[0]:
            best = (value, penalty, model.coef_.copy(), model.intercept_.copy())
        if progress:
            progress(count, len(PENALTIES))
        if count >= LEAST_TRIED and all(v > best[0] for v in list(tried.values())[-2:]):
            break
    _, penalty, model.coef_, model.intercept_ = best

    def answers(split: Split) -> npt.NDArray[np.float32]:
        starts = range(0, split.num_rows, CHUNK_ROWS)
        rows = (split.rows(slice(start, start + CHUNK_ROWS)) for start in starts)
        parts = [model.decision_function(encoder(batch)) for batch in rows]
        return np.concatenate(parts).astype(np.float32)

    return LogisticRegressionBaseline(
        **_scored(dataset, answers(held_out), answers(dataset.split("test"))),
        penalty=penalty,
        tried=tried,
        rows=len(train.labels),
        seconds=time.perf_counter() - started,
    )


def _penalties(mean_weight: float | None) -> list[float]:
    """`PENALTIES` for weights of this mean: C multiplies losses that are summed with weights."""
    return [
        penalty / (1.0 if mean_weight is None else unit_of(mean_weight)) for penalty in PENALTIES
    ]


def _scored(
    dataset: Dataset,
    validation_logits: npt.NDArray[np.float32],
    test_logits: npt.NDArray[np.float32],
) -> dict[str, Any]:
    """The fields of a `Baseline` that follow from its logits of validation and test rows."""
    validation, test = (
        (split.labels, split.weights) for split in map(dataset.split, ("validation", "test"))
    )
    return {
        "test_log_loss": log_loss(test_logits, *test),
        "test_auc": auc(test_logits, *test),
        "validation_log_loss": log_loss(validation_logits, *validation),
        "validation_logits": validation_logits,
        "test_logits": test_logits,
    }


class OneHot:
    """Rows as sparse one-hot vectors over the values of the training rows.

    Args:
        train: The training rows. Values that do not occur in them get no column, and are ignored.
        cardinalities: Vocabulary size of each sparse column.

    Attributes:
        values: The value of each column of the vectors, as its place in the concatenated
            vocabularies, ascending, `[values]`.
    """

    def __init__(self, train: Batch, cardinalities: tuple[int, ...]) -> None:
        self._offsets = np.concatenate([[0], np.cumsum(cardinalities)[:-1]])
        self.values = np.unique(train.sparse + self._offsets)

    def __call__(self, batch: Batch) -> csr_matrix:
        """Encode rows.

        Args:
            batch: Rows with the same sparse columns.

        Returns:
            One 1 for each known value of a row, `[rows, values]`.
        """
        values = (batch.sparse + self._offsets).ravel()
        columns = np.searchsorted(self.values, values)
        columns[columns == len(self.values)] = 0
        known = self.values[columns] == values
        rows = np.repeat(np.arange(len(batch.sparse)), batch.sparse.shape[1])
        shape = (len(batch.sparse), len(self.values))
        return csr_matrix((np.ones(known.sum()), (rows[known], columns[known])), shape=shape)
