from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss as sklearn_log_loss

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.retrain import RetrainConfig, answers_of, constant_log_loss, predict, retrain
from nasrec_opt.space import BlockGene, Genotype, SearchSpace
from nasrec_opt.supernet import Subnet, Supernet

GENOTYPE = Genotype(
    (
        BlockGene(dense_ops=("fc",), dense_width=32, sparse_width=16),
        BlockGene(
            dense_ops=("dot",),
            dense_width=32,
            sparse_width=16,
            dense_inputs=(0, 1),
            sparse_inputs=(0, 1),
            sparse_to_dense=True,
        ),
    ),
    space="nasrec_small",
)
RATES = (1e-3, 3e-3)
CONFIG = RetrainConfig(batch_size=128, epochs=2, learning_rates=RATES)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "log"
    generate_synthetic(path, rows=4000, seed=1)
    return Dataset.open(path, min_count=4, binned_dense=True)


@pytest.fixture(scope="module")
def model(dataset, tmp_path_factory):
    return retrain(GENOTYPE, dataset, tmp_path_factory.mktemp("model"), CONFIG)


def test_a_model_beats_the_constant(model, dataset):
    assert model.test_log_loss < constant_log_loss(dataset) - 0.005
    assert model.test_auc > 0.55


def test_saved_weights_give_the_reported_figures(model, dataset):
    subnet = Subnet.load(model.path / "model")
    rows = dataset.split("test").rows(slice(None))
    with torch.inference_mode():
        logits = subnet(torch.from_numpy(rows.dense), torch.from_numpy(rows.sparse))
    answers = torch.sigmoid(logits.double()).numpy()
    assert model.test_log_loss == pytest.approx(sklearn_log_loss(rows.labels, answers), abs=1e-6)


def test_the_weights_of_another_epoch_are_the_best_of_it(dataset, tmp_path):
    config = dataclasses.replace(CONFIG, learning_rates=(3e-3,), epochs=3)
    model, epoch_steps = retrain(GENOTYPE, dataset, tmp_path, config), 3200 // 128
    best, history = model.best_step, dict(model.validation_history)
    elsewhere = [
        value
        for step, value in history.items()
        if (step - 1) // epoch_steps != (best - 1) // epoch_steps
    ]
    kept, other = (Subnet.load(folder) for folder in model.weights())
    logits = answers_of(model.weights()[1], dataset, "validation")
    labels = dataset.split("validation").labels
    found = sklearn_log_loss(labels, torch.sigmoid(torch.from_numpy(logits).double()).numpy())
    assert found == pytest.approx(min(elsewhere), abs=1e-6)
    assert not torch.equal(kept.embedding.table, other.embedding.table)


def test_dot_products_are_balanced_as_in_the_supernet_or_as_said(dataset, tmp_path):
    space = SearchSpace.nasrec_small(num_blocks=2)
    supernet = Supernet(space, dataset.features, balance=False)
    config = dataclasses.replace(CONFIG, learning_rates=(1e-3,), epochs=1)
    for name, balance, given, expected in (
        ("alone", None, None, True),
        ("with", None, supernet, False),
        ("said", True, supernet, True),
    ):
        folder = tmp_path / name
        how = dataclasses.replace(config, balance=balance)
        retrain(GENOTYPE, dataset, folder, how, supernet=given)
        subnet = Subnet.load(folder / "model")
        assert subnet.balance == expected
        assert any("balance" in weight for weight, _ in subnet.named_parameters()) == expected


def test_the_best_weights_on_validation_are_kept(model):
    steps, losses = zip(*model.validation_history, strict=True)
    assert model.validation_log_loss == pytest.approx(min(losses), abs=1e-6)
    assert model.best_step == steps[int(np.argmin(losses))]


def test_one_seed_gives_one_model_and_another_seed_another(model, dataset, tmp_path):
    again = retrain(GENOTYPE, dataset, tmp_path / "again", CONFIG)
    assert again.validation_history == model.validation_history
    assert again.test_log_loss == model.test_log_loss
    other = retrain(GENOTYPE, dataset, tmp_path / "other", dataclasses.replace(CONFIG, seed=1))
    assert other.test_log_loss != model.test_log_loss


def test_a_finished_model_is_read_and_not_trained(model, dataset):
    steps = []
    again = retrain(
        GENOTYPE, dataset, model.path, CONFIG, progress=lambda done, total: steps.append(done)
    )
    assert again == model
    assert not steps


def test_another_configuration_replaces_a_finished_model(dataset, tmp_path):
    quick = dataclasses.replace(CONFIG, epochs=1, learning_rates=(1e-3,))
    first = retrain(GENOTYPE, dataset, tmp_path, quick)
    second = retrain(GENOTYPE, dataset, tmp_path, dataclasses.replace(quick, batch_size=256))
    assert second.validation_history != first.validation_history
    assert (
        retrain(GENOTYPE, dataset, tmp_path, dataclasses.replace(quick, batch_size=256)) == second
    )


def test_an_interrupted_training_leaves_nothing_that_looks_finished(dataset, tmp_path):
    quick = dataclasses.replace(CONFIG, epochs=1, learning_rates=(1e-3,))

    def interrupt(done, total):
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retrain(GENOTYPE, dataset, tmp_path / "killed", quick, progress=interrupt)
    resumed = retrain(GENOTYPE, dataset, tmp_path / "killed", quick)
    alone = retrain(GENOTYPE, dataset, tmp_path / "alone", quick)
    assert resumed.test_log_loss == alone.test_log_loss


def test_the_result_is_json_and_names_data_and_configuration(model, dataset):
    result = json.loads((model.path / "result.json").read_text())
    assert result["wanted"]["dataset"] == dataset.fingerprint
    assert result["wanted"]["config"]["batch_size"] == 128
    assert Genotype.from_dict(result["figures"]["genotype"]) == GENOTYPE


@pytest.mark.parametrize("batch_size", [128, 2000])
def test_a_rate_trial_of_a_whole_epoch_is_the_first_epoch(dataset, tmp_path, batch_size):
    config = RetrainConfig(
        batch_size=batch_size, epochs=1, learning_rates=RATES, trial_fraction=1.0
    )
    model = retrain(GENOTYPE, dataset, tmp_path, config)
    assert model.best_step == 3200 // batch_size
    assert model.validation_log_loss == pytest.approx(min(model.rate_trials.values()), abs=1e-6)


def test_choices_while_training_see_rows_from_the_whole_split(dataset):
    subnet = Subnet(GENOTYPE, dataset.features)
    split = dataset.split("validation")
    logits, labels = predict(subnet, split, 100)
    whole, _ = predict(subnet, split)
    index = np.arange(100) * split.num_rows // 100
    np.testing.assert_array_equal(labels, split.labels[index])
    np.testing.assert_allclose(logits, whole[index], rtol=1e-4, atol=1e-6)


def test_no_choice_reads_the_test_rows(dataset, tmp_path, monkeypatch):
    read = []
    split = Dataset.split

    def watched(self, name):
        read.append(name)
        return split(self, name)

    monkeypatch.setattr(Dataset, "split", watched)
    quick = dataclasses.replace(CONFIG, epochs=1, learning_rates=(1e-3,))
    seen_while_training = []
    retrain(
        GENOTYPE,
        dataset,
        tmp_path,
        quick,
        progress=lambda done, total: seen_while_training.extend(read),
    )
    assert "train" in seen_while_training
    assert "test" not in seen_while_training
    assert read.count("test") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rates": ()},
        {"learning_rates": (0.0,)},
        {"epochs": 0},
        {"averaging": 1.0},
        {"trial_fraction": 0.0},
        {"evaluation_rows": 0},
    ],
)
def test_a_configuration_that_cannot_be_is_refused_by_name(wrong):
    with pytest.raises(StudyError, match=next(iter(wrong))):
        RetrainConfig(**wrong)
