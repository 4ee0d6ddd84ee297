"""What samplers are compared on: a table of subnets, a live supernet, landscapes, functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.trial import BaseTrial

from hw import ReRAM
from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.objective import Objective
from nasrec_opt.oracle import OracleOptions, SupernetOracle
from nasrec_opt.samplers import hypervolume, non_dominated
from nasrec_opt.space import SearchSpace
from nasrec_opt.tabular import TabularBenchmark
from studies._landscapes import LANDSCAPES, Landscape

Floats = npt.NDArray[np.float64]
MARGIN = 0.1  # of the front's range, between the worst of the front and the reference point
LANDSCAPE_SEED = 0
LEVELS = 32  # values of each parameter of a public function


class Problem(Protocol):
    """Objectives to minimise, with the asking and the answering apart, since one is timed.

    Args:
        space: Space of the genotypes, or None where parameters are plain numbers.
        num_objectives: Values of a point.
        front: Values of the best points, `[front, objectives]`, or None where they are not known.
    """

    num_objectives: int

    @property
    def space(self) -> SearchSpace | None: ...

    @property
    def front(self) -> Floats | None: ...

    def distributions(self) -> dict[str, BaseDistribution]:
        """List the parameters of the problem."""

    def suggest(self, trial: BaseTrial) -> Any:
        """Ask a trial for a point."""

    def evaluate(self, point: Any) -> tuple[float, ...]:
        """Compute the objectives of a point."""


class Table:
    """The tabular benchmark that ships with the package.

    Args:
        objectives: Of its metrics.
    """

    def __init__(self, *objectives: str) -> None:
        self._benchmark = TabularBenchmark.load(objectives=objectives)
        self.space: SearchSpace | None = self._benchmark.space
        self.num_objectives = len(objectives)
        self.front: Floats | None = self._benchmark.front

    def distributions(self) -> dict[str, BaseDistribution]:
        """Of all parameters that a trial may be asked for."""
        return dict(self._benchmark.space.distributions())

    def suggest(self, trial: BaseTrial) -> Any:
        """A genotype."""
        return self._benchmark.space.suggest(trial)

    def evaluate(self, point: Any) -> tuple[float, ...]:
        """What the table has."""
        metrics = self._benchmark.metrics(point)
        return tuple(metrics[name] for name in self._benchmark.metric_names)


class Live:
    """A trained supernet, asked for each model, with a ReRAM accelerator that is searched as well.

    Args:
        space: Space of the genotypes, with accelerator genes.
        folder: Of the supernet.
        rows: Validation rows of a query.
    """

    front: Floats | None = None

    def __init__(self, space: SearchSpace, folder: Path, rows: int) -> None:
        oracle = SupernetOracle.load(folder, options=OracleOptions(rows=rows))
        self._space = space
        self._objective = Objective(self._space, oracle, ReRAM())
        self.space: SearchSpace | None = self._space
        self.num_objectives = len(self._objective.metric_names)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Of all parameters that a trial may be asked for."""
        return dict(self._space.distributions())

    def suggest(self, trial: BaseTrial) -> Any:
        """A genotype."""
        return self._space.suggest(trial)

    def evaluate(self, point: Any) -> tuple[float, ...]:
        """Log loss, latency, energy."""
        metrics = self._objective.metrics(point)
        return tuple(metrics[name] for name in self._objective.metric_names)


class Public:
    """A function of pymoo, each parameter of which has 32 values at equal distances.

    Args:
        name: As pymoo calls it, for example `zdt1` or `dtlz2`.
        num_parameters: Parameters.
        num_objectives: Objectives; those of ZDT have two.

    References:
        Zitzler, Deb and Thiele 2000 (ZDT); Deb, Thiele, Laumanns and Zitzler 2005 (DTLZ).
    """

    space: SearchSpace | None = None

    def __init__(self, name: str, num_parameters: int, num_objectives: int) -> None:
        try:
            from pymoo.problems import get_problem
        except ImportError as error:
            raise MissingExtraError("pymoo", "bench") from error
        options = {"n_obj": num_objectives} if name.startswith("dtlz") else {}
        self._function = get_problem(name, n_var=num_parameters, **options)
        self._names = [f"x{number}" for number in range(1, num_parameters + 1)]
        self.num_objectives = num_objectives

    @cached_property
    def front(self) -> Floats | None:
        """Of the function as it is published; with 32 values the best are close to it."""
        if self.num_objectives == 2:
            return np.asarray(self._function.pareto_front())
        from pymoo.util.ref_dirs import get_reference_directions

        directions = get_reference_directions("das-dennis", self.num_objectives, n_partitions=40)
        return np.asarray(self._function.pareto_front(directions))

    def distributions(self) -> dict[str, BaseDistribution]:
        """Of all parameters that a trial may be asked for."""
        return {name: IntDistribution(0, LEVELS - 1) for name in self._names}

    def suggest(self, trial: BaseTrial) -> Any:
        """A point of the function's domain, `[parameters]`."""
        steps = np.array([trial.suggest_int(name, 0, LEVELS - 1) for name in self._names])
        low, high = self._function.xl, self._function.xu
        return low + steps / (LEVELS - 1) * (high - low)

    def evaluate(self, point: Any) -> tuple[float, ...]:
        """Values of the function."""
        return tuple(float(value) for value in self._function.evaluate(point))


PROBLEMS = {
    "table": "the table of subnets: log loss, latency, energy",
    "table_log_loss": "the table of subnets: log loss alone",
    "live": "a live supernet with an accelerator: log loss, latency, energy",
    "blocks": "blocks, a made-up landscape: 7-block Full genotypes, loss, latency, energy",
    "trap": "trap, a made-up landscape: 7-block Full genotypes, loss, latency, energy",
    "pairs": "pairs, a made-up landscape that the defaults were chosen on",
    "flow": "flow, a made-up landscape that the defaults were chosen on",
    "zdt1": "ZDT1: 10 parameters, 2 objectives",
    "zdt3": "ZDT3: 10 parameters, 2 objectives, a front in pieces",
    "dtlz2": "DTLZ2: 10 parameters, 3 objectives",
}


def make_problem(name: str, supernet: tuple[SearchSpace, Path, int] | None = None) -> Problem:
    """The problem of that name, of `PROBLEMS`.

    Args:
        name: The name.
        supernet: For `live`: the space, the supernet's folder, validation rows of a query.

    Raises:
        StudyError: `live` has no supernet.
        MissingExtraError: pymoo is not installed.
    """
    if name == "live":
        if supernet is None:
            raise StudyError("live: expected a supernet")
        return Live(*supernet)
    make: dict[str, Callable[[], Problem]] = {
        "table": lambda: Table("log_loss", "latency_us", "energy_uj"),
        "table_log_loss": lambda: Table("log_loss"),
        **{kind: partial(Landscape, kind, LANDSCAPE_SEED) for kind in LANDSCAPES},
        "zdt1": lambda: Public("zdt1", 10, 2),
        "zdt3": lambda: Public("zdt3", 10, 2),
        "dtlz2": lambda: Public("dtlz2", 10, 3),
    }
    return make[name]()


class Yardstick:
    """How far trials are from the best that is known.

    Several objectives: the share of the front's hypervolume that is missing. One objective: the
    difference to the best value.

    Args:
        front: The best values known, `[front, objectives]`.
        reference: Reference point, `[objectives]`; None means a tenth of the front's range beyond
            its worst values.
    """

    def __init__(self, front: Floats, reference: Floats | None = None) -> None:
        front = front[non_dominated(front)]
        self._low = front.min(axis=0)
        if reference is None:
            reference = front.max(axis=0) + MARGIN * np.ptp(front, axis=0)
        self._width = np.where(reference > self._low, reference - self._low, 1.0)
        self._whole = self._volume(front)

    def missing(self, values: Floats, marks: Sequence[int]) -> list[float]:
        """What is missing after so many trials; smaller is better.

        Args:
            values: Objectives in the order of the trials, `[trials, objectives]`.
            marks: Numbers of trials, ascending.
        """
        found: list[float] = []
        best, start = values[:0], 0
        for mark in marks:
            best = np.concatenate((best, values[start:mark]))
            best = best[non_dominated(best)]
            start = mark
            if len(self._low) == 1:
                found.append(float(best[0, 0] - self._low[0]))
            else:
                found.append(1.0 - self._volume(best) / self._whole)
        return found

    def _volume(self, values: Floats) -> float:
        return hypervolume((values - self._low) / self._width, np.ones(len(self._low)))
