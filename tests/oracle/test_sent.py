"""An oracle in another process answers as this one, and shares what it reads."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from oracle.models import SPACES, oracle_of

from hw import Noise, ReRAM
from nasrec_opt.data import Dataset
from nasrec_opt.distributed._mapped import read, read_bytes, share
from nasrec_opt.lowering import CrossbarCells
from nasrec_opt.options import AdagradFit, FineTune, Scratch
from nasrec_opt.oracle import NoisyOracle
from nasrec_opt.supernet import Supernet

SPACE = SPACES["plain"]  # whose models are trained soonest
FIDELITIES = {
    "supernet": {},
    "newton": {"fidelity": "last_layer"},
    "folds": {"fidelity": "last_layer", "last_layer": "folds"},
    "adagrad": {"fidelity": "last_layer", "last_layer": AdagradFit(steps=4, batch_size=64)},
    "fine_tune": {"fidelity": FineTune(steps=3, batch_size=32)},
    "scratch": {"fidelity": Scratch(epochs=1, batch_size=1000)},
}


@pytest.fixture(scope="module")
def supernet(supernets) -> Supernet:
    return supernets["plain"]


@pytest.mark.parametrize("name", FIDELITIES)
def test_answers_are_the_same_at_every_fidelity(supernet, dataset, name):
    oracle = oracle_of(supernet, dataset, **FIDELITIES[name])
    genotypes = [SPACE.sample(np.random.default_rng(seed)) for seed in range(2)]
    before = oracle.evaluate(genotypes[0])  # with this answer, and block outputs that it kept
    with share(oracle) as file:
        sent = read(file.fileno())
    assert sent.evaluate(genotypes[0]) == before
    assert sent.evaluate_many(genotypes) == oracle.evaluate_many(genotypes)
    assert sent.data_fingerprint == oracle.data_fingerprint


@pytest.mark.parametrize("name", FIDELITIES)
def test_an_oracle_needs_no_file_and_writes_to_nothing_that_was_sent(
    supernet, dataset, name, tmp_path
):
    """On another machine it reads the rows and weights that all oracles of that machine read."""
    folder = shutil.copytree(dataset.path, tmp_path / "dataset")
    oracle = oracle_of(supernet, Dataset.open(folder, **dataset.view), **FIDELITIES[name])
    genotype = SPACE.sample(np.random.default_rng(0))
    with share(oracle, with_files=True) as file:
        file.seek(0)
        whole = np.frombuffer(bytearray(file.read()), np.uint8)
    shutil.rmtree(folder)
    before = whole.copy()
    answer = read_bytes(whole).evaluate(genotype)
    assert answer == oracle_of(supernet, dataset, **FIDELITIES[name]).evaluate(genotype)
    assert np.array_equal(whole, before)


def test_a_noisy_oracle_can_be_sent(supernets, dataset):
    oracle = oracle_of(supernets["bits"], dataset, bits="genotype")
    noisy = NoisyOracle(oracle, CrossbarCells(ReRAM(), Noise(conductance_sigma=0.1), seed=0))
    genotype = oracle.supernet.space.sample(np.random.default_rng(0))
    with share(noisy) as file:
        assert read(file.fileno()).evaluate(genotype) == noisy.evaluate(genotype)


def test_weights_and_rows_are_mapped_not_copied(supernet, dataset):
    oracle = oracle_of(supernet, dataset, reference=SPACE.sample(np.random.default_rng(0)))
    held = sum(weight.nbytes for weight in supernet.state_dict().values())
    with share(oracle) as file:
        size = file.seek(0, 2)
        sent = read(file.fileno())
    assert size < held + 20e6
    table = sent.supernet.embedding.table
    assert torch.equal(table, supernet.embedding.table)
    assert table.data_ptr() % 64 == 0
