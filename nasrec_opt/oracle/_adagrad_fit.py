"""The published fine-tuning: the final layer alone, by 500 steps of Adagrad on fresh rows.

A step needs the features of its own rows only, so that a fit over hundreds of thousands of rows
holds one batch of them at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasrec_opt._plain import put_plain
from nasrec_opt.errors import StudyError
from nasrec_opt.oracle._last_layer import FitResult
from nasrec_opt.supernet import AdagradOptions, clip_gradients, learning_rate_at


@dataclass(frozen=True, slots=True, kw_only=True)
class AdagradFit(AdagradOptions):
    """How Adagrad fits the final layer; the defaults are those of the published code.

    Every step has `batch_size` training rows that no step before had, drawn at random and the same
    for every genotype. A log with fewer than `steps * batch_size` training rows is read again from
    its beginning, in a new order, as often as needed.

    Args:
        learning_rate: Peak learning rate of Adagrad.
        epsilon: Added to the square root of an accumulator.
        clip_norm: Maximum L2 norm of the layer's gradient, or None for no clipping.
        rate_warmup_fraction: Share of the steps over which the rate rises linearly; half a cosine
            down to 0 follows.
        steps: Number of steps.
        batch_size: Rows of a step.
        seed: Seed of the order of rows.

    Raises:
        StudyError: An option is out of range.

    References:
        Zhang et al. 2023, NASRec, section 5.1; the values that the paper leaves out are those of
        its code (facebookresearch/NasRec, `eval_subnet_from_supernet.py`).
    """

    learning_rate: float = 0.04
    epsilon: float = 1e-2
    clip_norm: float | None = 5.0
    rate_warmup_fraction: float = 0.1
    steps: int = 500
    batch_size: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        put_plain(self)
        self.check_adagrad()
        for name, least in (("steps", 1), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise StudyError(f"{name}: expected {least} or more, got {getattr(self, name)}")

    def rows(self, num_rows: int) -> npt.NDArray[np.int64]:
        """Draw the rows of all steps.

        Args:
            num_rows: Number of rows to draw from.

        Returns:
            Row numbers in the order of the steps, `[steps * batch_size]`.

        Raises:
            StudyError: `num_rows` is 0.
        """
        if num_rows < 1:
            raise StudyError("last layer: expected rows to fit it on, got none")
        rng = np.random.default_rng([self.seed, 3])
        missing = self.steps * self.batch_size
        passes = []
        while missing > 0:
            count = min(missing, num_rows)
            passes.append(rng.choice(num_rows, count, replace=False))  # shuffled
            missing -= count
        return np.concatenate(passes)


class AdagradSteps:
    """A final layer on its way: its weights and Adagrad's state.

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
    def step(self, features: Tensor, labels: Tensor) -> None:
        """One step of binary cross entropy.

        Args:
            features: Input of the layer, `[batch, width]`.
            labels: 0 or 1, `[batch]`.
        """
        weight, bias = self.layer
        error = (torch.sigmoid(features @ weight + bias) - labels) / len(labels)  # [batch]
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
) -> FitResult:
    """Fine-tune the final layer as the paper does, on features that are computed already.

    Args:
        features: Inputs of the final layer for all rows to draw from, `[rows, width]`.
        labels: 0 or 1, `[rows]`.
        weight: Initial weights, `[width]`.
        bias: Initial bias, `[1]`.
        how: The options, or None for the published ones.

    Returns:
        Fitted weight `[width]` and bias `[1]`.

    Raises:
        StudyError: There are no rows.
    """
    how = how or AdagradFit()
    labels = labels.to(features.dtype)
    steps = AdagradSteps(weight, bias, how)
    index = torch.from_numpy(how.rows(len(features))).to(features.device)
    for rows in index.split(how.batch_size):
        steps.step(features[rows], labels[rows])
    return FitResult(*steps.layer, len(index) / len(features))
