"""An oracle from the folder of a trained supernet."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from oracle.models import SPACES, draw

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.errors import DataError, StudyError
from nasrec_opt.oracle import OracleOptions, SupernetOracle
from nasrec_opt.supernet import Supernet, TrainConfig, train_supernet

SPACE = SPACES["plain"]
GENOTYPE = draw(SPACE, 4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run folder with a dataset, read in a way of its own, and the supernet trained on it."""
    folder = tmp_path_factory.mktemp("run")
    generate_synthetic(folder / "dataset", rows=1200, seed=3)
    dataset = Dataset.open(folder / "dataset", min_count=3, binned_dense=True)
    supernet = Supernet(SPACE, dataset.features)
    train_supernet(supernet, dataset, folder / "supernet", TrainConfig(batch_size=128))
    return folder


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    """The run folder, moved elsewhere."""
    return shutil.copytree(trained, tmp_path / "moved")


def test_the_dataset_is_opened_as_it_was_read_in_training(trained):
    oracle = SupernetOracle.load(trained / "supernet", options=OracleOptions(rows=50))
    dataset = Dataset.open(trained / "dataset", min_count=3, binned_dense=True)
    again = SupernetOracle(Supernet.load(trained / "supernet"), dataset, OracleOptions(rows=50))
    assert oracle.evaluate(GENOTYPE) == again.evaluate(GENOTYPE)
    assert oracle.features == dataset.features
    assert oracle.num_rows == 50


def test_a_run_folder_may_be_moved(trained, folder, monkeypatch):
    expected = SupernetOracle.load(trained / "supernet").evaluate(GENOTYPE)
    assert SupernetOracle.load(folder / "supernet").evaluate(GENOTYPE) == expected
    monkeypatch.chdir(folder)
    assert SupernetOracle.load("supernet").evaluate(GENOTYPE) == expected
    shutil.move(folder / "dataset", folder / "elsewhere")
    with pytest.raises(DataError, match=r"dataset: expected a dataset, found no dataset\.json"):
        SupernetOracle.load("supernet")
    moved = Dataset.open("elsewhere", min_count=3, binned_dense=True)
    assert SupernetOracle.load("supernet", moved).evaluate(GENOTYPE) == expected


def test_options_reach_the_oracle(trained):
    options = OracleOptions(rows=40, fidelity="last_layer", last_layer="adagrad", fit_rows=64)
    means = {"options": options, "chunk_rows": 9, "memory_bytes": 10_000}
    oracle = SupernetOracle.load(trained / "supernet", **means)
    dataset = Dataset.open(trained / "dataset", min_count=3, binned_dense=True)
    again = SupernetOracle(Supernet.load(trained / "supernet"), dataset, **means)
    assert oracle.evaluate(GENOTYPE) == again.evaluate(GENOTYPE)
    assert oracle.evaluate(GENOTYPE) != SupernetOracle.load(
        trained / "supernet", options=OracleOptions(rows=40)
    ).evaluate(GENOTYPE)
    assert oracle._predictor._caches[0].capacity_bytes <= 10_000
    assert (oracle.options.fidelity, oracle.options.last_layer) == ("last_layer", "adagrad")


@pytest.mark.parametrize("view", [{"min_count": 3}, {"min_count": 2, "binned_dense": True}])
def test_a_dataset_read_in_another_way_is_refused(trained, view):
    dataset = Dataset.open(trained / "dataset", **view)
    with pytest.raises(StudyError, match=r"expected the dataset that .* was trained on, fingerp"):
        SupernetOracle.load(trained / "supernet", dataset)


def test_another_dataset_is_refused(folder, tmp_path):
    other = generate_synthetic(tmp_path / "other", rows=1200, seed=4)
    with pytest.raises(
        StudyError, match=f"other: expected the dataset .* got {other.fingerprint[:12]}"
    ):
        SupernetOracle.load(folder / "supernet", other)


def test_an_unfinished_training_is_refused(trained, tmp_path):
    (tmp_path / "supernet" / "checkpoint").mkdir(parents=True)
    with pytest.raises(StudyError, match=r"supernet: expected a supernet, found no model\.json"):
        SupernetOracle.load(tmp_path / "supernet")
    Supernet.load(trained / "supernet").save(tmp_path / "untrained")
    with pytest.raises(StudyError, match=r"training\.json: expected the description of a finished"):
        SupernetOracle.load(tmp_path / "untrained")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1, 2]",
        "{}",
        '{"dataset": null}',
        '{"dataset": {"path": "x", "fingerprint": "y"}}',
        '{"dataset": {"path": "x", "fingerprint": "y", "view": 3}}',
        '{"dataset": {"path": "x", "fingerprint": "y", "view": {"min_count": "few"}}}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_description_is_one_sentence(folder, text):
    file = folder / "supernet" / "training.json"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(StudyError, match=r"training\.json: expected the description of a fin"):
        SupernetOracle.load(folder / "supernet")


@pytest.mark.parametrize("split", ["validation", "train"])
def test_a_split_without_rows_is_refused(folder, split):
    dataset = folder / "dataset"
    for file in ("dense", "sparse", "labels"):
        np.save(dataset / split / file, np.load(dataset / split / f"{file}.npy")[:0])
    meta = json.loads((dataset / "dataset.json").read_text())
    meta["rows"][split] = 0
    (dataset / "dataset.json").write_text(json.dumps(meta))
    with pytest.raises(StudyError, match=f"dataset: expected {split} rows, found none"):
        SupernetOracle.load(folder / "supernet", options=OracleOptions(fidelity="last_layer"))
