"""Who proposes in a comparison of samplers: ours, those of Optuna and Ax, and of other libraries.

Every contender is a function that spends a budget of trials on a problem. What each trial cost
besides its evaluation is taken down with its values.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import BaseTrial, FixedTrial

from nasrec_opt.errors import MissingExtraError
from nasrec_opt.samplers import make_sampler
from studies._problems import Floats, Problem


@dataclass
class Record:
    """The trials of one contender on one problem, in their order.

    Args:
        problem: The problem.
    """

    problem: Problem
    values: list[tuple[float, ...]] = field(default_factory=list)
    overheads_s: list[float] = field(default_factory=list)
    _last: float = field(default_factory=time.perf_counter)

    def __call__(self, trial: BaseTrial) -> float | tuple[float, ...]:
        """Score a trial; whatever passed since the one before, but evaluation, is its overhead."""
        point = self.problem.suggest(trial)
        before = time.perf_counter()
        values = self.problem.evaluate(point)
        self.overheads_s.append(before - self._last)
        self.values.append(values)
        self._last = time.perf_counter()
        return values[0] if len(values) == 1 else values


Search = Callable[[Record, int, int], None]  # what it records, trials, seed


@dataclass(frozen=True)
class Contender:
    """Someone to compare.

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
        return make_sampler(
            name, problem.space, seed=seed, num_objectives=problem.num_objectives, **options
        )

    return of_optuna(make)


def _pool_bayes(problem: Problem, seed: int) -> BaseSampler:
    from nasrec_opt.bayes import PoolBayesSampler

    assert problem.space is not None
    return PoolBayesSampler(problem.space, seed=seed)


def _ax(problem: Problem, seed: int) -> BaseSampler:
    from nasrec_opt.ax import AxSampler

    assert problem.space is not None
    names = [f"objective_{number}" for number in range(problem.num_objectives)]
    return AxSampler(problem.space, metric_names=names, seed=seed)


def pymoo_nsga2(record: Record, num_trials: int, seed: int) -> None:
    """NSGA-II of pymoo: simulated binary crossover for numbers, its mixed variables for genes."""
    try:
        from pymoo.algorithms.moo.nsga2 import NSGA2, RankAndCrowdingSurvival
        from pymoo.core.mixed import MixedVariableGA
        from pymoo.core.problem import ElementwiseProblem
        from pymoo.core.variable import Choice, Integer
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.repair.rounding import RoundingRepair
        from pymoo.operators.sampling.rnd import IntegerRandomSampling
        from pymoo.optimize import minimize
    except ImportError as error:
        raise MissingExtraError("pymoo", "bench") from error

    space = record.problem.distributions()
    is_numeric = all(isinstance(d, IntDistribution) for d in space.values())

    class Asked(ElementwiseProblem):  # type: ignore[misc]  # pymoo has no types
        def _evaluate(self, x: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
            params = dict(zip(space, map(int, x), strict=True)) if is_numeric else dict(x)
            out["F"] = np.atleast_1d(record(FixedTrial(params)))

    if is_numeric:
        low, high = zip(*((d.low, d.high) for d in space.values()), strict=True)  # type: ignore[attr-defined]
        problem = Asked(
            n_var=len(space), n_obj=record.problem.num_objectives, xl=low, xu=high, vtype=int
        )
        algorithm = NSGA2(
            pop_size=50,  # as Optuna's
            sampling=IntegerRandomSampling(),
            crossover=SBX(prob=0.9, eta=15, vtype=float, repair=RoundingRepair()),
            mutation=PM(eta=20, vtype=float, repair=RoundingRepair()),
        )
    else:
        problem = Asked(
            vars={
                name: Choice(options=distribution.choices)
                if isinstance(distribution, CategoricalDistribution)
                else Integer(bounds=(distribution.low, distribution.high))  # type: ignore[attr-defined]
                for name, distribution in space.items()
            },
            n_obj=record.problem.num_objectives,
        )
        algorithm = MixedVariableGA(pop_size=50, survival=RankAndCrowdingSurvival())
    minimize(problem, algorithm, ("n_eval", num_trials), seed=seed, verbose=False)


def syne_tune_evolution(record: Record, num_trials: int, seed: int) -> None:
    """Regularized evolution of Syne Tune, one objective, with the paper's population."""
    try:
        from syne_tune.config_space import choice
        from syne_tune.optimizer.schedulers.searchers.regularized_evolution import (
            RegularizedEvolution,
        )
    except ImportError as error:
        raise MissingExtraError("Syne Tune", "bench") from error
    np.random.seed(seed)  # noqa: NPY002  # its first population ignores its own seed
    choices = {name: choice(_choices(d)) for name, d in record.problem.distributions().items()}
    searcher = RegularizedEvolution(
        choices, population_size=128, sample_size=64, random_seed=seed, points_to_evaluate=[]
    )
    for number in range(num_trials):
        config = searcher.suggest()
        searcher.on_trial_complete(str(number), config, record(FixedTrial(config)))


def _choices(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution)
    return list(range(distribution.low, distribution.high + 1, distribution.step))


SPACE = frozenset({"space"})
EVOLUTION = "evolution"  # whom the others are compared with
RANDOM = "random"
CONTENDERS: Mapping[str, Contender] = {
    EVOLUTION: Contender("ours", named("evolution")),
    "evolution_screened": Contender("ours, screened", named("evolution", screening=32)),
    "evolution_crowding": Contender(
        "ours, ties by crowding", named("evolution", tie_break="crowding")
    ),
    "nsga2": Contender("Optuna NSGA-II", named("nsga2")),
    "nsga3": Contender("Optuna NSGA-III", named("nsga3")),
    "tpe": Contender("Optuna TPE, multivariate", named("tpe", multivariate=True, group=True), 500),
    RANDOM: Contender("random", named("random")),
    "pymoo_nsga2": Contender("pymoo NSGA-II", pymoo_nsga2),
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
