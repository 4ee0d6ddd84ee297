"""Training begins at the click rate: a model that knows nothing answers as the constant does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.data import Dataset, Schema, prepare
from nasrec_opt.oracle import OracleOptions, Scratch, SupernetOracle
from nasrec_opt.retrain import RetrainConfig, constant, constant_log_loss, retrain
from nasrec_opt.space import Genotype, SearchSpace
from nasrec_opt.supernet import (
    Subnet,
    Supernet,
    TrainConfig,
    log_odds,
    start_at_click_rate,
    train_supernet,
)

SPACE = SearchSpace.nasrec_small(num_blocks=2)
GENOTYPE = SPACE.sample(np.random.default_rng(0))


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_log_odds_are_finite_and_those_of_the_smoothed_rate(clicks, rows):
    clicks = min(clicks, rows)
    found = log_odds(np.repeat([1, 0], [clicks, rows - clicks]).astype(np.uint8))
    rate = (clicks + 0.5) / (rows + 1)
    assert found == pytest.approx(math.log(rate / (1 - rate)))


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Dataset:
    """3,000 rows with 3 clicks."""
    folder = tmp_path_factory.mktemp("few")
    rng = np.random.default_rng(0)
    clicks = set(rng.choice(3000, 3, replace=False).tolist())
    rows = [
        f"{int(i in clicks)},{rng.integers(500)},c{rng.integers(40)},d{rng.integers(5)}"
        for i in range(3000)
    ]
    (folder / "log.csv").write_text("\n".join(["y,a,u,v", *rows]))
    return prepare(folder / "log.csv", folder / "log", format=Schema(label="y", dense=("a",)))


@pytest.mark.parametrize("network", ["supernet", "subnet"])
def test_with_no_other_output_the_log_loss_is_that_of_the_constant(few, network):
    if network == "supernet":
        model = Supernet(SPACE, few.features, seed=0)
    else:
        model = Subnet(GENOTYPE, few.features, 0)
    start_at_click_rate(model, few.split("train").labels)
    with torch.no_grad():
        for name, weight in model.final.named_parameters():
            if name != "bias":
                weight.zero_()
    test = few.split("test").rows(slice(None))
    given = (torch.from_numpy(test.dense), torch.from_numpy(test.sparse))
    with torch.inference_mode():
        logits = model(GENOTYPE, *given) if network == "supernet" else model(*given)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        logits.double(), torch.from_numpy(test.labels).double()
    )
    assert float(loss) == pytest.approx(constant_log_loss(few), abs=1e-6)


def test_a_model_of_few_clicks_stays_near_the_constant(few, tmp_path):
    model = retrain(GENOTYPE, few, tmp_path / "model", RetrainConfig())
    assert model.test_log_loss < constant(few).test_log_loss + 0.02  # it was 0.1 behind
    assert model.validation_auc is None or 0 <= model.validation_auc <= 1


def test_the_supernet_and_scratch_begin_at_the_click_rate(few, tmp_path):
    supernet = Supernet(SPACE, few.features, seed=0)
    train_supernet(supernet, few, tmp_path / "supernet", TrainConfig(learning_rate=1e-9))
    assert float(supernet.final.bias.detach()) == pytest.approx(
        log_odds(few.split("train").labels), abs=1e-3
    )
    oracle = SupernetOracle(
        supernet,
        few,
        OracleOptions(fidelity="scratch", scratch=Scratch(learning_rate=1e-9, evaluations=1)),
    )
    rate = constant(few).validation_log_loss
    assert oracle.evaluate(GENOTYPE).log_loss < rate + 0.05  # from a logit of 0 it is 0.69


def test_a_model_of_one_class_has_no_auc(tmp_path):
    rows = [f"{int(i == 0)},{i % 9},c{i % 4}" for i in range(200)]
    (tmp_path / "log.csv").write_text("\n".join(["y,a,u", *rows]))
    schema = Schema(label="y", dense=("a",), sparse=("u",))
    dataset = prepare(tmp_path / "log.csv", tmp_path / "log", format=schema)
    model = retrain(GENOTYPE, dataset, tmp_path / "model", RetrainConfig(epochs=1))
    of_one_class = [name for name in ("validation", "test") if not dataset.meta["clicks"][name]]
    assert of_one_class
    for name in of_one_class:
        assert getattr(model, f"{name}_auc") is None
    again = retrain(GENOTYPE, dataset, tmp_path / "model", RetrainConfig(epochs=1))
    assert again == model
    assert isinstance(again.genotype, Genotype)
