"""A row of weight w counts as w rows with the same values, wherever rows are read."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.models import SPACES, oracle_of, supernet_of
from scipy.sparse import csr_matrix
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from weighted_logs import SPLITS, weighted_and_repeated

from nasrec_opt import oracle, retrain
from nasrec_opt._weights import influences, mean_of, standard_error, unit_of
from nasrec_opt.data import Dataset
from nasrec_opt.errors import DataError
from nasrec_opt.ladder._climb import _errors_of_differences
from nasrec_opt.options import AdagradFit, FineTune, RetrainConfig, Scratch
from nasrec_opt.oracle import fit_adagrad, fit_newton
from nasrec_opt.oracle._adagrad_fit import AdagradSteps
from nasrec_opt.retrain import OneHot, Training, constant, logistic_regression
from nasrec_opt.space import BlockGene, Genotype
from nasrec_opt.supernet import Supernet, TrainConfig, log_odds, train_supernet

SPACE = SPACES["plain"]
GENOTYPE = Genotype((BlockGene(dense_width=16, sparse_width=16),), space="nasrec_small")


@st.composite
def scored_rows(draw):
    """Logits of two models, labels, and whole numbers as weights."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(4, 60))
    logits = rng.normal(0, 2, (2, rows)).round(1)  # with ties
    weights = rng.integers(0, 4, rows)
    weights[:2] = 1 + weights[:2]  # both classes count
    labels = rng.integers(0, 2, rows)
    labels[:2] = 0, 1
    return logits, labels, weights


@settings(max_examples=30)
@given(scored_rows())
def test_metrics_are_those_of_repeated_rows(drawn):
    logits, labels, weights = drawn
    often = np.repeat(logits, weights, axis=1), np.repeat(labels, weights)
    for ours in (
        lambda z, y, w: retrain.log_loss(z[0], y, w),
        lambda z, y, w: retrain.auc(z[0], y, w),
        lambda z, y, w: oracle.score(z[0], y, w).log_loss,
        lambda z, y, w: oracle.score(z[0], y, w).auc,
        lambda z, y, w: retrain.compare(*z, y, w).difference,
        lambda z, y, w: oracle.difference(*(oracle.log_losses(v, y) for v in z), w).log_loss,
        lambda z, y, w: retrain.expected_log_loss([retrain.log_losses(v, y) for v in z], w).mean,
    ):
        assert ours(logits, labels, weights) == pytest.approx(ours(*often, None), abs=1e-12)
    assert retrain.choose_members(logits, labels, 2, weights=weights) == (
        retrain.choose_members(*often, 2)
    )


@settings(max_examples=30)
@given(scored_rows(), st.floats(1e-3, 1e3))
def test_metrics_are_those_of_scikit_learn(drawn, unit):
    logits, labels, weights = drawn
    weights = weights * unit
    chances = 1 / (1 + np.exp(-logits[0]))
    found = oracle.score(logits[0], labels, weights)
    expected = metrics.log_loss(labels, chances, sample_weight=weights)
    assert found.log_loss == pytest.approx(expected)
    assert retrain.log_loss(logits[0], labels, weights) == pytest.approx(expected)
    expected = metrics.roc_auc_score(labels, logits[0], sample_weight=weights)
    assert found.auc == pytest.approx(expected)
    assert retrain.auc(logits[0], labels, weights) == pytest.approx(expected)


@settings(max_examples=30)
@given(scored_rows(), st.floats(1e-3, 1e3))
def test_standard_errors_are_those_of_a_ratio_of_means_over_rows(drawn, unit):
    logits, labels, weights = drawn
    losses = oracle.log_losses(logits[0], labels)
    rows, total = np.count_nonzero(weights), weights.sum()
    mean = sum(w * x for w, x in zip(weights, losses, strict=True)) / total
    squares = sum((w * (x - mean)) ** 2 for w, x in zip(weights, losses, strict=True))
    expected = math.sqrt(rows / (rows - 1) * squares) / total
    found = oracle.score(logits[0], labels, weights * unit)
    assert found.log_loss_se == pytest.approx(expected, abs=1e-12)
    others = oracle.log_losses(logits[1], labels)
    paired = standard_error(losses - others, weights)
    assert oracle.difference(losses, others, weights).log_loss_se == paired
    rates = retrain.compare(*logits, labels, weights)
    assert rates.standard_error == pytest.approx(paired, abs=1e-12)
    one = retrain.expected_log_loss([losses], weights * unit)
    assert one.standard_error == pytest.approx(expected, abs=1e-12)
    errors = _errors_of_differences(influences(np.stack([losses, others]), weights))
    assert errors[0, 1] == pytest.approx(paired, abs=1e-7)


def test_the_standard_error_is_the_spread_over_logs():
    """Rows are drawn anew with their weights, which go together with their losses."""
    rng = np.random.default_rng(0)
    means, errors = [], []
    for _ in range(3000):
        weights = rng.geometric(0.3, 200)
        values = rng.normal(1 / weights, 1)
        means.append(mean_of(values, weights))
        errors.append(standard_error(values, weights))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.04)


def test_equal_weights_are_no_weights():
    rng = np.random.default_rng(1)
    values, equal = rng.normal(size=50), np.full(50, 7.5)
    assert mean_of(values, equal) == pytest.approx(mean_of(values))
    assert standard_error(values, equal) == pytest.approx(standard_error(values))
    assert standard_error(values[:2], np.array([0, 3])) is None
    assert mean_of(values) == values.mean()


def test_rows_of_one_class_or_without_weight():
    weights = np.array([1.0, 0.0, 2.0])
    for auc in (retrain.auc, lambda *rows: oracle.score(*rows).auc):
        assert auc(np.zeros(3), np.array([0, 1, 0]), weights) is None
    nothing = np.zeros(3)
    sentence = "weights: expected some above 0 among 3 rows, got a total of 0"
    for use in (retrain.log_loss, oracle.score, lambda _, y, w: log_odds(y, w)):
        with pytest.raises(DataError, match=sentence):
            use(np.zeros(3), np.array([0, 1, 0]), nothing)


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> tuple[Dataset, Dataset]:
    return weighted_and_repeated(tmp_path_factory.mktemp("logs"))


def in_steps_of_all(log: Dataset, path, supernet: Supernet) -> dict[str, torch.Tensor]:
    """A supernet after one step of Adagrad on all training rows."""
    rows = log.split("train").num_rows
    config = TrainConfig(
        batch_size=rows,
        epochs=1,
        learning_rate=0.1,
        embedding_rate=0.1,
        epsilon=1e-2,  # without it, a first step has the sign of a gradient, however small
        embedding_prior=float(rows) ** 2,
    )
    train_supernet(supernet, log, path, config)
    return supernet.state_dict()


def test_a_step_on_all_rows_is_that_of_repeated_rows(logs, tmp_path):
    first = Supernet(SPACE, logs[0].features, seed=0).state_dict()
    weighted, repeated = (
        in_steps_of_all(log, tmp_path / kind, Supernet(SPACE, log.features, seed=0))
        for kind, log in zip(("weighted", "repeated"), logs, strict=True)
    )
    steps = {name: weight - first[name] for name, weight in weighted.items()}
    for name, step in steps.items():
        difference = weighted[name] - repeated[name]
        assert difference.norm() <= 2e-3 * step.norm() + 1e-6, name
    assert sum(bool(step.norm() > 1e-3) for step in steps.values()) > 5


def test_weights_of_another_unit_give_the_same_training(logs, tmp_path):
    """Learning rates keep their meaning: weights are divided by their mean."""
    log, _ = logs
    before = in_steps_of_all(log, tmp_path / "a", Supernet(SPACE, log.features, seed=0))
    split = Dataset.open(log.path).split("train")

    class Scaled(Dataset):
        def split(self, name):
            found = super().split(name)
            found._arrays["weights"] = np.asarray(found.weights) * np.float32(1024)
            return found

    scaled = Scaled(log.path, log.meta, min_count=1, binned_dense=False)
    assert scaled.split("train").mean_weight == 1024 * split.mean_weight
    after = in_steps_of_all(scaled, tmp_path / "b", Supernet(SPACE, log.features, seed=0))
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight)


def gradients(log: Dataset, seed: int = 0) -> list[torch.Tensor]:
    """Of the first step of a retraining, on all rows."""
    rows = log.split("train").num_rows
    config = RetrainConfig(batch_size=rows, epochs=1, learning_rates=(0.01,), seed=seed)
    training = Training(log, config.for_rows(rows))
    subnet = retrain.untrained(GENOTYPE, log, config.for_rows(rows), balance=True)
    state = training.begin(lambda: subnet)
    training.learn(state, 1)
    training._learn(state, 1)
    return [w.grad for w in state.learner._weights if w.grad is not None]


def test_a_retraining_step_on_all_rows_is_that_of_repeated_rows(logs):
    weighted, repeated = map(gradients, logs)
    assert len(weighted) > 3
    for ours, theirs in zip(weighted, repeated, strict=True):
        assert (ours - theirs).norm() <= 2e-3 * ours.norm() + 1e-6
    assert max(gradient.norm() for gradient in weighted) > 1e-3


@pytest.mark.parametrize("options", [{}, {"optimizer": "adagrad", "refit": True}])
def test_a_retraining_reads_weights_in_all_its_figures(logs, tmp_path, options):
    log, _ = logs
    config = RetrainConfig(batch_size=64, epochs=1, learning_rates=(0.01, 0.03), **options)
    model = retrain.retrain(GENOTYPE, log, tmp_path / "model", config)
    for name, value, area in (
        ("validation", model.validation_log_loss, model.validation_auc),
        ("test", model.test_log_loss, model.test_auc),
    ):
        split = log.split(name)
        logits = retrain.answers_of(model.weights()[0], log, name)
        chances = 1 / (1 + np.exp(-logits.astype(float)))
        counts = {"sample_weight": split.weights}
        assert value == pytest.approx(metrics.log_loss(split.labels, chances, **counts), rel=1e-5)
        assert area == pytest.approx(metrics.roc_auc_score(split.labels, logits, **counts))
    # All validation rows are scored while training.
    best = min(value for _, value in model.validation_history)
    assert model.validation_log_loss == pytest.approx(best, rel=1e-5) or options


def test_baselines_are_those_of_repeated_rows(logs):
    for fit in (constant, logistic_regression):
        weighted, repeated = (fit(log) for log in logs)
        for name in ("validation_log_loss", "test_log_loss", "test_auc"):
            assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), abs=2e-5)
    assert weighted.penalty == repeated.penalty
    assert weighted.tried == pytest.approx(repeated.tried, abs=2e-5)


def test_logistic_regression_is_that_of_scikit_learn(logs):
    log, _ = logs
    found = logistic_regression(log)
    full = Dataset.open(log.path, binned_dense=True)
    train, test = (full.split(name).rows(slice(None)) for name in ("train", "test"))
    one_hot = OneHot(train, full.features.cardinalities)
    model = LogisticRegression(C=found.penalty, max_iter=1000)
    inputs: csr_matrix = one_hot(train)
    model.fit(inputs, train.labels, sample_weight=train.weights)
    expected = model.decision_function(one_hot(test))
    np.testing.assert_allclose(found.test_logits, expected, atol=5e-3)
    plain = LogisticRegression(C=found.penalty, max_iter=1000).fit(inputs, train.labels)
    assert np.abs(plain.decision_function(one_hot(test)) - expected).max() > 0.1


def test_penalties_follow_the_size_of_weights_by_powers_of_ten():
    from nasrec_opt.retrain._baselines import PENALTIES, _penalties

    for mean in (None, 1.0, 0.4, 3.0):
        assert _penalties(mean) == list(PENALTIES)
    assert _penalties(1e-6) == pytest.approx([penalty * 1e6 for penalty in PENALTIES])
    assert _penalties(250.0) == pytest.approx([penalty / 100 for penalty in PENALTIES])


@given(scored_rows(), st.integers(-6, 6))
def test_click_rates_are_those_of_repeated_rows(drawn, exponent):
    _, labels, weights = drawn
    found = log_odds(labels, weights.astype(float))
    assert log_odds(labels, weights * 10.0**exponent) == pytest.approx(found)
    if unit_of(weights.mean()) == 1:
        assert found == pytest.approx(log_odds(np.repeat(labels, weights)))


def layer_problem(seed: int, rows: int = 1200, width: int = 12):
    """Features, labels, and whole numbers as weights."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, width))
    odds = features @ rng.normal(size=width) - 1
    labels = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)
    weights = rng.integers(0, 5, rows)
    return [torch.from_numpy(x) for x in (features, labels, weights)]


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-2, 1.0, 100.0]))
def test_the_fit_of_a_layer_is_that_of_repeated_rows(seed, unit):
    features, labels, weights = layer_problem(seed)
    often = [values.repeat_interleave(weights, dim=0) for values in (features, labels)]
    zero = torch.zeros(features.shape[1], dtype=torch.float64)
    found = fit_newton(
        features, labels, zero, zero[:1], row_weights=unit * weights, tolerance=1e-14
    )
    expected = fit_newton(*often, zero, zero[:1], tolerance=1e-14)
    torch.testing.assert_close(found.weight, expected.weight, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.bias, expected.bias, atol=1e-4, rtol=1e-4)


def test_a_step_of_the_published_fit_is_that_of_repeated_rows():
    features, labels, weights = layer_problem(3)
    often = [values.repeat_interleave(weights, dim=0) for values in (features, labels)]
    zero = torch.zeros(features.shape[1], dtype=torch.float64)
    weighted, repeated = (AdagradSteps(zero, zero[:1], AdagradFit()) for _ in range(2))
    weighted.step(features, labels, weights / weights.double().mean())
    repeated.step(*often)
    for ours, theirs in zip(weighted.layer, repeated.layer, strict=True):
        torch.testing.assert_close(ours, theirs)
    how = AdagradFit(steps=20)
    for unit in (1.0, 512.0):
        layer = fit_adagrad(features, labels, zero, zero[:1], how, row_weights=unit * weights)
        if unit == 1.0:
            first = layer
    torch.testing.assert_close(layer.weight, first.weight)
    unweighted = fit_adagrad(features, labels, zero, zero[:1], how)
    assert (layer.weight - unweighted.weight).abs().max() > 1e-3


@pytest.mark.parametrize(
    "options",
    [
        {"fidelity": "supernet"},
        {"fidelity": "last_layer", "last_layer": "newton"},
        {"fidelity": "last_layer", "last_layer": AdagradFit(steps=30)},
        {"fidelity": "last_layer", "last_layer": "folds"},
        {"fidelity": FineTune(steps=8, learning_rate=0.01)},
        {"fidelity": Scratch(epochs=1, batch_size=128)},
    ],
)
def test_an_oracle_scores_with_weights(logs, options):
    weighted, repeated = logs
    supernet = supernet_of(SPACE, weighted)
    rng = np.random.default_rng(2)
    genotypes = [SPACE.sample(rng) for _ in range(2)]
    asked = oracle_of(supernet, weighted, reference=genotypes[0], **options)
    answer = asked.evaluate(genotypes[1])
    if options["fidelity"] == "supernet" or options.get("last_layer") == "newton":
        expected = oracle_of(
            supernet, repeated, reference=genotypes[0], **options, fit_rows=None
        ).evaluate(genotypes[1])
        assert answer.log_loss == pytest.approx(expected.log_loss, rel=2e-3)
        assert answer.auc == pytest.approx(expected.auc, abs=2e-3)
        assert answer.difference.log_loss == pytest.approx(expected.difference.log_loss, abs=2e-3)
    logits = asked._recent.get(asked._plan(genotypes[1]).key)
    held_out = weighted.split("validation")
    expected = oracle.score(logits, held_out.labels, held_out.weights)
    assert dataclasses.replace(answer, intermediate=(), difference=None) == expected
    assert answer.difference.log_loss_se == asked.compare(*genotypes[::-1]).log_loss_se
    if answer.intermediate:
        assert answer.intermediate[-1][1] == answer.log_loss


def test_splits_have_weights_of_some_rows(logs):
    weighted, repeated = logs
    for name in SPLITS:
        split = weighted.split(name)
        assert split.mean_weight == pytest.approx(split.weights.mean())
        some = split.rows(np.linspace(0, split.num_rows - 1, 10).astype(int))
        assert len(split.weights_of(10)) == 10 == len(some.weights)
        assert split.weights_of(None) is split.weights
        plain = repeated.split(name)
        assert plain.mean_weight is None
        assert plain.weights_of(10) is None
