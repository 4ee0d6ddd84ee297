"""The sampler keeps Optuna's contract when it is loaded from a registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import optunahub
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, MultiObjectiveSamplerTestCase

REGISTRY = Path(__file__).resolve().parents[2]
optuna.logging.set_verbosity(optuna.logging.ERROR)


class TestRegularizedEvolution(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    """What Optuna asks of every sampler."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Makes a small one."""
        module = optunahub.load_local_module("regularized_evolution", registry_root=str(REGISTRY))
        return lambda: module.RegularizedEvolutionSampler(
            population_size=4, tournament_size=2, children_per_round=1, seed=0
        )
