from __future__ import annotations

import pytest
from oracle.models import SPACES, supernet_of

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.supernet import Supernet


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Dataset:
    return generate_synthetic(tmp_path_factory.mktemp("log") / "dataset", rows=2500, seed=1)


@pytest.fixture(scope="session")
def supernets(dataset) -> dict[str, Supernet]:
    """A supernet for each space, by name."""
    return {name: supernet_of(space, dataset) for name, space in SPACES.items()}


@pytest.fixture(scope="session")
def supernet(supernets) -> Supernet:
    return supernets["multi"]
