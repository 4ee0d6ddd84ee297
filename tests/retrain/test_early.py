"""A training's first epochs as a model of its own, which changes nothing of the training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.retrain import (
    RetrainConfig,
    RetrainedModel,
    forget_early,
    has_early,
    log_loss,
    predict,
    retrain,
    retrain_early,
    train_epochs,
)
from nasrec_opt.space import BlockGene, Genotype
from nasrec_opt.supernet import Subnet

GENOTYPE = Genotype(
    (BlockGene(dense_ops=("fc",), dense_width=16, sparse_width=16),),
    space="nasrec_small",
    wide=True,
)
CONFIG = RetrainConfig(batch_size=64, epochs=3, learning_rates=(3e-3,), seed=2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "log"
    generate_synthetic(path, rows=1000, seed=1)
    return Dataset.open(path, min_count=2)


def weights(model: RetrainedModel) -> dict[str, bytes]:
    files = (file for folder in model.weights() for file in folder.iterdir())
    return {f"{file.parent.name}/{file.name}": file.read_bytes() for file in files}


def test_it_is_the_model_of_a_training_that_ends_there(dataset, tmp_path):
    """The recipe has no schedule over steps, so that fewer epochs are a shorter training."""
    early = retrain_early(GENOTYPE, dataset, tmp_path / "long", CONFIG, epochs=1)
    short = dataclasses.replace(CONFIG, epochs=1)
    alone = retrain(GENOTYPE, dataset, tmp_path / "short", short)
    assert weights(early) == weights(alone)
    assert early.test_log_loss == alone.test_log_loss
    assert early.path == tmp_path / "long" / "early"
    subnet = Subnet.load(early.path / "model")
    assert log_loss(*predict(subnet, dataset.split("test"))) == early.test_log_loss


@settings(max_examples=3, deadline=None)
@given(
    parts=st.lists(st.sampled_from([0.3, 1, 2]), max_size=3), epochs=st.sampled_from([0.5, 1, 2])
)
def test_the_training_comes_to_the_same_model(dataset, tmp_path_factory, parts, epochs):
    out = tmp_path_factory.mktemp("out")
    for part in parts:
        train_epochs(GENOTYPE, dataset, out / "parts", CONFIG, epochs=part)
        retrain_early(GENOTYPE, dataset, out / "parts", CONFIG, epochs=epochs)
    assert weights(retrain(GENOTYPE, dataset, out / "parts", CONFIG)) == weights(
        retrain(GENOTYPE, dataset, out / "whole", CONFIG)
    )


def test_it_is_read_until_the_finished_model_is_there(dataset, tmp_path):
    def steps() -> tuple[RetrainedModel, list[int]]:
        taken: list[int] = []
        model = retrain_early(
            GENOTYPE,
            dataset,
            tmp_path,
            CONFIG,
            epochs=1,
            progress=lambda done, _: taken.append(done),
        )
        return model, taken

    assert not has_early(GENOTYPE, dataset, tmp_path, CONFIG, 1)
    first, first_epoch = steps()
    assert first_epoch
    assert has_early(GENOTYPE, dataset, tmp_path, CONFIG, 1)
    assert not has_early(GENOTYPE, dataset, tmp_path, CONFIG, 2)
    again, taken = steps()
    assert (again, taken) == (first, [])
    more: list[int] = []
    finished = retrain(
        GENOTYPE, dataset, tmp_path, CONFIG, progress=lambda done, _: more.append(done)
    )
    assert len(more) == (CONFIG.epochs - 1) * len(first_epoch)  # it continued
    assert steps() == (finished, [])
    forget_early(tmp_path)
    assert steps() == (finished, [])
    assert finished.weights()


@pytest.mark.parametrize("epochs", [0, -1, float("nan"), float("inf")])
def test_a_number_of_epochs_that_no_training_has_is_refused(dataset, tmp_path: Path, epochs):
    with pytest.raises(StudyError, match="epochs: expected a finite number above 0, got"):
        retrain_early(GENOTYPE, dataset, tmp_path, CONFIG, epochs=epochs)
    assert not list(tmp_path.iterdir())
