"""Searches that are not Optuna samplers: pymoo, Syne Tune, SMAC3, and the loop of LINAS.

Each spends a budget of trials by calling a `Record`, which answers and takes the time: that of the
processor, so that what else the machine does counts for little.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import BaseTrial, FixedTrial

from nasrec_opt.errors import MissingExtraError
from studies._problems import Floats, Problem

LINAS_BATCH = 50  # trials between two fits, and the first population
LINAS_GENERATIONS = 50  # of the inner search on the surrogate


@dataclass
class Record:
    """The trials of one contender on one problem, in their order.

    Args:
        problem: The problem.
    """

    problem: Problem
    values: list[tuple[float, ...]] = field(default_factory=list)
    overheads_s: list[float] = field(default_factory=list)
    _last: float = field(default_factory=time.process_time)

    def __call__(self, trial: BaseTrial) -> float | tuple[float, ...]:
        """Score a trial; whatever passed since the one before, but evaluation, is its overhead."""
        point = self.problem.suggest(trial)
        before = time.process_time()
        values = self.problem.evaluate(point)
        self.overheads_s.append(before - self._last)
        self.values.append(values)
        self._last = time.process_time()
        return values[0] if len(values) == 1 else values


Params = dict[str, Any]


def pymoo_nsga2(record: Record, num_trials: int, seed: int) -> None:
    """NSGA-II of pymoo: simulated binary crossover for numbers, its mixed variables for genes."""
    try:
        from pymoo.core.problem import ElementwiseProblem
        from pymoo.optimize import minimize
    except ImportError as error:
        raise MissingExtraError("pymoo", "bench") from error
    space = record.problem.distributions()

    class Asked(ElementwiseProblem):  # type: ignore[misc]  # pymoo has no types
        """The problem itself, one point at a time."""

        def _evaluate(self, x: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
            out["F"] = np.atleast_1d(record(FixedTrial(_params(x, space))))

    problem, algorithm = _pymoo(Asked, space, record.problem.num_objectives)
    minimize(problem, algorithm, ("n_eval", num_trials), seed=seed, verbose=False)


def _pymoo(
    make: Callable[..., Any], space: dict[str, BaseDistribution], num_objectives: int
) -> tuple[Any, Any]:
    """A problem of pymoo's over a space, and NSGA-II for it with a population of 50, as Optuna's.

    Args:
        make: Class of the problem.
        space: Its parameters: all numbers, or of any kind.
        num_objectives: Its objectives.
    """
    from pymoo.algorithms.moo.nsga2 import NSGA2, RankAndCrowdingSurvival
    from pymoo.core.mixed import MixedVariableGA
    from pymoo.core.variable import Choice, Integer
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    if all(isinstance(d, IntDistribution) for d in space.values()):
        low, high = zip(*((d.low, d.high) for d in space.values()), strict=True)  # type: ignore[attr-defined]
        algorithm = NSGA2(
            pop_size=50,
            sampling=IntegerRandomSampling(),
            crossover=SBX(prob=0.9, eta=15, vtype=float, repair=RoundingRepair()),
            mutation=PM(eta=20, vtype=float, repair=RoundingRepair()),
        )
        problem = make(n_var=len(space), n_obj=num_objectives, xl=low, xu=high, vtype=int)
        return problem, algorithm
    variables = {
        name: Choice(options=distribution.choices)
        if isinstance(distribution, CategoricalDistribution)
        else Integer(bounds=(distribution.low, distribution.high))  # type: ignore[attr-defined]
        for name, distribution in space.items()
    }
    algorithm = MixedVariableGA(pop_size=50, survival=RankAndCrowdingSurvival())
    return make(vars=variables, n_obj=num_objectives), algorithm


def _params(x: Any, space: dict[str, BaseDistribution]) -> Params:
    """Parameters of what pymoo proposes."""
    return dict(x) if isinstance(x, dict) else dict(zip(space, map(int, x), strict=True))


def _one_hot(params: Sequence[Params], listed: dict[str, list[Any]]) -> Floats:
    """A zero or one for each choice; numbers of many values as their place, `[params, columns]`."""
    rows = []
    for given in params:
        row: list[float] = []
        for name, choices in listed.items():
            place = choices.index(given[name])
            if isinstance(choices[0], int) and not isinstance(choices[0], bool):
                row.append(place / max(len(choices) - 1, 1))
            else:
                row += [float(place == other) for other in range(len(choices))]
        rows.append(row)
    return np.array(rows)


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


def linas(record: Record, num_trials: int, seed: int) -> None:
    """The loop of LINAS: NSGA-II on a surrogate of each objective, then the best are evaluated.

    As in DyNAS-T: 50 at random; then, again and again, ridge regressions over one-hot parameters
    are fitted to all that is known, pymoo's NSGA-II searches them for some generations, and the
    best 50 of its last population that are new are evaluated.

    References:
        Cummings et al. 2022, arXiv:2205.10358.
    """
    try:
        from pymoo.core.problem import ElementwiseProblem
        from pymoo.optimize import minimize
    except ImportError as error:
        raise MissingExtraError("pymoo", "bench") from error
    from sklearn.linear_model import Ridge

    space = record.problem.distributions()
    rng = np.random.default_rng(seed)
    known: list[Params] = []
    values: list[tuple[float, ...]] = []

    def evaluate(params: Params) -> None:
        answer = record(FixedTrial(params))
        known.append(params)
        values.append(answer if isinstance(answer, tuple) else (answer,))

    def drawn() -> Params:
        return {name: choices[rng.integers(len(choices))] for name, choices in listed.items()}

    listed = {name: _choices(d) for name, d in space.items()}
    for _ in range(min(LINAS_BATCH, num_trials)):
        evaluate(drawn())
    while len(known) < num_trials:
        surrogate = Ridge(alpha=1.0).fit(_one_hot(known, listed), np.array(values))

        class Expected(ElementwiseProblem):  # type: ignore[misc]  # pymoo has no types
            """What the surrogate expects of a point."""

            def _evaluate(self, x: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
                row = _one_hot([_params(x, space)], listed)
                out["F"] = surrogate.predict(row)[0]  # noqa: B023 -- called before the next round

        problem, algorithm = _pymoo(Expected, space, record.problem.num_objectives)
        ends = ("n_gen", LINAS_GENERATIONS)
        found = minimize(problem, algorithm, ends, seed=seed + len(known), verbose=False)
        order = np.argsort([member.get("rank") for member in found.pop], kind="stable")
        new = [_params(found.pop[place].X, space) for place in order]
        new = [params for params in new if params not in known][:LINAS_BATCH]
        for params in [*new, *(drawn() for _ in range(not new))][: num_trials - len(known)]:
            evaluate(params)


def smac(record: Record, num_trials: int, seed: int) -> None:
    """SMAC3's facade for hyperparameters: random forests, ParEGO where there are objectives."""
    try:
        from ConfigSpace import Categorical, ConfigurationSpace, Integer
        from smac import HyperparameterOptimizationFacade as Facade
        from smac import Scenario
        from smac.runhistory.dataclasses import TrialValue
    except ImportError as error:
        raise MissingExtraError("SMAC3", "bench") from error
    space = record.problem.distributions()
    listed = {name: _choices(d) for name, d in space.items()}
    configurations = ConfigurationSpace(seed=seed)
    for name, distribution in space.items():
        if isinstance(distribution, IntDistribution):
            configurations.add(Integer(name, (distribution.low, distribution.high)))
        else:  # of a choice its number: SMAC3 has no lists
            configurations.add(Categorical(name, list(range(len(listed[name])))))
    names = [f"objective_{number}" for number in range(record.problem.num_objectives)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scenario = Scenario(
            configurations,
            objectives=names if len(names) > 1 else names[0],
            deterministic=True,
            n_trials=num_trials,
            seed=seed,
            output_directory=Path(folder),
        )
        several: dict[str, Any] = {
            "multi_objective_algorithm": Facade.get_multi_objective_algorithm(scenario)
        }
        facade = Facade(
            scenario,
            lambda config, seed=0: 0.0,
            overwrite=True,
            logging_level=False,
            **(several if len(names) > 1 else {}),
        )
        for _ in range(num_trials):
            asked = facade.ask()
            params = {
                name: asked.config[name]
                if isinstance(space[name], IntDistribution)
                else listed[name][int(asked.config[name])]
                for name in space
            }
            answer = record(FixedTrial(params))
            cost = list(answer) if isinstance(answer, tuple) else answer
            facade.tell(asked, TrialValue(cost=cost))
