"""Hand-made models: a step against the package's own `fit`, log loss against scikit-learn's."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch
from optuna.trial import FixedTrial
from sklearn.metrics import log_loss as expected_log_loss

from nasrec_opt.data import generate_synthetic
from studies._handmade import FAMILIES, Options, build, joined, learn, log_loss, train

pytest.importorskip("deepctr_torch")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return generate_synthetic(tmp_path_factory.mktemp("log") / "log", rows=500)


def test_a_step_is_that_of_fit(dataset):
    here, there = (build(Options(), dataset, seed=3) for _ in range(2))
    batch = dataset.split("train").rows(slice(0, 64))
    learn(here.train(), batch)
    with contextlib.redirect_stdout(io.StringIO()):
        columns = list(joined(batch).numpy().T)
        there.fit(columns, batch.labels, batch_size=64, epochs=1, verbose=0, shuffle=False)
    for one, other in zip(here.parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns(family, dataset):
    options = Options(family=family, hidden="64", embedding_dim=4, batch_size=64)
    scored: list[float] = []
    steps: list[None] = []
    found = train(
        options,
        dataset,
        0,
        progress=lambda: steps.append(None),
        report=lambda _, v: scored.append(v),
    )
    assert found[0] == pytest.approx(min(scored))  # the best weights, not the last ones
    assert scored[0] > min(scored)
    assert len(steps) >= len(scored)


def test_log_loss_is_that_of_scikit_learn(dataset):
    model = build(Options(), dataset, seed=0)
    split = dataset.split("test")
    rows = split.rows(slice(None))
    with torch.inference_mode():
        chances = model.eval()(joined(rows)).squeeze(-1).double().numpy()
    assert log_loss(model, split) == pytest.approx(expected_log_loss(rows.labels, chances))


def test_a_trial_is_asked_for_every_option():
    asked = FixedTrial(
        {
            "family": "DCN",
            "hidden": "64",
            "embedding_dim": 8,
            "learning_rate": 1e-3,
            "batch_size": 64,
            "l2": 1e-4,
            "dropout": 0.1,
            "min_count": 2,
            "binned_dense": False,
        }
    )
    options = Options.suggest(asked, FAMILIES)
    assert options == Options(**asked.params)
    alone = Options.suggest(FixedTrial(asked.params | {"family": "x"}), ("WDL",))
    assert alone.family == "WDL"


def test_the_seed_decides_all(dataset):
    options = Options(hidden="64", embedding_dim=4, batch_size=64)
    quiet = {"progress": lambda: None, "report": lambda *_: None}
    assert train(options, dataset, 1, **quiet) == train(options, dataset, 1, **quiet)
    assert np.isfinite(train(options, dataset, 1, **quiet)).all()
