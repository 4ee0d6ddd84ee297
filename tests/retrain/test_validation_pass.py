"""Kept weights learn the validation rows, after these have made all choices."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from retrain.cases import GENOTYPE
from sklearn.metrics import log_loss as sklearn_log_loss

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.retrain import RetrainConfig, answers_of, predict, retrain, train_epochs
from nasrec_opt.retrain._learner import Learner
from nasrec_opt.retrain._training import VALIDATION_PASS, Training
from nasrec_opt.supernet import Subnet, start_at_click_rate

CONFIG = RetrainConfig(batch_size=64, epochs=3, seed=2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "log"
    generate_synthetic(path, rows=2000, seed=1)
    return Dataset.open(path, min_count=2, binned_dense=True)


@pytest.fixture(scope="module")
def both(dataset, tmp_path_factory):
    """The same training without and with the pass."""
    folder = tmp_path_factory.mktemp("models")
    return [
        retrain(
            GENOTYPE, dataset, folder / name, dataclasses.replace(CONFIG, validation_pass=is_on)
        )
        for name, is_on in (("without", False), ("with", True))
    ]


def test_all_choices_and_validation_figures_are_from_before_the_pass(dataset, both):
    without, with_pass = both
    for name in ("validation_log_loss", "validation_auc", "validation_history", "best_step"):
        assert getattr(without, name) == getattr(with_pass, name)
    labels = dataset.split("validation").labels
    assert len(without.weights()) == len(with_pass.weights()) == 2
    for one, other in zip(without.weights(), with_pass.weights(), strict=True):
        computed, _ = predict(Subnet.load(one), dataset.split("validation"))
        np.testing.assert_array_equal(answers_of(other, dataset, "validation"), computed)
        after, _ = predict(Subnet.load(other), dataset.split("validation"))
        chances = (torch.sigmoid(torch.from_numpy(x).double()).numpy() for x in (computed, after))
        before, now = (sklearn_log_loss(labels, chance) for chance in chances)
        assert now < before - 0.005  # it has learnt these rows


def test_answers_to_other_rows_are_those_of_the_weights(dataset, both):
    for weights in both[1].weights():
        for split in ("train", "test"):
            expected, _ = predict(Subnet.load(weights), dataset.split(split))
            np.testing.assert_array_equal(answers_of(weights, dataset, split), expected)


@pytest.mark.parametrize("genotype", [GENOTYPE, dataclasses.replace(GENOTYPE, wide=False)])
def test_the_pass_makes_the_epoch_longer(dataset, tmp_path, genotype):
    config = dataclasses.replace(CONFIG, epochs=1, evaluations_per_epoch=1, averaging=0.0)
    model = retrain(genotype, dataset, tmp_path, config)
    subnet = Subnet(genotype, dataset.features, config.seed)
    start_at_click_rate(subnet, dataset.split("train").labels)
    training = Training(dataset, config)
    learner = Learner(subnet, config.for_rows(1600), config.learning_rates[0], training.steps)
    learner.begin_epoch(0)
    for split, epoch in (("train", 0), ("validation", VALIDATION_PASS)):
        for batch in training._batches_of(dataset.split(split), epoch):
            learner.step(batch)
    saved = Subnet.load(model.path / "model").state_dict()
    for name, weight in subnet.state_dict().items():
        torch.testing.assert_close(saved[name], weight, atol=1e-6, rtol=1e-5)


def test_a_training_that_was_begun_before_the_pass_existed_ends_without_one(
    dataset, both, tmp_path
):
    old = dataclasses.replace(CONFIG, validation_pass=False)
    train_epochs(GENOTYPE, dataset, tmp_path, old, epochs=3)
    state = tmp_path / "training.safetensors"
    content = state.read_bytes().replace(
        b'\\"validation_pass\\": false', b'\\"validation_pass\\": true '
    )
    assert content != state.read_bytes()
    state.write_bytes(content)
    model = retrain(GENOTYPE, dataset, tmp_path, CONFIG)
    assert model.test_log_loss == both[0].test_log_loss


def test_adagrad_has_no_pass(dataset, tmp_path):
    config = RetrainConfig.paper(batch_size=64, learning_rates=(0.1,), refit=False)
    model = retrain(GENOTYPE, dataset, tmp_path, config)
    logits, _ = predict(Subnet.load(model.weights()[0]), dataset.split("validation"))
    np.testing.assert_array_equal(answers_of(model.weights()[0], dataset, "validation"), logits)
    with pytest.raises(StudyError, match="validation_pass: expected only with optimizer = 'adam'"):
        dataclasses.replace(config, validation_pass=False)
