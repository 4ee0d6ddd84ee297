"""Log loss and AUC of a model on a split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from nasrec_opt._weights import mean_of
from nasrec_opt.data import Split, evenly_spaced
from nasrec_opt.supernet import batch_tensors

CHUNK_ROWS = 1024  # rows that stay in the processor's cache


def predict(
    model: nn.Module, split: Split, rows: int | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Compute the logits of a model on a split, and return the labels with them.

    Args:
        model: A subnet, or an ensemble of them.
        split: The rows.
        rows: Number of rows, evenly spread, or None for all of them.

    Returns:
        Logits and labels, `[rows]` each.
    """
    index = evenly_spaced(split.num_rows, rows)
    device = next(model.parameters()).device
    logits, labels = [], []
    with torch.inference_mode():
        for start in range(0, len(index), CHUNK_ROWS):
            batch = split.rows(index[start : start + CHUNK_ROWS])
            dense, sparse, *_ = batch_tensors(batch, device)
            logits.append(model(dense, sparse).cpu().numpy())
            labels.append(batch.labels)
    return np.concatenate(logits), np.concatenate(labels)


def log_loss(
    logits: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float:
    """Compute the mean log loss of logits.

    Args:
        logits: Log odds of a click, `[rows]`.
        labels: 0 or 1, `[rows]`.
        weights: Of the rows, `[rows]`, or None where each counts once.

    Returns:
        Mean log loss, nats.

    Raises:
        DataError: No weight is above 0.
    """
    return mean_of(log_losses(logits, labels), weights)


def log_losses(logits: npt.ArrayLike, labels: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Compute the log loss of each row without forming a probability of 0 or 1.

    Args:
        logits: Log odds of a click, `[rows]`.
        labels: 0 or 1, `[rows]`.

    Returns:
        Log losses in nats, `[rows]`.
    """
    losses = nn.functional.binary_cross_entropy_with_logits(
        torch.as_tensor(np.asarray(logits, np.float64)),
        torch.as_tensor(np.asarray(labels, np.float64)),
        reduction="none",
    )
    return losses.numpy()


def auc(
    logits: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float | None:
    """Compute the area under the ROC curve.

    Args:
        logits: Log odds of a click, or any increasing function of them, `[rows]`.
        labels: 0 or 1, `[rows]`.
        weights: Of the rows, `[rows]`, or None where each counts once.

    Returns:
        0 to 1, or None if all labels of a weight above 0 are equal, where it is not defined.
    """
    labels = np.asarray(labels)
    counted = labels if weights is None else labels[np.asarray(weights) > 0]
    if not len(counted) or counted.min() == counted.max():
        return None
    return float(roc_auc_score(labels, np.asarray(logits), sample_weight=weights))
