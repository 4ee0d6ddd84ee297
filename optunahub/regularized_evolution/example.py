"""Two objectives over integers, floats and categories; a constraint; a study that goes on."""

from __future__ import annotations

from pathlib import Path

import optuna
import optunahub


def objective(trial: optuna.Trial) -> tuple[float, float]:
    """Error and cost of a made-up model, of which the cost may not exceed 40."""
    layers = trial.suggest_int("layers", 1, 8)
    width = trial.suggest_categorical("width", [8, 16, 32, 64])
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    cost = layers * width / 8
    trial.set_constraint("cost", cost - 40)
    return 1 / (layers * width) + abs(rate - 0.01), cost


def main() -> None:
    """Search, and print the Pareto front."""
    # From the registry itself: optunahub.load_module("samplers/regularized_evolution").
    registry = Path(__file__).resolve().parents[1]
    module = optunahub.load_local_module("regularized_evolution", registry_root=str(registry))
    sampler = module.RegularizedEvolutionSampler(
        population_size=20, tournament_size=10, children_per_round=4, seed=0
    )
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    study.optimize(objective, n_trials=200)
    for trial in sorted(study.best_trials, key=lambda trial: trial.values[1]):
        error, cost = trial.values
        print(f"error {error:.4f}, cost {cost:.0f}: {trial.params}")


if __name__ == "__main__":
    main()
