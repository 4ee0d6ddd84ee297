"""The model where its hyperparameters cannot be fitted: it falls back on those of its prior."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("botorch", reason="the extra 'bayes' is not installed")

from botorch.exceptions.errors import ModelFittingError
from botorch.exceptions.warnings import OptimizationWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood

from nasrec_opt.bayes._gaussian_process import draw, fit

POINTS = torch.rand(20, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0))
OUTCOMES = 1.0 - POINTS[:, :1]  # the larger the first coordinate, the worse
OUTCOMES = (OUTCOMES - OUTCOMES.mean()) / OUTCOMES.std()
TOO_LARGE = 1e100 * OUTCOMES  # its likelihood is not a number, whatever the hyperparameters

# BoTorch warns of outcomes that are not scaled, which is the point.
pytestmark = pytest.mark.filterwarnings("ignore:Data .* is not standardized")


def test_outcomes_that_are_too_large_cannot_be_fitted():
    model = SingleTaskGP(POINTS, TOO_LARGE, outcome_transform=None)
    with pytest.raises(ModelFittingError), pytest.warns(OptimizationWarning):
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))


def test_a_fit_that_fails_leaves_the_hyperparameters_of_the_prior():
    prior = SingleTaskGP(POINTS, OUTCOMES, outcome_transform=None)
    model = fit(POINTS, TOO_LARGE)
    assert lengthscales(model).equal(lengthscales(prior))
    assert model.likelihood.noise.equal(prior.likelihood.noise)
    # While a fit that succeeds sees which coordinate matters.
    first, *others = lengthscales(fit(POINTS, OUTCOMES)).flatten().tolist()
    assert first < min(others)


def test_the_model_of_a_failed_fit_still_tells_good_from_bad():
    ends = torch.tensor([[0.05, 0.5, 0.5], [0.95, 0.5, 0.5]], dtype=torch.double)
    draws = draw(fit(POINTS, TOO_LARGE), ends, seed=0)
    assert draws.isfinite().all()
    assert (draws[:, 0] > draws[:, 1]).all()


def lengthscales(model: SingleTaskGP) -> torch.Tensor:
    return model.covar_module.lengthscale.detach()
