"""Small studies with the attributes that `Objective` sets, without a model behind them."""

from __future__ import annotations

import warnings

import optuna

from nasrec_opt.space import SearchSpace

SPACE = SearchSpace.nasrec_small(num_blocks=2)
METRIC_NAMES = ["log_loss", "latency_us", "energy_uj"]


def create(storage: str | None = None, name: str = "toy", seed: int = 0) -> optuna.Study:
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=["minimize"] * 3,
        sampler=optuna.samplers.RandomSampler(seed=seed),
        load_if_exists=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(METRIC_NAMES)
    return study


def objective(trial: optuna.Trial) -> tuple[float, float, float]:
    genotype = SPACE.suggest(trial)
    widths = [block.dense_width for block in genotype.blocks]
    attributes = {
        "genotype": genotype.to_json(),
        "auc": 0.75,
        "mflops": sum(widths) / 1000,
        "parameters": sum(widths),
        "area_mm2": 4.0,
        "breakdown": {"latency_us": {"fc": 1.0}},
        "seconds": {"oracle": 0.5, "cost": 0.1},
    }
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    trial.set_constraint("area_mm2", -1.0)
    return 1 / sum(widths), float(max(widths)), float(sum(widths))


def single(storage: str | None = None) -> optuna.Study:
    """A study of one objective with a complete, a pruned and a failed trial."""
    study = optuna.create_study(study_name="states", storage=storage)

    def values(trial: optuna.Trial) -> float:
        trial.suggest_categorical("b1.dense/inputs (0+1)", ["0", "0+1"])
        for step in range(3):
            trial.report(10.0 - step, step)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ValueError("no such genotype")
        return float("inf")

    study.optimize(values, n_trials=3, catch=(ValueError,))
    return study
