"""Fits the final layer again on features computed once: logistic regression, a convex problem.

The paper trains the last layer of each candidate for 500 steps of Adagrad (section 5.1; see
`_adagrad_fit.py`). These steps approach a unique optimum, which Newton's method reaches in a few
passes over the features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nasrec_opt._weights import mean_weight

MAX_NEWTON_STEPS, MAX_CONJUGATE_STEPS, MAX_HALVINGS = 30, 50, 8
MAX_CALIBRATION_STEPS = 8
SLOW = 0.25  # of what the step before promised: the Hessian of few rows is too far from that of all
TINY = 1e-20  # its inverse is a number in float32, and so are products with that
HESSIAN_ROWS = 512  # of the 8,192 of a fit: they fit a cache, and steps lead as far as with all


@dataclass(frozen=True, slots=True)
class FitResult:
    """A fitted layer.

    Args:
        weight: `[width]`.
        bias: `[1]`.
        passes: Number of times that all features were read from memory.
    """

    weight: Tensor
    bias: Tensor
    passes: float


@torch.no_grad()
def fit_newton(
    features: Tensor,
    labels: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    row_weights: Tensor | None = None,
    ridge: float = 0.1,
    tolerance: float = 1e-4,
) -> FitResult:
    """Minimise mean log loss plus `ridge / 2` times the squared distance from the given weights.

    First the given weights are calibrated, that is, scaled as a whole; the ridge penalises the
    distance from the scaled weights. Newton steps follow. Their gradient is that of all rows, their
    Hessian that of some rows, and preconditioned conjugate gradients solve their linear systems. So
    the features are only read in matrix-vector products, a few times. The bias is not penalised.
    The mean log loss of the result is never above that of the given layer.

    Args:
        features: Inputs of the final layer, `[rows, width]`.
        labels: 0 or 1, `[rows]`.
        weight: Initial weights, `[width]`.
        bias: Initial bias, `[1]`.
        row_weights: Of the rows, `[rows]`, or None where each counts once.
        ridge: Strength of the penalty on the distance from the scaled initial weights.
        tolerance: Stop after a step that promises to lower the objective by less, nats. The
            remaining error is then smaller by orders of magnitude.

    Returns:
        Fitted weight `[width]` and bias `[1]`.

    Raises:
        DataError: No weight is above 0.

    References:
        Byrd et al. 2011, On the use of stochastic Hessian information.
    """
    weights = None if row_weights is None else relative(row_weights.to(features.dtype))
    problem = _Problem(features, labels.to(features.dtype), ridge, weights)
    weight = weight.to(features.dtype)
    logits = problem.logits(weight)
    scale, offset = calibrate(logits, problem.labels, bias.to(features.dtype), weights)
    logits = scale * logits + offset
    start = torch.cat([scale * weight, offset.view(1)])
    change = torch.zeros_like(start)
    objective, promised_before = problem.objective(logits, change), math.inf
    for _ in range(MAX_NEWTON_STEPS):
        chance = torch.sigmoid(logits)
        error = _weighted(chance - problem.labels, weights)
        gradient = problem.transposed(error) + problem.penalty * change
        step = problem.solve(_weighted(chance * (1 - chance), weights), gradient)
        promised = -0.5 * float(gradient @ step)
        moved = problem.logits(step)
        for halvings in range(MAX_HALVINGS):
            length = 0.5**halvings
            tried = change + length * step
            value = problem.objective(logits + length * moved, tried)
            if value < objective:
                change, logits, objective = tried, logits + length * moved, value
                break
        else:
            if problem.is_exact:
                break  # the optimum, to the precision of the numbers
        if halvings or promised > SLOW * promised_before:
            problem.use_more_rows()
        elif promised < tolerance:
            break
        promised_before = promised
    fitted = start + change
    return FitResult(fitted[:-1], fitted[-1:], problem.passes)


def relative(row_weights: Tensor) -> Tensor:
    """Weights of rows divided by their mean, `[rows]`.

    Raises:
        DataError: No weight is above 0.
    """
    return row_weights / mean_weight(row_weights.cpu().numpy())


def calibrate(
    logits: Tensor, labels: Tensor, bias: Tensor, row_weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Find the scale and offset of logits that lower their log loss most, by Newton's method.

    Logits on another subnet's scale, which may be saturated, become a start from which a fit of all
    weights converges. The log loss is never above that of the logits with `bias`, nor above that of
    the click rate.

    Args:
        logits: Without bias, `[rows]`.
        labels: 0 or 1, `[rows]`.
        bias: The bias they had, `[1]`.
        row_weights: 1 in the mean, `[rows]`, or None where each counts once.
    """
    mean, spread = logits.mean(), logits.std(correction=0)
    if float(spread) <= TINY + 1e-5 * float(mean.abs()):  # rounding, no information
        spread = torch.ones_like(spread)
    inputs = torch.stack([(logits - mean) / spread, torch.ones_like(logits)])  # [2, rows]
    share = torch.logit(_weighted(labels, row_weights).mean().clamp(1e-3, 1 - 1e-3))
    starts = (torch.stack([spread, mean + bias[0]]), torch.stack([torch.zeros_like(share), share]))
    fitted, loss = min(
        ((start, _mean_log_loss(start @ inputs, labels, row_weights)) for start in starts),
        key=lambda pair: pair[1],
    )
    damping = 1e-6 * torch.eye(2, dtype=logits.dtype, device=logits.device)
    for _ in range(MAX_CALIBRATION_STEPS):
        chance = torch.sigmoid(fitted @ inputs)
        gradient = inputs @ _weighted(chance - labels, row_weights) / len(labels)
        curvature = _weighted(chance * (1 - chance), row_weights)
        hessian = (inputs * curvature) @ inputs.t() / len(labels)
        step = -torch.linalg.solve(hessian + damping, gradient)
        for halvings in range(MAX_HALVINGS):
            tried = fitted + 0.5**halvings * step
            value = _mean_log_loss(tried @ inputs, labels, row_weights)
            if value < loss:
                fitted, loss = tried, value
                break
        else:
            break
    scale = fitted[0] / spread
    return scale, fitted[1] - scale * mean


def _weighted(values: Tensor, row_weights: Tensor | None) -> Tensor:
    return values if row_weights is None else values * row_weights


def _mean_log_loss(logits: Tensor, labels: Tensor, row_weights: Tensor | None) -> float:
    return float(functional.binary_cross_entropy_with_logits(logits, labels, row_weights))


class _Problem:
    """Ridge logistic regression; vectors over the weights end with the bias.

    Losses and gradients are those of all rows. The Hessian is that of some rows, evenly spread: it
    only affects the direction of a step, and these rows stay in cache for the conjugate gradients.
    """

    def __init__(
        self, features: Tensor, labels: Tensor, ridge: float, row_weights: Tensor | None
    ) -> None:
        self.labels = labels
        self._row_weights = row_weights
        self.passes = 0.0
        self.penalty = features.new_full((features.shape[1] + 1,), ridge)
        self.penalty[-1] = 0
        self._features = features
        self._use_rows(HESSIAN_ROWS)

    def _use_rows(self, count: int) -> None:
        self._stride = max(1, len(self._features) // count)
        self._some = self._features[:: self._stride].contiguous()
        mean_squares = self._some.square().mean(dim=0)
        self._squares = torch.cat([mean_squares, mean_squares.new_ones(1)])

    @property
    def is_exact(self) -> bool:
        """Whether the Hessian is that of all rows."""
        return self._stride == 1

    def use_more_rows(self) -> None:
        """Use four times as many rows for the Hessian, if steps are too long or too short."""
        if not self.is_exact:
            self._use_rows(4 * len(self._some))

    def logits(self, vector: Tensor) -> Tensor:
        """Logits of weights, `[rows]`, with the bias where `vector` ends with one."""
        self.passes += 1
        width = self._features.shape[1]
        logits = self._features @ vector[:width]
        return logits if len(vector) == width else logits.add_(vector[-1])

    def objective(self, logits: Tensor, change: Tensor) -> float:
        """Mean log loss and ridge."""
        penalty = 0.5 * (self.penalty * change * change).sum()
        return _mean_log_loss(logits, self.labels, self._row_weights) + float(penalty)

    def transposed(self, values: Tensor) -> Tensor:
        """Mean over rows of features times values, `[width + 1]`."""
        self.passes += 1
        return torch.cat([self._features.t() @ values, values.sum().view(1)]) / len(values)

    def _product(self, curvature: Tensor, vector: Tensor) -> Tensor:
        """Hessian times a vector, `[width + 1]`."""
        self.passes += 1 / self._stride
        bent = (self._some @ vector[:-1]).add_(vector[-1]).mul_(curvature)
        total = torch.cat([self._some.t() @ bent, bent.sum().view(1)])
        return total / len(bent) + self.penalty * vector

    def solve(self, curvature: Tensor, gradient: Tensor) -> Tensor:
        """The Newton step, by conjugate gradients until a tenth is left.

        Args:
            curvature: Probability times its complement, `[rows]`.
            gradient: `[width + 1]`.
        """
        curvature = curvature[:: self._stride].contiguous()
        diagonal = self._squares * curvature.mean() + self.penalty
        diagonal = diagonal.clamp_min(1e-6 * float(diagonal.max()))
        step, residual = torch.zeros_like(gradient), -gradient
        scaled = residual / diagonal
        direction, dot = scaled, float(residual @ scaled)
        enough = 0.01 * dot  # squared, in the norm of the preconditioner
        for _ in range(MAX_CONJUGATE_STEPS):
            image = self._product(curvature, direction)
            bend = float(direction @ image)
            if bend <= 0:
                break
            step = step + (dot / bend) * direction
            residual = residual - (dot / bend) * image
            scaled = residual / diagonal
            following = float(residual @ scaled)
            if following <= enough:
                break
            direction, dot = scaled + (following / dot) * direction, following
        return step
