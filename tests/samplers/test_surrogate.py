"""The Gaussian process behind screening, beside scikit-learn's and beside finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

from nasrec_opt.samplers._expectation import _last_fit
from nasrec_opt.samplers._surrogate import Kernel, Process, _misfit, fit_kernel


def made(rng: np.random.Generator, count: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    points = rng.random((count, dimensions))
    outcomes = np.sin(5 * points[:, 0]) + points[:, 1] ** 2 + 0.01 * rng.normal(size=count)
    return points, (outcomes - outcomes.mean()) / outcomes.std()


def test_a_process_expects_what_scikit_learn_expects():
    rng = np.random.default_rng(0)
    points, outcomes = made(rng, 40, 3)
    kernel = Kernel(relevance=np.array([4.0, 1.0, 0.25]), noise=0.01)
    theirs = GaussianProcessRegressor(
        Matern(length_scale=[0.5, 1.0, 2.0], nu=2.5) + WhiteKernel(0.01), optimizer=None
    ).fit(points, outcomes)
    asked = rng.random((20, 3))
    mean, deviation = theirs.predict(asked, return_std=True)
    draws = Process(kernel, points, outcomes).draw(asked, rng.normal(size=(20_000, 20)))
    assert draws.mean(axis=0) == pytest.approx(mean, abs=0.02)
    # Theirs has a signal of variance 1 and adds the noise of an observation.
    centred = outcomes - outcomes.mean()
    signal = centred @ np.linalg.solve(kernel.among(points), centred) / len(points)
    assert draws.var(axis=0) / signal == pytest.approx(deviation**2 - 0.01, rel=0.1, abs=1e-5)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 12), dimensions=st.integers(1, 4))
def test_the_gradient_is_that_of_finite_differences(seed, count, dimensions):
    rng = np.random.default_rng(seed)
    points, outcomes = rng.random((count, dimensions)), rng.normal(size=count)
    now = rng.normal(size=dimensions + 1)
    _, gradient = _misfit(now, points, outcomes)
    for place, along in enumerate(1e-5 * np.eye(dimensions + 1)):
        above, below = (_misfit(now + side * along, points, outcomes)[0] for side in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / 2e-5, rel=1e-3, abs=1e-4)


def test_what_does_not_matter_is_found_out():
    points, outcomes = made(np.random.default_rng(1), 80, 6)
    relevance = fit_kernel(points, outcomes).relevance
    assert relevance[0] > 10 * relevance[2:].max()


@pytest.mark.parametrize("outcomes", [np.zeros(9), np.arange(9.0), 1e300 * np.arange(9.0)])
@pytest.mark.parametrize("points", [np.zeros((9, 3)), np.ones((9, 1)), np.eye(9), np.empty((9, 0))])
def test_outcomes_and_points_without_variety_have_a_kernel(points, outcomes):
    with np.errstate(over="ignore", invalid="raise", divide="raise"):
        kernel = fit_kernel(points, outcomes / max(outcomes.max(), 1.0))
        drawn = Process(kernel, points, np.linspace(-1, 1, 9)).draw(points, np.zeros((2, 9)))
    assert np.isfinite(kernel.relevance).all()
    assert np.isfinite(drawn).all()


@given(count=st.integers(1, 10_000))
def test_kernels_are_fitted_anew_when_a_quarter_more_is_known(count):
    fitted = _last_fit(count)
    assert min(8, count) <= fitted <= count
    assert count < fitted + max(fitted // 4, 1) or count < 8
    assert _last_fit(fitted) == fitted
