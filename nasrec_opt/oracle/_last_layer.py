"""The final layer fitted again on features computed once: logistic regression, a convex problem.

The paper gives each candidate 500 steps of Adagrad on its last layer (section 5.1). The optimum
they walk towards is unique, and Newton's method reaches it in a few passes over the features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

MAX_NEWTON_STEPS, MAX_CONJUGATE_STEPS = 30, 50
MAX_HALVINGS = 8
MOST_CURVATURE = 0.25  # of the log loss, in the logit


@dataclass(frozen=True, slots=True)
class FitResult:
    """A fitted layer.

    Args:
        weight: `[width]`.
        bias: `[1]`.
        passes: Times that all features were read.
    """

    weight: Tensor
    bias: Tensor
    passes: float


def fit_newton(
    features: Tensor,
    labels: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    ridge: float = 1e-3,
    tolerance: float = 1e-5,
) -> FitResult:
    """Minimise mean log loss plus `ridge / 2` times the squared distance from the given weights.

    Newton steps whose linear systems are solved by preconditioned conjugate gradients, so that the
    features are read in matrix-vector products alone. The bias is not penalised.

    Args:
        features: `[rows, width]`.
        labels: 0 or 1, `[rows]`.
        weight: Where to start, and what the ridge pulls to, `[width]`.
        bias: Where to start, `[1]`.
        ridge: Strength of the pull.
        tolerance: Stop when a step promises to lower the objective by less, nats.
    """
    rows = len(features)
    labels = labels.to(features.dtype)
    change = torch.zeros(features.shape[1] + 1, dtype=features.dtype, device=features.device)
    penalty = torch.full_like(change, ridge)
    penalty[-1] = 0  # the bias stands last

    def apply(vector: Tensor) -> Tensor:  # [rows]
        return torch.addmv(vector[-1].expand(rows), features, vector[:-1])

    def transposed(values: Tensor) -> Tensor:  # [width + 1]
        return torch.cat([features.t() @ values, values.sum().view(1)]) / rows

    logits = features @ weight.to(features.dtype) + bias.to(features.dtype)
    objective = functional.binary_cross_entropy_with_logits(logits, labels)
    squares = _mean_squares(features)
    passes, is_cautious = 2.0, False
    for _ in range(MAX_NEWTON_STEPS):
        chance = torch.sigmoid(logits)
        gradient = transposed(chance - labels) + penalty * change
        curvature = chance * (1 - chance)  # [rows]
        if is_cautious:
            curvature = torch.full_like(chance, MOST_CURVATURE)
        diagonal = squares * curvature.mean() + penalty
        step, products = _conjugate_gradients(
            lambda vector, s=curvature: transposed(s * apply(vector)) + penalty * vector,
            gradient,
            diagonal.clamp_min(1e-6 * float(diagonal.max())),
        )
        moved = apply(step)
        passes += 2 + 2 * products
        promised = -0.5 * float(gradient @ step)
        scale, lowered = 1.0, False
        for _ in range(MAX_HALVINGS):
            tried = change + scale * step
            value = functional.binary_cross_entropy_with_logits(logits + scale * moved, labels)
            value = value + 0.5 * (penalty * tried * tried).sum()
            if float(value) <= float(objective):
                lowered = True
                break
            scale /= 2
        if lowered:
            change, logits, objective = tried, logits + scale * moved, value
        if (not lowered and is_cautious) or promised < tolerance:
            break
        # Where logits are saturated the curvature says little; its upper bound never overshoots.
        is_cautious = scale < 0.5
    return FitResult(weight + change[:-1], bias + change[-1:], passes)


def fit_adagrad(
    features: Tensor,
    labels: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    steps: int = 500,
    learning_rate: float = 0.04,
    batch_size: int = 512,
    seed: int = 0,
) -> FitResult:
    """The paper's fine-tuning of the last layer: Adagrad on random batches.

    Args:
        features: `[rows, width]`.
        labels: 0 or 1, `[rows]`.
        weight: Where to start, `[width]`.
        bias: Where to start, `[1]`.
        steps: Number of steps.
        learning_rate: Adagrad's.
        batch_size: Rows of a step.
        seed: Seed of the batches.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = len(features)
    labels = labels.to(features.dtype)
    weight, bias = weight.clone(), bias.clone()
    weight_sum, bias_sum = torch.zeros_like(weight), torch.zeros_like(bias)
    for _ in range(steps):
        index = torch.randint(rows, (batch_size,), generator=generator).to(features.device)
        batch = features[index]  # [batch, width]
        error = (torch.sigmoid(batch @ weight + bias) - labels[index]) / batch_size
        for value, total, gradient in (
            (weight, weight_sum, batch.t() @ error),
            (bias, bias_sum, error.sum().view(1)),
        ):
            total.addcmul_(gradient, gradient)
            value.addcdiv_(gradient, total.sqrt().add_(1e-10), value=-learning_rate)
    return FitResult(weight, bias, steps * batch_size / rows)


def _mean_squares(features: Tensor) -> Tensor:
    """Mean square of each feature and, last, of the constant: `[width + 1]`."""
    total = features.new_zeros(features.shape[1])
    for start in range(0, len(features), 1024):  # squares of a chunk stay in cache
        total += features[start : start + 1024].square().sum(0)
    return torch.cat([total / len(features), total.new_ones(1)])


def _conjugate_gradients(
    product: Callable[[Tensor], Tensor], gradient: Tensor, diagonal: Tensor
) -> tuple[Tensor, int]:
    """Solve `H step = -gradient` until the residual is a tenth; the step, and products formed."""
    step = torch.zeros_like(gradient)
    residual = -gradient
    scaled = residual / diagonal
    direction = scaled.clone()
    dot = float(residual @ scaled)
    enough = 0.01 * dot  # of the squared residual, in the norm of the preconditioner
    for number in range(1, MAX_CONJUGATE_STEPS + 1):
        image = product(direction)
        curvature = float(direction @ image)
        if curvature <= 0:
            return step, number
        length = dot / curvature
        step += length * direction
        residual = residual - length * image
        scaled = residual / diagonal
        following = float(residual @ scaled)
        if following <= enough:
            return step, number
        direction = scaled + (following / dot) * direction
        dot = following
    return step, MAX_CONJUGATE_STEPS
