"""The model and the choice of a batch; the only module here that needs torch and BoTorch.

The batch maximises the noisy expected hypervolume improvement (qNEHVI), one member after the other
(Daulton et al. 2021, arXiv:2105.08195). Only the hypervolume is computed differently. BoTorch
divides the space beyond the front into boxes, again for each draw from the model and each member of
the batch, which takes minutes with three objectives and a front of a hundred. Here it is a mean
over directions of how far the front reaches in each (Golovin and Zhang 2020, arXiv:2006.04655).
This is an array operation, and one model draw for all candidates serves the whole batch. With one
objective it is the noisy expected improvement.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from botorch.exceptions.errors import ModelFittingError
from botorch.exceptions.warnings import BotorchWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor
from torch.nn.functional import leaky_relu

_FIT_STEPS = 40  # of L-BFGS; more change the likelihood by little
_SAMPLES = 128  # draws from the model
_DIRECTIONS = 16  # of each draw, each draw's own
_SHORTFALL = 1e-9  # weight of the distance to an improvement; decides if none improves
_random_state = threading.Lock()  # torch has one, whatever thread asks


@contextmanager
def forked_random_state(seed: int) -> Iterator[None]:
    """Draws in the block depend only on the seed, and later draws do not depend on the block."""
    with _random_state, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def fit(points: Tensor, outcomes: Tensor) -> SingleTaskGP:
    """A Gaussian process for each outcome.

    The kernel is a Gaussian with a lengthscale for each dimension, whose prior expects many
    dimensions (Hvarfner et al. 2024, arXiv:2402.02229). On zeros and ones it is a product over the
    genes that differ.

    Args:
        points: In the unit cube, `[points, dimensions]`.
        outcomes: With mean 0 and standard deviation 1, `[points, outcomes]`.
    """
    model = SingleTaskGP(points, outcomes, outcome_transform=None)
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    with _quiet():
        try:
            fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": {"maxiter": _FIT_STEPS}})
        except ModelFittingError:  # keep the prior's lengthscales: the search continues
            model = SingleTaskGP(points, outcomes, outcome_transform=None)
    return model


def draw(model: SingleTaskGP, points: Tensor, seed: int) -> Tensor:
    """Joint draws from the model at all points, `[draws, points, outcomes]`."""
    sampler = SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=seed)
    with _quiet(), torch.no_grad():
        draws: Tensor = sampler(model.posterior(points))
    return draws


def choose(
    gains: Tensor, violation: Tensor, *, num_candidates: int, count: int, excluded: Tensor
) -> list[int]:
    """Choose the candidates with the largest hypervolume improvement, each given those before it.

    Args:
        gains: Draws of how far each point is beyond the reference point, as a share of the front's
            range in each objective; the candidates come first, then all points that count as
            evaluated, `[draws, points, objectives]`.
        violation: Sum of the violated constraints' values in that draw, `[draws, points]`.
        num_candidates: How many of the points are candidates.
        count: How many to choose, at most.
        excluded: Candidates that are never chosen, `[candidates]`.

    Returns:
        Positions, in the order of the choice.
    """
    # Below every feasible point: until one is found, less violation is an improvement.
    reach = torch.where(violation[:, None] > 0, -violation[:, None], _reach(gains))
    new, known = reach[..., :num_candidates], reach[..., num_candidates:]
    best = known.amax(dim=2)  #  [draws, directions]
    excluded = excluded.clone()
    chosen: list[int] = []
    for _ in range(min(count, int((~excluded).sum()))):
        beyond = new - best[..., None]  # [draws, directions, candidates]
        values = leaky_relu(beyond, _SHORTFALL).mean(dim=(0, 1))
        values[excluded] = -torch.inf
        chosen.append(int(values.argmax()))
        excluded[chosen[-1]] = True
        best = torch.maximum(best, new[..., chosen[-1]])
    return chosen


def _reach(gains: Tensor) -> Tensor:
    """Volume that a point dominates in the cone of each direction, `[draws, directions, points]`.

    For each point alone, and up to a constant. In a direction from the reference point, a point
    dominates up to a length that its worst coordinate determines; volume grows with that length to
    the power of the number of objectives. A point that is not better than the reference has a
    negative length, which is kept.
    """
    num_draws, num_points, num_objectives = gains.shape
    directions = torch.randn(num_draws, _DIRECTIONS, num_objectives, dtype=gains.dtype).abs()
    directions /= directions.norm(dim=2, keepdim=True)
    length = torch.full((num_draws, _DIRECTIONS, num_points), torch.inf, dtype=gains.dtype)
    for objective in range(num_objectives):
        along = gains[:, None, :, objective] / directions[:, :, None, objective]
        length = torch.minimum(length, along)
    return torch.where(length > 0, length**num_objectives, length)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of a fit that ends early, and of jitter; both are expected."""
    with warnings.catch_warnings():
        for category in (BotorchWarning, NumericalWarning, RuntimeWarning):
            warnings.simplefilter("ignore", category)
        yield
