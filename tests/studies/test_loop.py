"""Trainings of a supernet that only studies have."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.oracle import SupernetOracle
from nasrec_opt.space import SearchSpace
from nasrec_opt.supernet import (
    SingleOperatorAnyConnection,
    Supernet,
    TrainConfig,
    WarmUp,
    train_supernet,
)
from studies._loop import Loop, WeightAverage, train_in_loop

SPACE = SearchSpace(
    name="tiny",
    num_blocks=2,
    dense_ops=("fc", "dot"),
    sparse_ops=("efc",),
    dense_widths=(16, 32),
    sparse_widths=(16,),
    bits=(32,),
)
CONFIG = TrainConfig(batch_size=16, epochs=2, learning_rate=0.03)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "dataset"
    generate_synthetic(folder, rows=600)
    return Dataset.open(folder)


@pytest.fixture
def train(dataset, tmp_path):
    def train(loop, config=CONFIG, name="looped"):
        supernet = Supernet(SPACE, dataset.features, 0)
        paths = WarmUp(SingleOperatorAnyConnection(SPACE), fraction=config.warmup_fraction)
        if loop is None:
            result = train_supernet(supernet, dataset, tmp_path / name, config)
        else:
            result = train_in_loop(supernet, dataset, tmp_path / name, config, loop, strategy=paths)
        return result, load_file(tmp_path / name / "weights.safetensors")

    return train


def test_without_options_it_is_the_librarys_training(train):
    (ours, mine), (its, theirs) = train(Loop()), train(None, name="its")
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert ours.steps == its.steps
    assert ours.train_log_loss == pytest.approx(its.train_log_loss)


@pytest.mark.parametrize(
    "loop",
    [Loop(average=0.5), Loop(constant_rate=True), Loop(fresh_tables=True), Loop(teacher_every=2)],
    ids=str,
)
def test_each_option_changes_the_weights_and_the_supernet_can_be_asked(
    train, dataset, tmp_path, loop
):
    result, weights = train(loop)
    _, plain = train(Loop(), name="plain")
    assert any(not torch.equal(weights[name], plain[name]) for name in weights)
    assert 0 < result.train_log_loss < 1
    oracle = SupernetOracle.load(tmp_path / "looped", dataset)
    assert 0 < oracle.evaluate(SPACE.sample(np.random.default_rng(0))).log_loss < 2


def test_an_average_is_the_mean_of_the_weights_that_were_added(dataset):
    supernet = Supernet(SPACE, dataset.features, 0)
    average = WeightAverage(supernet)
    for value in (1.0, 2.0, 6.0):
        with torch.no_grad():
            for weight in supernet.parameters():
                weight.fill_(value)
        average.add()
    average.put()
    assert all(bool((weight == 3.0).all()) for weight in supernet.parameters())


def test_a_fresh_table_forgets_values(train):
    """One pass has no second table; with two, the table is that of the second pass alone."""
    one = dataclasses.replace(CONFIG, epochs=1, embedding_rate=0.03)
    _, once = train(Loop(fresh_tables=True, constant_rate=True), one)
    _, plain = train(Loop(constant_rate=True), one, "plain")
    assert all(torch.equal(once[name], plain[name]) for name in plain)
    _, twice = train(Loop(fresh_tables=True, constant_rate=True), name="twice")
    _, kept = train(Loop(constant_rate=True), name="kept")
    name = "embedding.table"
    assert twice[name].norm() < kept[name].norm()
