"""Start training at the click rate of the training rows, not at one half.

A model whose logit begins at 0 spends its first steps learning how rare clicks are. On a log with
few clicks it learns nothing else, and stays behind the constant click rate.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nasrec_opt._weights import mean_weight, unit_of
from nasrec_opt.supernet._network import Network


def log_odds(labels: npt.ArrayLike, weights: npt.NDArray[np.floating[Any]] | None = None) -> float:
    """Compute the logarithm of the odds of a click, which is finite even if a class is missing.

    Half a row of each class is added, so that a missing class does not make other answers
    infinitely wrong.

    Args:
        labels: 0 or 1, `[rows]`.
        weights: Of the rows, `[rows]`, or None where each counts once.

    Returns:
        Natural logarithm of the odds.

    Raises:
        DataError: No weight is above 0.

    Example:
        >>> log_odds([0, 0, 1, 1])
        0.0

    References:
        Haldane 1956; Anscombe 1956: the empirical logit.
    """
    given = np.asarray(labels)
    clicks, rows = float(given.sum(dtype=np.float64)), float(len(given))
    if weights is not None:
        mean = mean_weight(weights)
        clicks = float(weights[given > 0].sum(dtype=np.float64)) / unit_of(mean)
        rows *= mean / unit_of(mean)
    return math.log((clicks + 0.5) / (rows - clicks + 0.5))


def start_at_click_rate(
    network: Network,
    labels: npt.ArrayLike,
    weights: npt.NDArray[np.floating[Any]] | None = None,
) -> None:
    """Set the bias of the logit, so that an untrained model predicts the click rate.

    Args:
        network: A supernet or subnet, before its training.
        labels: Of the training rows, `[rows]`.
        weights: Of the training rows, `[rows]`, or None where each counts once.

    Raises:
        DataError: No weight is above 0.
    """
    with torch.no_grad():
        network.final.bias.fill_(log_odds(labels, weights))
