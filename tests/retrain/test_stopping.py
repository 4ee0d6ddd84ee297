"""When learning rates are compared, and when training ends: by the log, not by a fixed share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.retrain import RetrainConfig, constant
from nasrec_opt.retrain._training import BEATEN, TRIAL_GROWTH, TRIAL_STEPS, History, Training
from nasrec_opt.space import BlockGene, Genotype
from nasrec_opt.supernet import Subnet, start_at_click_rate

GENOTYPE = Genotype((BlockGene(dense_width=16, sparse_width=16),), space="nasrec_small")
EPOCH = 1200 // 32


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path: Path = tmp_path_factory.mktemp("data") / "log"
    generate_synthetic(path, rows=1500, seed=1)
    return Dataset.open(path, binned_dense=True)


def trained(dataset: Dataset, **options) -> History:
    subnet = Subnet(GENOTYPE, dataset.features, 0)
    start_at_click_rate(subnet, dataset.split("train").labels)
    return Training(dataset, RetrainConfig(**options)).run(subnet)


def test_rates_are_compared_when_one_of_them_beats_the_constant(dataset):
    found = trained(dataset, epochs=3, learning_rates=(1e-3, 3e-3))
    rate = constant(dataset).validation_log_loss
    assert min(found.rate_trials.values()) < BEATEN * rate
    assert found.validation[0] == (TRIAL_STEPS, min(found.rate_trials.values()))


def test_rates_that_teach_nothing_are_tried_for_longer_and_not_for_ever(dataset):
    slow = {"learning_rates": (1e-9, 2e-9), "embedding_rate": 1e-9}
    found = trained(dataset, **slow, least_steps=0, patience=0)
    rate = constant(dataset).validation_log_loss
    assert min(found.rate_trials.values()) >= BEATEN * rate
    assert found.validation[0][0] == TRIAL_GROWTH * TRIAL_STEPS
    assert trained(dataset, **slow, epochs=2).validation[0][0] == 2 * EPOCH  # all there is


def test_a_share_that_is_given_is_the_trial(dataset):
    found = trained(dataset, trial_fraction=0.2, epochs=1, learning_rates=(1e-9, 2e-9))
    assert found.validation[0][0] == round(0.2 * EPOCH)


@pytest.mark.parametrize(("least_steps", "patience"), [(0, 0), (200, 0), (0, 150), (250, 80)])
def test_training_ends_with_the_epoch_in_which_patience_does(dataset, least_steps, patience):
    found = trained(
        dataset, epochs=40, least_steps=least_steps, patience=patience, learning_rates=(3e-3,)
    )
    steps, losses = (np.array(column) for column in zip(*found.validation, strict=True))
    best = [int(steps[: i + 1][np.argmin(losses[: i + 1])]) for i in range(len(steps))]
    waited = max(patience, EPOCH)
    over = [
        step
        for step, at in zip(steps, best, strict=True)
        if step % EPOCH == 0 and step >= least_steps and step - at >= waited
    ]
    assert over == [steps[-1]]  # there, and at no epoch's end before
    assert steps[-1] < 40 * EPOCH
    assert found.best_step == best[-1]


def test_no_more_epochs_than_are_given(dataset):
    found = trained(dataset, epochs=2, least_steps=10_000, learning_rates=(1e-3,))
    assert found.validation[-1][0] == 2 * EPOCH
    assert [step for step, _ in found.validation[:4]] == [9, 18, 28, 37]
