"""Final layers fitted on validation rows by folds: each predicts the rows that it has not seen.

What a supernet says of its training rows it says partly from memory: the embeddings of rare values
hold the labels of the few rows that have them, and larger models have memorised more. A final layer
that is fitted on such rows trusts features that are worth less on other rows, and that costs larger
models more than smaller ones (docs/ranking.md). Validation rows are in no model's memory.
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
        num_rows: Of all folds together.
        positions: Which of these rows are meant, ascending; None means all of them.

    Returns:
        Where the rows of each fold are among those meant, `[folds]`; a slice may be empty.
    """
    positions = np.arange(num_rows) if positions is None else positions
    ends = [-(-fold * num_rows // FOLDS) for fold in range(FOLDS + 1)]
    cuts = np.searchsorted(positions, ends).tolist()
    return [slice(first, last) for first, last in pairwise(cuts)]


@torch.no_grad()
def fit_folds(
    features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, *, folds: Sequence[slice]
) -> list[FitResult]:
    """A final layer for each fold, fitted by Newton's method on the rows of the other folds.

    Where no other fold has rows, the given layer stays.

    Args:
        features: `[rows, width]`.
        labels: 0 or 1, `[rows]`.
        weight: Where to start, `[width]`.
        bias: Where to start, `[1]`.
        folds: As `folds_of` returns them.
    """
    fitted = []
    for own in folds:
        kept = torch.ones(len(labels), dtype=torch.bool, device=labels.device)
        kept[own] = False
        if bool(kept.any()):
            fitted.append(fit_newton(features[kept], labels[kept], weight, bias))
        else:
            fitted.append(FitResult(weight, bias, 0.0))
    return fitted
