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


def test_a_small_population_alone_searches_flags_and_lists() -> None:
    """The tournament follows the population; ranges of two values and lists are searched."""

    def objective(trial: optuna.Trial) -> float:
        units = trial.suggest_categorical("hidden_units", [[400, 400], [256, 128], [64]])
        flag = trial.suggest_int("use_bn", 0, 1)
        optimizer = trial.suggest_categorical("optimizer", ["adam", "adam"])
        return sum(units) + flag + len(optimizer) + trial.suggest_float("x", 0, 1)

    module = optunahub.load_local_module("regularized_evolution", registry_root=str(REGISTRY))
    sampler = module.RegularizedEvolutionSampler(population_size=8, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=60)
    assert study.best_params["hidden_units"] == [64]
    assert study.best_params["use_bn"] == 0
