"""The study of the first-order term: where a warm start begins, and what its table says."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.retrain import RetrainConfig
from nasrec_opt.space import BlockGene, Genotype
from nasrec_opt.supernet import Subnet
from studies import wide


def test_a_warm_start_is_the_logistic_regression_of_the_training_rows(tmp_path):
    generate_synthetic(tmp_path / "log", rows=400, seed=3)
    dataset = Dataset.open(tmp_path / "log", min_count=2, binned_dense=True)
    subnet = Subnet(Genotype((BlockGene(),), wide=True).with_bits(32), dataset.features)
    wide.begin_at_regression(subnet, dataset, 0.1)
    train = dataset.split("train").rows(slice(None))
    offsets = np.concatenate([[0], np.cumsum(dataset.features.cardinalities)[:-1]])
    one_hot = np.zeros((len(train.labels), sum(dataset.features.cardinalities)))
    np.put_along_axis(one_hot, train.sparse + offsets, 1.0, axis=1)
    fitted = LogisticRegression(C=0.1, max_iter=1000).fit(one_hot, train.labels)
    with torch.no_grad():
        weights = subnet.first_order_of(torch.from_numpy(train.sparse))
        found = subnet.first_order(32, torch.from_numpy(train.dense), weights) + subnet.final.bias
    np.testing.assert_allclose(found.numpy(), fitted.decision_function(one_hot), atol=2e-3)


def test_the_table_pairs_trainings_of_one_model_and_seed():
    def row(model: int, way: str, test: float) -> dict[str, object]:
        figures = {"test": test, "validation": test + 0.1, "regression": 0.55}
        return {"log": "a log", "model": model, "seed": 0, "way": way, **figures}

    rows = [row(0, "without", 0.5), row(1, "without", 0.6), row(2, "without", 0.9)]
    rows += [row(0, "with", 0.48), row(1, "with", 0.59)]  # the third is not there yet
    table = wide.as_table(rows, ["a log", "another"])
    _, _, line = table.splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    # Differences -0.02 and -0.01: their mean, and their standard deviation over the root of 2.
    assert cells == [
        "a log", "2", "0.5500", "0.5500", "0.5350", "-0.0150 ± 0.0050", "-0.0150 ± 0.0050", "-",
    ]  # fmt: skip


def test_a_way_that_is_none_is_one_sentence(tmp_path, capsys):
    assert wide.main(["--out", str(tmp_path), "--ways", "with,wth"]) == 2
    assert "ways: expected some of without, with, warm, got 'wth'" in capsys.readouterr().err


def test_a_training_is_scored_and_begins_where_it_was_told_to(tmp_path, monkeypatch):
    monkeypatch.setattr(wide, "RetrainConfig", partial(RetrainConfig, epochs=1))
    generate_synthetic(tmp_path / "log", rows=200, seed=3)
    found = wide.trained(tmp_path / "log", 0, 0, "warm", 0.1)
    assert 0 < found["test"] < 2
    assert found["best_step"] > 0
