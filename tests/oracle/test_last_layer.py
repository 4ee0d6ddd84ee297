"""The fit of the last layer reaches the optimum that scikit-learn reaches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import binary_cross_entropy_with_logits

from nasrec_opt.oracle import fit_adagrad, fit_newton
from nasrec_opt.oracle._last_layer import HESSIAN_ROWS


def problem(seed: int, rows: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features as layers make them: mixed, rectified, of unequal scale; and clicks."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(0, 1, (rows, width // 2 + 1)) @ rng.normal(0, 1, (width // 2 + 1, width))
    features = np.maximum(mixed + rng.normal(0, 0.3, mixed.shape), 0) * rng.gamma(2, 1, width)
    features /= features.std(0) + 1
    odds = features @ rng.normal(0, 1, width) / np.sqrt(width) * 2 - 1
    labels = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)
    labels[:2] = 0, 1
    return torch.from_numpy(features), torch.from_numpy(labels)


def loss(features, labels, weight, bias) -> float:
    return float(binary_cross_entropy_with_logits(features @ weight + bias, labels))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.sampled_from([1e-3, 1e-2, 1.0]))
def test_newton_reaches_the_optimum_of_scikit_learn(seed, width, ridge):
    rows = 300
    features, labels = problem(seed, rows, width)
    zero = torch.zeros(width, dtype=torch.float64)
    found = fit_newton(features, labels, zero, zero[:1], ridge=ridge, tolerance=1e-14)
    model = LogisticRegression(C=1 / (ridge * rows), tol=1e-10, max_iter=10_000)
    model.fit(features.numpy(), labels.numpy())
    np.testing.assert_allclose(found.weight, model.coef_[0], atol=2e-4)
    np.testing.assert_allclose(found.bias, model.intercept_, atol=2e-4)


@pytest.mark.parametrize("ridge", [1e-4, 1e-1])
def test_a_hessian_of_few_rows_leads_to_the_optimum_of_all(ridge):
    rows, width = 3 * HESSIAN_ROWS, 60
    features, labels = problem(5, rows, width)
    zero = torch.zeros(width, dtype=torch.float64)
    found = fit_newton(features, labels, zero, zero[:1], ridge=ridge, tolerance=1e-12)
    model = LogisticRegression(C=1 / (ridge * rows), tol=1e-10, max_iter=10_000)
    model.fit(features.numpy(), labels.numpy())
    np.testing.assert_allclose(found.weight, model.coef_[0], atol=1e-3)
    np.testing.assert_allclose(found.bias, model.intercept_, atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 300))
@example(0, 1e-45)
def test_newton_lowers_the_loss_from_any_start(seed, distance):
    features, labels = (t.float() for t in problem(seed, 400, 24))
    start = torch.randn(24, generator=torch.Generator().manual_seed(seed % 1000)) * distance
    bias = torch.full((1,), distance)
    found = fit_newton(features, labels, start, bias, ridge=1e-6)
    after = loss(features, labels, found.weight, found.bias)
    assert after <= loss(features, labels, start, bias) + 1e-6
    share = labels.mean()
    assert after <= binary_cross_entropy_with_logits(torch.logit(share).expand(400), labels) + 1e-3


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["rare", "heavy", "even"]), st.floats(-2, 2))
@example(3, "heavy", 1.0)
@example(8, "rare", 0.1)
def test_the_loss_is_never_above_the_given_layers(seed, kind, slope):
    rng = np.random.default_rng(seed)
    rows = int(rng.choice([50, 2000]))
    logits = {
        "rare": 50.0 * (rng.random(rows) < 0.02),  # a unit that is on in few rows
        "heavy": rng.standard_cauchy(rows),
        "even": np.zeros(rows),
    }[kind]
    chance = 1 / (1 + np.exp(-np.clip(slope * logits + rng.normal(0, 2), -30, 30)))
    labels = torch.from_numpy(rng.random(rows) < chance).float()
    features = torch.from_numpy(logits).float()[:, None]
    weight, bias = torch.ones(1), torch.tensor([float(rng.normal())])
    found = fit_newton(features, labels, weight, bias)
    assert (
        loss(features, labels, found.weight, found.bias)
        <= min(loss(features, labels, weight, bias), share_loss(labels)) + 1e-6
    )


def share_loss(labels: torch.Tensor) -> float:
    """Log loss of the share of clicks, nothing else known; shares up to 1e-3 count as that."""
    share = labels.mean().clamp(1e-3, 1 - 1e-3)
    return float(binary_cross_entropy_with_logits(torch.logit(share).expand(len(labels)), labels))


def test_a_strong_ridge_only_scales_the_weights():
    features, labels = problem(0, 200, 8)
    start = torch.linspace(-1, 1, 8, dtype=torch.float64)
    found = fit_newton(features, labels, start, start[:1], ridge=1e6)
    logits = (features @ start)[:, None].numpy()
    model = LogisticRegression(C=1e9, tol=1e-10).fit(logits, labels.numpy())
    torch.testing.assert_close(found.weight, start * model.coef_[0, 0], atol=1e-4, rtol=0)
    np.testing.assert_allclose(found.bias, model.intercept_, atol=1e-4)


def test_adagrad_equals_that_of_torch():
    features, labels = (t.float() for t in problem(1, 900, 12))
    weight, bias = torch.full((12,), 0.1), torch.full((1,), -0.2)
    found = fit_adagrad(features, labels, weight, bias, steps=50, batch_size=64, seed=3)
    parameters = [weight.clone().requires_grad_(), bias.clone().requires_grad_()]
    optimizer = torch.optim.Adagrad(parameters, lr=0.04)
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        index = torch.randint(900, (64,), generator=generator)
        optimizer.zero_grad()
        logits = features[index] @ parameters[0] + parameters[1]
        binary_cross_entropy_with_logits(logits, labels[index]).backward()
        optimizer.step()
    torch.testing.assert_close(found.weight, parameters[0].detach())
    torch.testing.assert_close(found.bias, parameters[1].detach())
    assert weight.unique().tolist() == [pytest.approx(0.1)]  # the given weights stay as they are


@pytest.mark.parametrize("fit", [fit_newton, fit_adagrad])
def test_a_fit_keeps_no_graph_of_weights_that_are_trained(fit):
    features, labels = (t.float() for t in problem(1, 100, 6))
    weight, bias = torch.zeros(6, requires_grad=True), torch.zeros(1, requires_grad=True)
    found = fit(features, labels, weight, bias)
    assert not found.weight.requires_grad
    assert not found.bias.requires_grad
    assert torch.equal(weight, torch.zeros(6))
