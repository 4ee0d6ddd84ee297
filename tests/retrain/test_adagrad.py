"""The published training: Adagrad for everything, against `torch.optim.Adagrad`."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.data import Batch, Dataset, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.retrain import RetrainConfig, constant_log_loss, retrain, train_epochs
from nasrec_opt.retrain._learner import Learner
from nasrec_opt.space import BlockGene, Genotype
from nasrec_opt.supernet import Subnet, trained_as

FEATURES = FeatureSpec(3, (6, 5), 8)
GENOTYPE = Genotype((BlockGene(dense_width=16, sparse_width=16),), space="nasrec_small")
TERM = replace(GENOTYPE, wide=True)
STEPS, RATE = 20, 0.16


def batch_of(rows: int, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    return Batch(
        rng.normal(size=(rows, 3)).astype(np.float32),
        rng.integers(0, 5, (rows, 2)).astype(np.int32),
        rng.integers(0, 2, rows).astype(np.float32),
    )


def rate_of(step: int) -> float:
    """By hand: 2 of 20 steps are the warm-up, then half a cosine."""
    return (
        RATE * (step + 1) / 3 if step < 2 else RATE * (1 + math.cos(math.pi * (step - 2) / 18)) / 2
    )


@pytest.mark.parametrize("genotype", [GENOTYPE, TERM], ids=["without", "first order"])
@given(clip=st.sampled_from([0.05, 5.0, None]), seed=st.integers(0, 9))
@settings(max_examples=4)
def test_steps_are_those_of_torch_with_dense_gradients(genotype, clip, seed):
    config = RetrainConfig.paper(clip_norm=clip)
    subnet = Subnet(genotype, FEATURES, seed, initialization="xavier")
    twin = copy.deepcopy(subnet)
    twin.genotype = trained_as(twin.genotype)  # steps are in floating point
    learner = Learner(subnet, config, RATE, STEPS)
    learner.begin_epoch(0)
    adagrad = torch.optim.Adagrad(twin.parameters(), lr=RATE, eps=1e-2)
    for step in range(5):
        batch = batch_of(32, seed + step)
        logits = twin(torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, torch.from_numpy(batch.labels)
        )
        adagrad.zero_grad()
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(twin.parameters(), clip)
        for group in adagrad.param_groups:
            group["lr"] = rate_of(step)
        adagrad.step()
        torch.testing.assert_close(learner.step(batch), loss.detach())
    for name, weight in subnet.state_dict().items():
        torch.testing.assert_close(weight, twin.state_dict()[name], msg=name)


def test_the_rate_is_zero_after_the_last_step_and_tables_stay_in_a_second_epoch():
    learner = Learner(Subnet(TERM, FEATURES), RetrainConfig.paper(), RATE, 4)
    for step in range(4):
        learner.step(batch_of(32, step))
    before = learner.subnet.embedding.table.detach().clone()
    learner.begin_epoch(1)
    assert torch.equal(learner.subnet.embedding.table, before)
    learner.step(batch_of(32, 5))  # beyond the end, where half a cosine has come down to 0
    assert torch.equal(learner.subnet.embedding.table, before)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "log"
    generate_synthetic(path, rows=4000, seed=1)
    return Dataset.open(path, min_count=4)


def test_a_training_in_parts_is_the_same_and_beats_the_constant(dataset, tmp_path):
    config = RetrainConfig.paper(batch_size=64, learning_rates=(0.1,))
    whole = retrain(GENOTYPE, dataset, tmp_path / "whole", config)
    parts = replace(config, evaluations_per_epoch=4)
    train_epochs(GENOTYPE, dataset, tmp_path / "quarter", parts, epochs=0.25)
    continued = retrain(GENOTYPE, dataset, tmp_path / "quarter", parts)
    alone = retrain(GENOTYPE, dataset, tmp_path / "alone", parts)
    assert continued.test_log_loss == alone.test_log_loss
    assert whole.validation_history[-1] == alone.validation_history[-1]
    assert whole.test_log_loss < constant_log_loss(dataset) - 0.005


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"optimizer": "sgd"}, "optimizer: expected one of adam, adagrad, got 'sgd'"),
        ({"optimizer": "adagrad", "embedding_rate": 0.1}, "embedding_rate: expected only with"),
        ({"epsilon": 0.1}, "epsilon: expected only with optimizer = 'adagrad'"),
        ({"optimizer": "adagrad", "epsilon": 0.0}, "epsilon: expected a finite number above 0"),
        ({"optimizer": "adagrad", "clip_norm": math.nan}, "clip_norm: expected a finite number"),
        ({"optimizer": "adagrad", "rate_warmup_fraction": 2.0}, "rate_warmup_fraction: expected 0"),
        ({"initialization": "x"}, "initialization: expected"),
    ],
)
def test_options_out_of_range_or_unread_are_refused(options, sentence):
    with pytest.raises(StudyError, match=sentence):
        RetrainConfig(**options)
