from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.data import Batch
from nasrec_opt.features import FeatureSpec
from nasrec_opt.retrain import RetrainConfig
from nasrec_opt.retrain._learner import Learner
from nasrec_opt.retrain._metrics import auc, log_loss
from nasrec_opt.retrain._state import BestWeights, TrainingState
from nasrec_opt.space import BlockGene, Genotype
from nasrec_opt.supernet import Subnet, trained_as

FEATURES = FeatureSpec(3, (6, 5), 8)
GENOTYPE = Genotype((BlockGene(dense_width=16, sparse_width=16),), space="nasrec_small")
TERM = replace(GENOTYPE, wide=True)


def batch_of(rows: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    return Batch(
        rng.normal(size=(rows, 3)).astype(np.float32),
        rng.integers(0, 5, (rows, 2)).astype(np.int32),
        rng.integers(0, 2, rows).astype(np.float32),
    )


def learner_of(genotype: Genotype = GENOTYPE, **settings) -> Learner:
    learner = Learner(Subnet(genotype, FEATURES), RetrainConfig(**settings), 0.01, steps=100)
    learner.begin_epoch(0)
    return learner


@given(st.lists(st.floats(0.1, 1.0), min_size=1, max_size=12))
def test_the_lowest_log_loss_is_kept_with_the_weights_of_its_step(values):
    best = BestWeights()
    model = torch.nn.Linear(1, 1)
    for step, value in enumerate(values):
        torch.nn.init.constant_(model.weight, float(step))
        best.offer(value, step, model)
    assert best.log_loss == min(values)
    assert best.step == values.index(min(values))
    assert best.weights["weight"].item() == best.step


@given(st.lists(st.floats(0.1, 1.0), min_size=1, max_size=20), st.integers(1, 4))
def test_the_best_weights_of_a_second_epoch_are_kept_as_well(values, epoch_steps):
    state = TrainingState(learner_of(), {})
    model = torch.nn.Linear(1, 1)
    for step, value in enumerate(values, start=1):
        torch.nn.init.constant_(model.weight, float(step))
        state.offer(value, step, epoch_steps, model, np.zeros(1, np.float32))
    assert state.best.step == values.index(min(values)) + 1
    epoch = (state.best.step - 1) // epoch_steps
    elsewhere = {
        step: value
        for step, value in enumerate(values, start=1)
        if (step - 1) // epoch_steps != epoch
    }
    assert bool(state.other.weights) == bool(elsewhere)
    if elsewhere:
        assert state.other.log_loss == min(elsewhere.values())
        assert elsewhere[state.other.step] == state.other.log_loss
        assert state.other.weights["weight"].item() == state.other.step


def test_a_log_loss_that_is_not_a_number_is_never_kept():
    best = BestWeights()
    best.offer(math.inf, 1, torch.nn.Linear(1, 1))
    assert not best.weights


@pytest.mark.parametrize("genotype", [GENOTYPE, TERM], ids=["without", "first order"])
def test_steps_of_tables_equal_rowwise_adagrad_with_dense_gradients(genotype):
    learner = learner_of(genotype, embedding_rate=0.1, embedding_prior=0.5, rate_warmup_steps=0)
    twin = copy.deepcopy(learner.subnet)
    twin.genotype = trained_as(twin.genotype)  # its steps are in floating point
    names = [name for name, _ in twin.named_parameters() if name.startswith("embedding.")]
    assert len(names) == 1 + genotype.wide
    priors = {"embedding.table": 0.5, "embedding.first_order": 16 * 0.5}
    squares = {name: torch.full((len(twin.embedding.table),), priors[name]) for name in names}
    batch = batch_of(32)
    for _ in range(2):
        twin.load_state_dict(learner.subnet.state_dict())
        twin.zero_grad()
        logits = twin(torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse))
        labels = torch.from_numpy(batch.labels)
        torch.nn.functional.binary_cross_entropy_with_logits(
            logits, labels, reduction="sum"
        ).backward()
        expected = {}
        for name in names:
            weight = twin.get_parameter(name)
            squares[name] += weight.grad.square().mean(1)
            step = 0.1 * weight.grad / squares[name].sqrt()[:, None]
            expected[name] = weight.detach() - step
        learner.step(batch)
        for name in names:
            torch.testing.assert_close(learner.subnet.state_dict()[name], expected[name])


def test_first_order_weights_of_dense_features_are_learnt_by_adam_and_averaged():
    learner = learner_of(TERM, rate_warmup_steps=0)
    assert not learner.subnet.final.first_order.any()
    learner.step(batch_of(32))
    moved = learner.subnet.final.first_order.detach().clone()
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 0.01))  # Adam's first step
    with learner.averaged() as averaged:
        assert 0 < averaged.final.first_order.abs().max() <= 0.01


def test_a_step_leaves_rows_that_the_batch_lacks_alone():
    learner = learner_of(TERM)
    embedding = learner.subnet.embedding
    tables = (embedding.table, embedding.first_order)
    before = [table.detach().clone() for table in tables]
    batch = batch_of(16)
    learner.step(batch)
    rows = embedding.rows_of(torch.from_numpy(batch.sparse)).unique()
    for table, old in zip(tables, before, strict=True):
        changed = (table != old).any(1).nonzero().flatten()
        assert set(changed.tolist()) == set(rows.tolist())


def test_averaged_weights_are_lent_and_given_back():
    learner = learner_of(averaging=0.9)
    for seed in range(5):
        learner.step(batch_of(16, seed))
    own = {name: w.clone() for name, w in learner.subnet.state_dict().items()}
    with learner.averaged() as averaged:
        lent = {name: w.clone() for name, w in averaged.state_dict().items()}
    after = learner.subnet.state_dict()
    assert any(not torch.equal(own[name], lent[name]) for name in own)
    assert all(torch.equal(own[name], after[name]) for name in own)


@pytest.mark.parametrize(
    ("averaging", "decays"),
    [(0.99, [1 / 10, 2 / 11, 3 / 12]), (0.15, [1 / 10, 0.15, 0.15]), (0.0, [0.0, 0.0, 0.0])],
)
def test_early_averages_forget_the_weights_they_began_with(averaging, decays):
    learner = learner_of(averaging=averaging, rate_warmup_steps=0)
    weights = dict(learner.subnet.named_parameters())
    averaged_names = [name for name in weights if not name.startswith("embedding.")]
    expected = {name: weights[name].detach().clone() for name in averaged_names}
    for seed, decay in enumerate(decays):
        learner.step(batch_of(16, seed))
        for name in averaged_names:
            expected[name] = decay * expected[name] + (1 - decay) * weights[name].detach()
    with learner.averaged() as averaged:
        for name in averaged_names:
            torch.testing.assert_close(averaged.get_parameter(name).detach(), expected[name])


def test_a_new_epoch_draws_a_fresh_table_and_keeps_the_rest():
    learner = learner_of(TERM)
    learner.step(batch_of(16))
    assert learner.subnet.embedding.first_order.any()
    before = {name: w.clone() for name, w in learner.subnet.state_dict().items()}
    learner.begin_epoch(1)
    for name, weight in learner.subnet.state_dict().items():
        assert torch.equal(weight, before[name]) == (name != "embedding.table")
    assert learner.subnet.embedding.table.abs().max() <= RetrainConfig().embedding_bound


def test_metrics_do_not_break_at_certain_answers_or_one_class():
    assert log_loss([800.0, -800.0], [1, 0]) == pytest.approx(0.0)
    assert log_loss([800.0], [0]) == pytest.approx(800.0)
    assert auc([0.1, 0.2], [1, 1]) is None
