"""The published fine-tuning: the final layer alone, by 500 steps of Adagrad on fresh rows.

A step only needs the features of its own rows, so a fit over hundreds of thousands of rows holds
one batch at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nasrec_opt.options import AdagradFit
from nasrec_opt.oracle._last_layer import FitResult, relative
from nasrec_opt.supernet import clip_gradients, learning_rate_at


class AdagradSteps:
    """A final layer in training: its weights and Adagrad's state.

    Args:
        weight: Where to start, `[width]`; not changed.
        bias: Where to start, `[1]`; not changed.
        how: The options.
    """

    def __init__(self, weight: Tensor, bias: Tensor, how: AdagradFit) -> None:
        self.layer = [weight.detach().clone(), bias.detach().clone()]
        self._squares = [torch.zeros_like(value) for value in self.layer]
        self._how = how
        self._done = 0

    @torch.no_grad()
    def step(self, features: Tensor, labels: Tensor, row_weights: Tensor | None = None) -> None:
        """One step of binary cross entropy.

        Args:
            features: Input of the layer, `[batch, width]`.
            labels: 0 or 1, `[batch]`.
            row_weights: 1 in the mean over all rows, `[batch]`, or None where each counts once.
        """
        weight, bias = self.layer
        error = (torch.sigmoid(features @ weight + bias) - labels) / len(labels)  # [batch]
        if row_weights is not None:
            error = error * row_weights
        gradients = [features.t() @ error, error.sum().view(1)]
        clip_gradients(gradients, self._how.clip_norm)
        rate = learning_rate_at(self._done, self._how.steps, self._how)
        for value, squares, gradient in zip(self.layer, self._squares, gradients, strict=True):
            squares.addcmul_(gradient, gradient)
            value.addcdiv_(gradient, squares.sqrt().add_(self._how.epsilon), value=-rate)
        self._done += 1


def fit_adagrad(
    features: Tensor,
    labels: Tensor,
    weight: Tensor,
    bias: Tensor,
    how: AdagradFit | None = None,
    *,
    row_weights: Tensor | None = None,
) -> FitResult:
    """Fine-tune the final layer as the paper does, on features that are computed already.

    Args:
        features: Inputs of the final layer for all rows to draw from, `[rows, width]`.
        labels: 0 or 1, `[rows]`.
        weight: Initial weights, `[width]`.
        bias: Initial bias, `[1]`.
        how: The options, or None for the published ones.
        row_weights: Of the rows, `[rows]`, or None where each counts once.

    Returns:
        Fitted weight `[width]` and bias `[1]`.

    Raises:
        StudyError: There are no rows.
        DataError: No weight is above 0.
    """
    how = how or AdagradFit()
    labels = labels.to(features.dtype)
    of_rows = None if row_weights is None else relative(row_weights.to(features.dtype))
    steps = AdagradSteps(weight, bias, how)
    index = torch.from_numpy(how.rows(len(features))).to(features.device)
    for rows in index.split(how.batch_size):
        steps.step(features[rows], labels[rows], None if of_rows is None else of_rows[rows])
    fitted_weight, fitted_bias = steps.layer
    return FitResult(fitted_weight, fitted_bias, len(index) / len(features))
