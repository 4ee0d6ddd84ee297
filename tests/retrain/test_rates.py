"""Learning rates are compared in turn, and a training continues from any of its steps."""

from __future__ import annotations

import gc

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.retrain import RetrainConfig, RetrainedModel, _job, retrain
from nasrec_opt.retrain._job import STATE
from nasrec_opt.space import BlockGene, Genotype
from nasrec_opt.supernet import Subnet

GENOTYPE = Genotype((BlockGene(dense_width=16, sparse_width=16),), space="nasrec_small")
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-9)
SMALL = {"batch_size": 100, "epochs": 2, "evaluations_per_epoch": 4, "trial_fraction": 0.25}
ADAGRAD = {"optimizer": "adagrad", "epsilon": 1e-2}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "log"
    generate_synthetic(path, rows=1000, seed=1)
    return Dataset.open(path, min_count=2)


def figures(model: RetrainedModel) -> dict:
    return {**model.to_dict(), "seconds": None}


def test_a_rate_is_scored_as_a_training_with_it_alone(dataset, tmp_path):
    found = retrain(GENOTYPE, dataset, tmp_path, RetrainConfig(**SMALL, learning_rates=RATES))
    alone = {
        rate: retrain(
            GENOTYPE,
            dataset,
            tmp_path / f"{rate}",
            RetrainConfig(**SMALL, learning_rates=(rate,)),
        )
        for rate in RATES
    }
    assert found.rate_trials == {r: m.validation_history[0][1] for r, m in alone.items()}
    chosen = min(found.rate_trials, key=lambda rate: found.rate_trials[rate])
    assert found.learning_rate == chosen
    assert found.validation_history == alone[chosen].validation_history
    assert found.test_log_loss == alone[chosen].test_log_loss


@pytest.mark.parametrize("options", [{}, ADAGRAD], ids=["adam", "adagrad"])
def test_two_models_are_in_memory_however_many_rates_there_are(dataset, tmp_path, options):
    rows = len(Subnet(GENOTYPE, dataset.features).embedding.table)
    most = 0

    def count(done: int, of: int | None) -> None:
        nonlocal most
        gc.collect()
        alive = [o for o in gc.get_objects() if isinstance(o, nn.Parameter) and len(o) == rows]
        most = max(most, len(alive))

    config = RetrainConfig(**SMALL, **options, learning_rates=RATES)
    gc.collect()
    gc.freeze()  # what is there already is not looked through at every step
    try:
        retrain(GENOTYPE, dataset, tmp_path, config, progress=count)
    finally:
        gc.unfreeze()
    assert most == 2


class StoppedError(Exception):
    pass


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stops=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    config=st.sampled_from(
        [
            RetrainConfig(**SMALL, learning_rates=(1e-3, 3e-3)),
            RetrainConfig(**SMALL, learning_rates=(1e-9, 2e-9, 3e-9)),
            RetrainConfig(**SMALL, **ADAGRAD, learning_rates=(0.1, 0.01)),
            RetrainConfig(**SMALL, learning_rates=(3e-3,)),
        ]
    ),
)
def test_a_training_that_is_stopped_anywhere_ends_as_the_whole_one(
    dataset, tmp_path_factory, monkeypatch, stops, config
):
    monkeypatch.setattr(_job, "LEAST_S", 0.0)  # a checkpoint at every step
    monkeypatch.setattr(_job, "SHARE", 0)
    whole, parts = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("parts")
    most = 0

    def count(done: int, of: int | None) -> None:
        nonlocal most
        most = done

    expected = retrain(GENOTYPE, dataset, whole, config, progress=count)
    done_before = 0
    for stop in stops:

        def stops_at(done: int, of: int | None, stop: int = stop) -> None:
            if done > stop:
                raise StoppedError

        try:
            retrain(GENOTYPE, dataset, parts, config, progress=stops_at)
        except StoppedError:
            done_before += stop
            assert (parts / STATE).exists()
    steps: list[int] = [0]
    found = retrain(GENOTYPE, dataset, parts, config, progress=lambda done, _: steps.append(done))
    assert figures(found) == figures(expected)
    for weights in (model.weights() for model in (found, expected)):
        assert len(weights) == 2
    for one, other in zip(found.weights(), expected.weights(), strict=True):
        ours, theirs = Subnet.load(one).state_dict(), Subnet.load(other).state_dict()
        assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())
    # Nothing is done twice but the steps between a checkpoint and the stop.
    assert steps[-1] <= max(0, most - done_before) + len(stops)
    assert not list(parts.glob(f"*{STATE}*"))


def test_a_checkpoint_that_was_being_written_is_removed(dataset, tmp_path):
    torn = tmp_path / f".{STATE}.abc"
    torn.write_bytes(b"half")
    retrain(GENOTYPE, dataset, tmp_path, RetrainConfig(**SMALL))
    assert not torn.exists()
