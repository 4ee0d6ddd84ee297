"""The fit of the last layer reaches the optimum that scikit-learn reaches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from nasrec_opt.errors import StudyError
from nasrec_opt.oracle import AdagradFit, fit_adagrad, fit_newton
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


def torch_adagrad(features, labels, weight, bias, how: AdagradFit) -> torch.nn.Linear:
    """The same steps by torch's own optimizer, schedulers and clipping."""
    layer = torch.nn.Linear(features.shape[1], 1)
    with torch.no_grad():
        layer.weight.copy_(weight[None])
        layer.bias.copy_(bias)
    optimizer = torch.optim.Adagrad(layer.parameters(), lr=how.learning_rate, eps=how.epsilon)
    rise = round(how.rate_warmup_fraction * how.steps)
    schedulers = [
        LinearLR(optimizer, start_factor=1 / (rise + 1), total_iters=rise),
        CosineAnnealingLR(optimizer, T_max=how.steps - rise),
    ]
    scheduler = SequentialLR(optimizer, schedulers, milestones=[rise])
    for rows in torch.from_numpy(how.rows(len(features))).split(how.batch_size):
        optimizer.zero_grad()
        logits = layer(features[rows]).squeeze(1)
        binary_cross_entropy_with_logits(logits, labels[rows]).backward()
        if how.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(layer.parameters(), how.clip_norm)
        optimizer.step()
        scheduler.step()
    return layer


@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1e-10, 1e-2]),
    st.sampled_from([None, 0.05, 5.0]),
    st.sampled_from([0.1, 0.5]),
)
def test_adagrad_equals_that_of_torch(seed, epsilon, clip_norm, warmup):
    features, labels = (t.float() for t in problem(seed, 900, 12))
    weight, bias = torch.full((12,), 0.1), torch.full((1,), -0.2)
    how = AdagradFit(
        steps=50,
        batch_size=64,
        epsilon=epsilon,
        clip_norm=clip_norm,
        rate_warmup_fraction=warmup,
        seed=seed,
    )
    found = fit_adagrad(features, labels, weight, bias, how)
    layer = torch_adagrad(features, labels, weight, bias, how)
    torch.testing.assert_close(found.weight, layer.weight[0].detach(), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.bias, layer.bias.detach(), atol=1e-4, rtol=1e-3)
    assert weight.unique().tolist() == [pytest.approx(0.1)]  # the given weights stay as they are


def test_the_defaults_are_the_published_ones():
    how = AdagradFit()
    assert (how.steps, how.batch_size, how.learning_rate) == (500, 512, 0.04)
    assert (how.epsilon, how.clip_norm, how.rate_warmup_fraction) == (1e-2, 5.0, 0.1)
    assert len(set(how.rows(10**6).tolist())) == 256_000  # every step has rows of its own


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 20), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_rows_are_read_again_only_after_all_others(num_rows, steps, batch_size, seed):
    how = AdagradFit(steps=steps, batch_size=batch_size, seed=seed)
    rows = how.rows(num_rows)
    assert len(rows) == steps * batch_size
    passes = [rows[i : i + num_rows] for i in range(0, len(rows), num_rows)]
    for one in passes:
        assert len(set(one.tolist())) == len(one)
    whole = [sorted(one.tolist()) for one in passes if len(one) == num_rows]
    assert all(one == list(range(num_rows)) for one in whole)
    assert rows.tolist() == how.rows(num_rows).tolist()
    if num_rows > 20 and len(whole) > 1:
        assert passes[0].tolist() != passes[1].tolist()


def test_large_features_do_not_lead_a_published_fit_astray():
    """With an epsilon of 1e-10, a constant rate and no clip this loss rose to many times."""
    features, labels = (t.float() for t in problem(2, 4000, 60))
    features[:, :5] *= 300
    weight, bias = torch.zeros(60), torch.zeros(1)
    found = fit_adagrad(features, labels, weight, bias)
    plain = AdagradFit(epsilon=1e-10, clip_norm=None)
    other = fit_adagrad(features, labels, weight, bias, plain)
    after = loss(features, labels, found.weight, found.bias)
    assert after < loss(features, labels, other.weight, other.bias)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps: expected 1 or more, got 0"),
        ({"batch_size": 0}, "batch_size: expected 1 or more, got 0"),
        ({"seed": -1}, "seed: expected 0 or more, got -1"),
        ({"epsilon": 0.0}, "epsilon: expected a finite number above 0, got 0.0"),
        ({"clip_norm": -1.0}, "clip_norm: expected a finite number above 0, got -1.0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a finite number above 0"),
        ({"rate_warmup_fraction": 2.0}, "rate_warmup_fraction: expected 0 to 1, got 2.0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(StudyError, match=message):
        AdagradFit(**options)


def test_steps_without_rows_are_refused_and_do_not_wait_for_some():
    with pytest.raises(StudyError, match="last layer: expected rows to fit it on, got none"):
        fit_adagrad(torch.zeros(0, 3), torch.zeros(0), torch.zeros(3), torch.zeros(1))


@pytest.mark.parametrize("fit", [fit_newton, fit_adagrad])
def test_a_fit_keeps_no_graph_of_weights_that_are_trained(fit):
    features, labels = (t.float() for t in problem(1, 100, 6))
    weight, bias = torch.zeros(6, requires_grad=True), torch.zeros(1, requires_grad=True)
    found = fit(features, labels, weight, bias)
    assert not found.weight.requires_grad
    assert not found.bias.requires_grad
    assert torch.equal(weight, torch.zeros(6))
