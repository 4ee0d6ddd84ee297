"""The contenders in a comparison of samplers: ours, those of Optuna, and others (`_peers`).

Every contender is a function that spends a budget of trials on a problem. What each trial cost
besides its evaluation is recorded with its values.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler

from nasrec_opt.errors import MissingExtraError
from nasrec_opt.samplers import RegularizedEvolutionSampler, make_sampler
from studies._peers import Record, linas, pymoo_nsga2, smac, syne_tune_evolution
from studies._problems import Floats, Problem

Search = Callable[[Record, int, int], None]  # what it records, trials, seed


@dataclass(frozen=True)
class Contender:
    """A search to compare.

    Args:
        label: For people.
        search: Spends the budget.
        most: Largest budget that it is given, since its time a trial grows.
        only: `space` for those that need genotypes, `single` for those of one objective.
    """

    label: str
    search: Search
    most: int | None = None
    only: frozenset[str] = frozenset()

    def takes(self, problem: Problem) -> bool:
        """Whether it can search there."""
        has = {"space"} if problem.space is not None else {"numbers"}
        has |= {"single"} if problem.num_objectives == 1 else {"several"}
        return self.only <= has


def of_optuna(make: Callable[[Problem, int], BaseSampler]) -> Search:
    """A study in memory with a sampler."""

    def search(record: Record, num_trials: int, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental samplers say so once a trial
            study = optuna.create_study(
                directions=["minimize"] * record.problem.num_objectives,
                sampler=make(record.problem, seed),
            )
            study.optimize(record, n_trials=num_trials)

    return search


def named(name: str, **options: Any) -> Search:
    """A sampler by the name that study files use."""

    def make(problem: Problem, seed: int) -> BaseSampler:
        return make_sampler(name, problem.space, seed=seed, **options)

    return of_optuna(make)


def of_hub(package: str, name: str) -> Search:
    """A sampler of OptunaHub: from the folder that `OPTUNAHUB_REGISTRY` names, or the registry."""

    def make(problem: Problem, seed: int) -> BaseSampler:
        try:
            import optunahub
        except ImportError as error:
            raise MissingExtraError("optunahub", "bench") from error
        registry = os.environ.get(REGISTRY)
        where = f"samplers/{package}"
        module = (
            optunahub.load_local_module(where, registry_root=registry)
            if registry
            else optunahub.load_module(where)
        )
        sampler: BaseSampler = getattr(module, name)(seed=seed)
        return sampler

    return of_optuna(make)


def _paper(problem: Problem, seed: int) -> BaseSampler:
    return RegularizedEvolutionSampler.paper(problem.space, seed=seed)


def _pool_bayes(problem: Problem, seed: int) -> BaseSampler:
    from nasrec_opt.bayes import PoolBayesSampler

    assert problem.space is not None
    return PoolBayesSampler(problem.space, seed=seed)


def _ax(problem: Problem, seed: int) -> BaseSampler:
    from nasrec_opt.ax import AxSampler

    assert problem.space is not None
    names = [f"objective_{number}" for number in range(problem.num_objectives)]
    return AxSampler(problem.space, metric_names=names, seed=seed)


SPACE = frozenset({"space"})
REGISTRY = "OPTUNAHUB_REGISTRY"  # environment variable: a copy of its folder `package`
EVOLUTION = "evolution"  # what the others are compared with
RANDOM = "random"
CONTENDERS: Mapping[str, Contender] = {
    EVOLUTION: Contender("ours", named("evolution")),
    "evolution_paper": Contender("ours, as in the paper", of_optuna(_paper)),
    "evolution_small": Contender("ours, 32, 16, 8", named("evolution", population_size=32)),
    "nsga2": Contender("Optuna NSGA-II", named("nsga2")),
    "nsga3": Contender("Optuna NSGA-III", named("nsga3")),
    "tpe": Contender("Optuna TPE, multivariate", named("tpe", multivariate=True, group=True), 300),
    RANDOM: Contender("random", named("random")),
    "hub_auto": Contender("OptunaHub AutoSampler", of_hub("auto_sampler", "AutoSampler"), 300),
    "hub_hype": Contender(
        "OptunaHub HypE", of_hub("hype", "HypESampler"), only=frozenset({"several"})
    ),
    "hub_moead": Contender(
        "OptunaHub MOEA/D", of_hub("moead", "MOEADSampler"), only=frozenset({"several"})
    ),
    "pymoo_nsga2": Contender("pymoo NSGA-II", pymoo_nsga2),
    "linas": Contender("LINAS (pymoo, ridge)", linas, 600),
    "smac": Contender("SMAC3", smac, 100),
    "syne_tune": Contender(
        "Syne Tune regularized evolution", syne_tune_evolution, only=frozenset({"single", "space"})
    ),
    "pool_bayes": Contender("ours, PoolBayes (BoTorch)", of_optuna(_pool_bayes), 250, SPACE),
    "ax": Contender("Ax, our strategy", of_optuna(_ax), 150, SPACE),
    "gp": Contender("Optuna GP", named("gp"), 30, frozenset({"single"})),
}


def records(
    contender: Contender, problem: Problem, num_trials: int, seed: int
) -> tuple[Floats, Floats]:
    """Values `[trials, objectives]` and overheads in seconds `[trials]` of one search."""
    record = Record(problem)
    contender.search(record, num_trials, seed)
    return np.array(record.values[:num_trials]), np.array(record.overheads_s[:num_trials])
