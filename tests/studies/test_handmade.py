"""Hand-made models of the races: which hyperparameters they have, and that they learn."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.trial import FixedTrial

from nasrec_opt.data import generate_synthetic
from studies._handmade import FAMILIES, Options, train

pytest.importorskip("deepctr_torch")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return generate_synthetic(tmp_path_factory.mktemp("log") / "log", rows=500)


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
    options = Options.suggest(asked, tuple(FAMILIES))
    assert options == Options(**asked.params)
    alone = Options.suggest(FixedTrial(asked.params | {"family": "x"}), ("WDL",))
    assert alone.family == "WDL"


def test_the_seed_decides_all(dataset):
    options = Options(hidden="64", embedding_dim=4, batch_size=64)
    quiet = {"progress": lambda: None, "report": lambda *_: None}
    assert train(options, dataset, 1, **quiet) == train(options, dataset, 1, **quiet)
    assert np.isfinite(train(options, dataset, 1, **quiet)).all()
