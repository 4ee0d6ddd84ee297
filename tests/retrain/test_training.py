from __future__ import annotations

import copy
import math

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
from nasrec_opt.retrain._training import BestWeights
from nasrec_opt.space import BlockGene, Genotype
from nasrec_opt.supernet import Subnet, trained_as

FEATURES = FeatureSpec(3, (6, 5), 8)
GENOTYPE = Genotype((BlockGene(dense_width=16, sparse_width=16),), space="nasrec_small")


def batch_of(rows: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    return Batch(
        rng.normal(size=(rows, 3)).astype(np.float32),
        rng.integers(0, 5, (rows, 2)).astype(np.int32),
        rng.integers(0, 2, rows).astype(np.float32),
    )


def learner_of(**settings) -> Learner:
    learner = Learner(Subnet(GENOTYPE, FEATURES), RetrainConfig(**settings), 0.01)
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


def test_a_log_loss_that_is_not_a_number_is_never_kept():
    best = BestWeights()
    best.offer(math.inf, 1, torch.nn.Linear(1, 1))
    assert not best.weights


def test_table_step_equals_rowwise_adagrad_with_a_dense_gradient():
    learner = learner_of(embedding_rate=0.1, embedding_prior=0.5, rate_warmup_steps=0)
    twin = copy.deepcopy(learner.subnet)
    twin.genotype = trained_as(twin.genotype)  # its steps are in floating point
    squares = torch.full((len(twin.embedding.table),), 0.5)
    batch = batch_of(32)
    for _ in range(2):
        twin.load_state_dict(learner.subnet.state_dict())
        twin.zero_grad()
        logits = twin(torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse))
        labels = torch.from_numpy(batch.labels)
        torch.nn.functional.binary_cross_entropy_with_logits(
            logits, labels, reduction="sum"
        ).backward()
        gradient = twin.embedding.table.grad
        squares += gradient.square().mean(1)
        expected = twin.embedding.table.detach() - 0.1 * gradient / squares.sqrt()[:, None]
        learner.step(batch)
        torch.testing.assert_close(learner.subnet.embedding.table.detach(), expected)


def test_a_step_leaves_rows_that_the_batch_lacks_alone():
    learner = learner_of()
    before = learner.subnet.embedding.table.detach().clone()
    batch = batch_of(16)
    learner.step(batch)
    rows = learner.subnet.embedding.rows_of(torch.from_numpy(batch.sparse)).unique()
    changed = (learner.subnet.embedding.table != before).any(1).nonzero().flatten()
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


def test_a_new_epoch_draws_a_fresh_table_and_keeps_the_rest():
    learner = learner_of()
    learner.step(batch_of(16))
    before = {name: w.clone() for name, w in learner.subnet.state_dict().items()}
    learner.begin_epoch(1)
    for name, weight in learner.subnet.state_dict().items():
        assert torch.equal(weight, before[name]) == ("table" not in name)
    assert learner.subnet.embedding.table.abs().max() <= RetrainConfig().embedding_bound


def test_metrics_do_not_break_at_certain_answers_or_one_class():
    assert log_loss([800.0, -800.0], [1, 0]) == pytest.approx(0.0)
    assert log_loss([800.0], [0]) == pytest.approx(800.0)
    assert auc([0.1, 0.2], [1, 1]) is None
