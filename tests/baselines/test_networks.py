"""Adapters of other libraries: they get our rows, and train as the libraries do."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss as expected_log_loss
from sklearn.metrics import roc_auc_score
from weighted_logs import weighted_and_repeated

from nasrec_opt.baselines import BASELINES, BaselineOptions, fit, train_baseline
from nasrec_opt.data import Batch, Dataset, generate_synthetic
from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.features import FeatureSpec

SMALL = BaselineOptions(hidden=(16, 8), embedding_dim=4, batch_size=64)
DEEPCTR = [name for name, spec in BASELINES.items() if spec.library == "deepctr-torch"]
NETWORKS = [name for name, spec in BASELINES.items() if spec.build]
FEATURES = FeatureSpec(2, (3, 5, 4))
ROWS = Batch(
    np.array([[0.5, -1.0], [2.0, 0.25]], np.float32),
    np.array([[2, 4, 0], [0, 1, 3]], np.int32),
    np.array([1, 0], np.float32),
)


def require(name: str) -> None:
    try:
        BASELINES[name].load()
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("log") / "log"
    generate_synthetic(folder, rows=600)
    return Dataset.open(folder, min_count=2, binned_dense=True)


def built(name, features=FEATURES, options=SMALL, seed=0):
    require(name)
    return BASELINES[name].build(features, options, seed)


@pytest.mark.parametrize("name", DEEPCTR)
def test_deepctr_torch_gets_exactly_our_rows(name):
    network = built(name)
    given = []
    network.module.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    network.click_probabilities(ROWS)
    [rows] = given
    columns = list(network.module.feature_index.values())
    assert columns == [(n, n + 1) for n in range(5)]  # C0, C1, C2, I0, I1
    assert rows.tolist() == [[2, 4, 0, 0.5, -1.0], [0, 1, 3, 2.0, 0.25]]
    tables = {t.shape[0] for t in network.tables}
    assert tables == {3, 5, 4}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_value_reads_the_embedding_of_its_own_column(name):
    """A value's embedding changes exactly the rows that have the value."""
    network = built(name)
    network.module.eval()
    with torch.no_grad():
        for weight in network.module.parameters():
            weight.uniform_(0.01, 0.06)
    before = network.click_probabilities(ROWS)
    widest = [table for table in network.tables if table.shape[1] == 4]
    assert [table.shape[0] for table in widest] == [3, 5, 4]
    for column, table in enumerate(widest):
        for value in range(table.shape[0]):
            kept = table[value].detach().clone()
            with torch.no_grad():
                table[value] = 0.5
            changed = network.click_probabilities(ROWS) != before
            with torch.no_grad():
                table[value] = kept
            assert changed.tolist() == (ROWS.sparse[:, column] == value).tolist()


@pytest.mark.parametrize("name", NETWORKS)
def test_dense_columns_are_read(name):
    network = built(name)
    with torch.no_grad():
        for weight in network.module.parameters():
            weight.uniform_(0.01, 0.06)
    before = network.click_probabilities(ROWS)
    for column in range(2):
        dense = ROWS.dense.copy()
        dense[1, column] += 1
        changed = network.click_probabilities(ROWS._replace(dense=dense)) != before
        assert changed.tolist() == [False, True]


def test_a_step_is_that_of_deepctr_torch(dataset):
    here, there = (built("deepfm", dataset.features, SMALL, 3) for _ in range(2))
    batch = dataset.split("train").rows(slice(0, 64))
    adam = torch.optim.Adam(here.module.parameters(), 1e-3)
    here.module.train()
    here.loss(batch).backward()
    adam.step()
    model = there.module
    model.compile(torch.optim.Adam(model.parameters(), 1e-3), "binary_crossentropy")
    with contextlib.redirect_stdout(io.StringIO()):
        columns = list(np.concatenate([batch.sparse, batch.dense], axis=1).T)
        model.fit(columns, batch.labels, batch_size=64, epochs=1, verbose=0, shuffle=False)
    for one, other in zip(here.module.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["dlrm", "finalmlp"])
def test_the_loss_is_the_sum_of_log_losses_and_the_penalty(name):
    options = BaselineOptions(hidden=(16, 8), embedding_dim=4, l2=0.5)
    network = built(name, options=options)
    network.module.eval()
    chances = network.click_probabilities(ROWS)
    losses = -np.log(np.where(ROWS.labels == 1, chances, 1 - chances)).sum()
    penalty = 0.5 * sum(float(table.detach().square().sum()) for table in network.tables)
    assert network.loss(ROWS).item() == pytest.approx(losses + penalty, rel=1e-5)


def test_dlrm_is_the_formula_of_its_paper():
    network = built("dlrm")
    network.module.eval()
    named = dict(network.module.named_parameters())

    def layer(name, inputs):
        return np.maximum(inputs @ named[f"{name}.weight"].T + named[f"{name}.bias"], 0)

    with torch.no_grad():
        named = {key: weight.double().numpy() for key, weight in named.items()}
        dense = layer("dense_arch.model._mlp.0._linear", ROWS.dense)
        dense = layer("dense_arch.model._mlp.1._linear", dense)
        tables = [table.double().numpy() for table in network.tables]
    vectors = np.stack(
        [dense, *(table[ids] for table, ids in zip(tables, ROWS.sparse.T, strict=True))], axis=1
    )
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    products = np.stack([(vectors[:, i] * vectors[:, j]).sum(1) for i, j in pairs], axis=1)
    inputs = np.concatenate([dense, products], axis=1)
    hidden = layer("over_arch.model.0._mlp.0._linear", inputs)
    hidden = layer("over_arch.model.0._mlp.1._linear", hidden)
    last = hidden @ named["over_arch.model.1.weight"].T + named["over_arch.model.1.bias"]
    assert network.click_probabilities(ROWS) == pytest.approx(1 / (1 + np.exp(-last[:, 0])))


def test_mflops_and_parameters_of_an_mlp_are_those_worked_out_by_hand():
    # 3 embeddings of 4 and 2 dense values into 16, then 8, then 1; 2 dense first-order weights.
    network = built("wide-deep")
    inputs = 3 * 4 + 2
    macs = inputs * 16 + 16 * 8 + 8 + 2
    row = Batch(ROWS.dense[:1], ROWS.sparse[:1], ROWS.labels[:1])
    assert network.mflops(row) == pytest.approx(macs / 1e6)
    assert network.parameters == macs + 16 + 8 + 1  # biases of both layers and of the logit
    assert network.embedding_parameters == (3 + 5 + 4) * (4 + 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_model_learns(name, dataset):
    require(name)
    scored: list[float] = []
    fitted = fit(BASELINES[name].build, SMALL, dataset, 0, report=lambda _, v: scored.append(v))
    assert fitted.log_loss("validation") == pytest.approx(min(scored))  # the best weights
    assert scored[0] > min(scored)


@pytest.mark.parametrize("name", ["wide-deep", "dlrm", "finalmlp", "logistic-regression"])
def test_figures_are_those_of_scikit_learn(name, dataset):
    require(name)
    found = train_baseline(name, dataset, SMALL, seed=1)
    labels = dataset.split("test").labels
    chances = 1 / (1 + np.exp(-found.test_logits.astype(np.float64)))
    assert found.test_log_loss == pytest.approx(expected_log_loss(labels, chances))
    assert found.test_auc == pytest.approx(roc_auc_score(labels, chances))
    assert math.isfinite(found.validation_log_loss)


@pytest.mark.parametrize("name", ["autoint", "dlrm", "finalmlp"])
def test_the_seed_decides_all(name, dataset):
    require(name)
    options = BaselineOptions(
        hidden=(8,), embedding_dim=4, batch_size=64, dropout=0.3, learning_rate=0.02
    )
    state = torch.get_rng_state()
    first, again, other = (train_baseline(name, dataset, options, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.test_logits, again.test_logits)
    assert not np.array_equal(first.test_logits, other.test_logits)
    assert torch.equal(torch.get_rng_state(), state)  # the caller's stream is not touched


def test_what_a_library_cannot_read_is_one_sentence():
    with pytest.raises(StudyError, match="expected at most 16,777,216 values"):
        built("deepfm", FeatureSpec(1, (1 << 25,)))
    with pytest.raises(StudyError, match="expected a log with dense columns"):
        built("dlrm", FeatureSpec(0, (3,)))


@pytest.mark.parametrize(
    "change",
    [{"l2": -1.0}, {"dropout": 1.0}, {"learning_rate": 0.0}, {"hidden": ()}, {"batch_size": 0}],
)
def test_options_are_checked(change):
    [name] = change
    with pytest.raises(StudyError, match=f"^{name}: expected"):
        BaselineOptions(**change)
    assert BaselineOptions.from_dict(SMALL.to_dict()) == SMALL


def test_kept_weights_learn_the_validation_rows_after_all_choices(dataset):
    require("deepfm")
    alone = fit(BASELINES["deepfm"].build, SMALL, dataset, 0)
    before = alone.log_loss("validation"), alone.log_loss("test")
    alone.learn_validation()
    assert alone.log_loss("validation") < before[0]
    assert alone.log_loss("test") != before[1]
    model = train_baseline("deepfm", dataset, SMALL)
    assert model.validation_log_loss == pytest.approx(before[0], abs=1e-6)
    assert model.test_log_loss == pytest.approx(alone.log_loss("test"), abs=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_of_weight_two_is_two_rows(name):
    """The losses of rows are summed with their weights; penalties are not."""
    network = built(name)
    network.module.eval()
    twice = Batch(*(array[[0, 0, 1]] for array in ROWS[:3]))
    weighted = ROWS._replace(weights=np.array([2, 1], np.float32))
    losses = [network.loss(rows).item() for rows in (weighted, twice, ROWS)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] != pytest.approx(losses[2], rel=1e-2)


@pytest.mark.parametrize("name", NETWORKS[:1])
def test_a_training_reads_weights(name, tmp_path):
    log, _ = weighted_and_repeated(tmp_path, rows=600)
    require(name)
    trained = train_baseline(name, log, SMALL)
    test = log.split("test")
    chances = 1 / (1 + np.exp(-trained.test_logits.astype(float)))
    expected = expected_log_loss(test.labels, chances, sample_weight=test.weights)
    assert trained.test_log_loss == pytest.approx(expected, rel=1e-5)
    area = roc_auc_score(test.labels, chances, sample_weight=test.weights)
    assert trained.test_auc == pytest.approx(area)
    fitted = fit(BASELINES[name].build, SMALL, log, 0)
    chances = fitted.click_probabilities("validation")
    held_out = log.split("validation")
    expected = expected_log_loss(held_out.labels, chances, sample_weight=held_out.weights)
    assert fitted.log_loss("validation") == pytest.approx(expected, rel=1e-5)
