"""Final layers fitted on validation rows by folds: each predicts rows that it has not seen.

A supernet has memorised part of its training rows: embeddings of rare values hold the labels of the
few rows that have them, and larger models have memorised more. A final layer fitted on such rows
relies on features that are worth less on other rows, which costs larger models more than smaller
ones (docs/ranking.md). No model has memorised validation rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasrec_opt.oracle._last_layer import FitResult, fit_newton

FOLDS = 4


def folds_of(num_rows: int, positions: npt.NDArray[np.int64] | None = None) -> list[slice]:
    """Rows of each fold; folds are of neighbouring rows.

    Args:
        num_rows: Number of rows of all folds together.
        positions: Numbers of the rows to use, ascending; None means all of them.

    Returns:
        For each fold the slice of its rows among those used, `[folds]`; it may be empty.
    """
    positions = np.arange(num_rows) if positions is None else positions
    ends = [-(-fold * num_rows // FOLDS) for fold in range(FOLDS + 1)]
    cuts = np.searchsorted(positions, ends).tolist()
    return [slice(first, last) for first, last in pairwise(cuts)]


@torch.no_grad()
def fit_folds(
    features: Tensor,
    labels: Tensor,
    weight: Tensor,
    bias: Tensor,
    row_weights: Tensor | None = None,
    *,
    folds: Sequence[slice],
) -> list[FitResult]:
    """Fit a final layer for each fold, by Newton's method, on the rows of the other folds.

    If no other fold has rows, the given layer stays.

    Args:
        features: `[rows, width]`.
        labels: 0 or 1, `[rows]`.
        weight: Where to start, `[width]`.
        bias: Where to start, `[1]`.
        row_weights: Of the rows, `[rows]`, or None where each counts once.
        folds: As `folds_of` returns them.
    """
    fitted = []
    for own in folds:
        kept = torch.ones(len(labels), dtype=torch.bool, device=labels.device)
        kept[own] = False
        if bool(kept.any()):
            of_rows = None if row_weights is None else row_weights[kept]
            fitted.append(
                fit_newton(features[kept], labels[kept], weight, bias, row_weights=of_rows)
            )
        else:
            fitted.append(FitResult(weight, bias, 0.0))
    return fitted
