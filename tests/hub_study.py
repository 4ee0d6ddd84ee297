"""Studies that a sampler is searched with, here and in a process that has Optuna alone.

    python hub_study.py FOLDER

prints their trials by the sampler of the package in FOLDER; whatever else is installed there is
kept from being imported.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from typing import Any

import optuna
from optuna.samplers import BaseSampler

OTHERS = {
    "nasrec_opt", "hw", "torch", "sklearn", "scipy", "polars", "pyarrow", "pandas", "mlflow",
    "botorch", "ax", "matplotlib", "plotly", "rich", "typer", "safetensors", "threadpoolctl",
}  # fmt: skip
OPTIONS: tuple[dict[str, Any], ...] = (
    {"population_size": 8},
    {"population_size": 8, "children_per_round": 2, "archive": True, "tie_break": "crowding"},
    {"population_size": 8, "mutations": 3, "decay_rounds": 4},
    {"population_size": 8, "children_per_round": 4, "screening": 8},
)


class Alone(MetaPathFinder):
    """Finds none of the packages that come with this library."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname.partition(".")[0] in OTHERS:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def objective(trial: optuna.Trial) -> tuple[float, float]:
    """Numbers, lists, a flag, and a parameter that is asked now and then; two values, a limit."""
    units = trial.suggest_categorical("hidden_units", [[64, 64], [32], [16]])
    layers = trial.suggest_int("layers", 1, 6)
    flag = trial.suggest_int("use_bn", 0, 1)
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    extra = trial.suggest_float("dropout", 0.0, 0.5, step=0.25) if layers > 3 else 0.0
    cost = float(layers * sum(units))
    trial.set_constraint("cost", cost - 200.0)
    return abs(rate - 0.01) + extra + flag / cost, cost


def trials(make: Callable[..., BaseSampler]) -> list[list[Any]]:
    """Parameters and values of every trial."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of choices that are lists
        for options in OPTIONS:
            study = optuna.create_study(
                directions=["minimize"] * 2, sampler=make(**options, seed=3)
            )
            study.optimize(objective, n_trials=48)
            found += [[trial.params, trial.values] for trial in study.trials]
    return found


if __name__ == "__main__":
    sys.meta_path.insert(0, Alone())
    sys.path.insert(0, sys.argv[1])
    from regularized_evolution import RegularizedEvolutionSampler

    print(json.dumps(trials(RegularizedEvolutionSampler)))
    assert not OTHERS & set(sys.modules)
