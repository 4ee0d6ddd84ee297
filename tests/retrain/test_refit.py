"""The last training of the published recipe: anew, on training and validation rows together."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from retrain.cases import GENOTYPE

from nasrec_opt.data import Dataset, JoinedSplit, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.retrain import (
    RetrainConfig,
    _job,
    answers_of,
    log_loss,
    predict,
    retrain,
    train_epochs,
)
from nasrec_opt.retrain._job import STATE
from nasrec_opt.retrain._training import Training
from nasrec_opt.supernet import Subnet, start_at_click_rate

FLOAT = GENOTYPE.with_bits(32)
BATCH = 64
CONFIG = RetrainConfig.paper(batch_size=BATCH, seed=3)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "log"
    generate_synthetic(path, rows=1600, seed=1)
    return Dataset.open(path, min_count=2)


@pytest.fixture(scope="module")
def both(dataset, tmp_path_factory):
    """The same training without and with the second one."""
    folder = tmp_path_factory.mktemp("models")
    return [
        retrain(FLOAT, dataset, folder / f"{refit}", replace(CONFIG, refit=refit))
        for refit in (False, True)
    ]


def test_all_choices_and_validation_figures_are_those_of_the_first_training(dataset, both):
    without, refitted = both
    for name in (
        "learning_rate",
        "rate_trials",
        "validation_log_loss",
        "validation_auc",
        "validation_history",
        "best_step",
    ):
        assert getattr(without, name) == getattr(refitted, name)
    [first], [second] = without.weights(), refitted.weights()
    expected, labels = predict(Subnet.load(first), dataset.split("validation"))
    answers = answers_of(second, dataset, "validation")
    np.testing.assert_array_equal(answers, expected)
    assert log_loss(answers, labels) == refitted.validation_log_loss
    assert without.test_log_loss != refitted.test_log_loss
    test, clicks = predict(Subnet.load(second), dataset.split("test"))
    assert log_loss(test, clicks) == refitted.test_log_loss


def test_the_model_is_that_of_torch_adagrad_over_the_joined_rows(dataset, both):
    splits = [dataset.split(name) for name in ("train", "validation")]
    arrays = [split.rows(slice(None))[:3] for split in splits]  # no weights
    dense, sparse, labels = (
        torch.from_numpy(np.concatenate(columns)) for columns in zip(*arrays, strict=True)
    )
    steps, rate = len(labels) // BATCH, both[1].learning_rate
    assert steps > (splits[0].num_rows // BATCH) + 1
    seed = int(np.random.SeedSequence([CONFIG.seed, 0]).generate_state(1)[0])
    numbers = np.random.default_rng([seed, 1]).permutation(len(labels))  # one window of the loader
    options = {"initialization": "xavier", "layer_norm": False}
    subnet = Subnet(FLOAT, dataset.features, CONFIG.seed, **options)
    start_at_click_rate(subnet, splits[0].labels)
    adagrad = torch.optim.Adagrad(subnet.parameters(), lr=rate, eps=1e-2)
    for step in range(steps):
        rows = numbers[step * BATCH : (step + 1) * BATCH]
        logits = subnet(dense[rows], sparse[rows])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[rows])
        adagrad.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(subnet.parameters(), 5.0)
        for group in adagrad.param_groups:
            group["lr"] = rate_of(step, steps, rate)
        adagrad.step()
    saved = Subnet.load(both[1].weights()[0]).state_dict()
    for name, weight in subnet.state_dict().items():
        torch.testing.assert_close(saved[name], weight, atol=2e-5, rtol=1e-4, msg=name)


def rate_of(step: int, steps: int, rate: float) -> float:
    """A linear rise over a tenth of the steps, then half a cosine."""
    warmup = steps / 10
    if step < warmup:
        return rate * (step + 1) / (warmup + 1)
    return rate * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def test_the_second_training_reads_each_row_of_both_splits_once(dataset, monkeypatch):
    read: list[int] = []
    rows = JoinedSplit.rows

    def recorded(split: JoinedSplit, index):
        read.extend(index.tolist())
        return rows(split, index)

    count = sum(dataset.split(name).num_rows for name in ("train", "validation"))
    assert count % 5 == 0  # no row is left out
    training = Training(dataset, replace(CONFIG, batch_size=count // 5, learning_rates=(0.1,)))
    state = training.begin(lambda: Subnet(FLOAT, dataset.features))
    training.advance(state)
    assert not read
    monkeypatch.setattr(JoinedSplit, "rows", recorded)
    training.refit(state, lambda: Subnet(FLOAT, dataset.features))
    assert sorted(read) == list(range(count))


class StoppedError(Exception):
    pass


def stopped_after(steps: int):
    def stops(done: int, of: int | None) -> None:
        if done > steps:
            raise StoppedError

    return stops


@pytest.mark.parametrize("share", [0.4, 0.8])  # in the first training, and in the second
def test_a_training_that_is_stopped_ends_as_the_whole_one(
    dataset, both, tmp_path, monkeypatch, share
):
    monkeypatch.setattr(_job, "LEAST_S", 0.0)  # a checkpoint at every step
    monkeypatch.setattr(_job, "SHARE", 0)
    whole = both[1]
    training = Training(dataset, CONFIG)
    steps = int(share * training._most_steps)
    with pytest.raises(StoppedError):
        retrain(FLOAT, dataset, tmp_path, CONFIG, progress=stopped_after(steps))
    assert (tmp_path / STATE).exists()
    done: list[int] = []
    found = retrain(FLOAT, dataset, tmp_path, CONFIG, progress=lambda now, _: done.append(now))
    assert done[-1] == training._most_steps - steps  # nothing is done twice, the last step but one
    assert {**found.to_dict(), "seconds": 0} == {**whole.to_dict(), "seconds": 0}
    [ours], [theirs] = found.weights(), whole.weights()
    expected = Subnet.load(theirs).state_dict()
    assert all(torch.equal(w, expected[n]) for n, w in Subnet.load(ours).state_dict().items())
    np.testing.assert_array_equal(
        answers_of(ours, dataset, "validation"), answers_of(theirs, dataset, "validation")
    )


def test_a_part_that_is_asked_for_during_the_second_training_is_that_of_the_first(
    dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(_job, "LEAST_S", 0.0)
    monkeypatch.setattr(_job, "SHARE", 0)
    config = replace(CONFIG, batch_size=200, learning_rates=(0.1,), epochs=2)
    expected = train_epochs(FLOAT, dataset, tmp_path / "part", config, epochs=1)
    first = Training(dataset, config).steps
    with pytest.raises(StoppedError):
        retrain(FLOAT, dataset, tmp_path / "both", config, progress=stopped_after(first + 3))
    found = train_epochs(FLOAT, dataset, tmp_path / "both", config, epochs=1)
    assert (found.steps, found.log_loss) == (expected.steps, expected.log_loss)
    done: list[int] = []
    continued = retrain(
        FLOAT, dataset, tmp_path / "both", config, progress=lambda now, _: done.append(now)
    )
    assert len(done) < first  # the rest of the second training
    whole = retrain(FLOAT, dataset, tmp_path / "part", config)
    assert continued.test_log_loss == whole.test_log_loss


def test_an_early_end_is_kept_in_proportion(dataset):
    config = replace(CONFIG, learning_rates=(0.1,), epochs=4)
    training = Training(dataset, config)
    state = training.begin(lambda: Subnet(FLOAT, dataset.features))
    training.advance(state, training.epoch_steps)
    training.refit(state, lambda: Subnet(FLOAT, dataset.features))
    rows = JoinedSplit(dataset.split("train"), dataset.split("validation")).num_rows
    assert state.best.step == training.epoch_steps
    assert state.learner.steps == rows // BATCH
    assert state.learner.schedule == 4 * (rows // BATCH)


def test_only_adagrad_reads_it():
    with pytest.raises(StudyError, match="refit: expected only with optimizer = 'adagrad'"):
        RetrainConfig(refit=True)
