"""What `study.optimize` takes: a trial becomes a genotype, the genotype its metrics.

Log loss comes from an oracle, cost from an accelerator. Values cross from the units of `hw` to
those that people read here, once: ns to us, pJ to uJ.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optuna import TrialPruned
from optuna.trial import BaseTrial

from hw import Cost, CostModel
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering import configure, lower
from nasrec_opt.oracle import Evaluation, Oracle, Report, architecture, can_report
from nasrec_opt.space import BlockGene, Genotype, SearchSpace

COST_METRICS = ("latency_us", "energy_uj", "area_mm2")  # need an accelerator
SHAPE_METRICS = ("mflops", "parameters")  # need the shape of the input
METRICS = ("log_loss", *COST_METRICS, *SHAPE_METRICS)
DEFAULT_WITH_ACCELERATOR = ("log_loss", "latency_us", "energy_uj")

AnyOracle = Oracle | Callable[[Genotype], Evaluation | float]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Metrics of one genotype, and what a trial writes down beside them."""

    metrics: dict[str, float]
    attributes: dict[str, Any]


class _ToTrial:
    """Tells a trial of log losses on the way, and stops it where the study's pruner says so."""

    def __init__(self, trial: BaseTrial) -> None:
        self._trial = trial
        self.log_loss: float | None = None

    def __call__(self, step: int, log_loss: float) -> None:
        self.log_loss = log_loss
        self._trial.report(log_loss, step)
        if self._trial.should_prune():
            raise TrialPruned(f"log loss {log_loss:.6f} after {step:,} steps")


class Objective:
    """Scores Optuna trials; all metrics are minimised.

    A trial gets the user attributes `genotype` (JSON), `seconds` (of `oracle` and `cost`), `auc`
    where the oracle knows it, `mflops` and `parameters` where the input is known, `area_mm2` and
    `breakdown` (latency and energy by operator) where there is an accelerator, and those metrics
    that are not objectives. A genotype asked again is answered from memory.

    Where log loss is the only objective and the oracle takes `report`, as a `SupernetOracle` does,
    log losses on the way go to the trial, and the study's pruner may end it; a pruned trial has the
    attributes of its last log loss. Optuna prunes in studies of one objective alone.

    Args:
        space: What is searched.
        oracle: Scores genotypes: an `Oracle`, or a function from a genotype to an `Evaluation` or
            a log loss.
        accelerator: What the model runs on; accelerator genes configure it.
        features: Shape of the input; nothing = the oracle's.
        objectives: Metrics of `METRICS`, in order; nothing = log loss, and with an accelerator
            latency and energy.
        constraints: Largest value allowed, by metric; a trial above it is infeasible.

    Raises:
        StudyError: A metric is unknown, named twice, or cannot be computed from what is given.

    Example:
        >>> objective = Objective(space, oracle, ReRAM(), constraints={"area_mm2": 30.0})
        >>> study = optuna.create_study(directions=["minimize"] * len(objective.metric_names))
        >>> study.optimize(objective, n_trials=256)
    """

    def __init__(
        self,
        space: SearchSpace,
        oracle: AnyOracle,
        accelerator: CostModel | None = None,
        *,
        features: FeatureSpec | None = None,
        objectives: Sequence[str] | None = None,
        constraints: Mapping[str, float] | None = None,
    ) -> None:
        if objectives is None:
            objectives = ("log_loss",) if accelerator is None else DEFAULT_WITH_ACCELERATOR
        self.space = space
        self.oracle = oracle
        self.accelerator = accelerator
        self.features = features or getattr(oracle, "features", None)
        self.metric_names = tuple(objectives)
        self.constraints = dict(constraints or {})
        self._check()
        self._reports = self.metric_names == ("log_loss",) and can_report(oracle)
        self._evaluations: dict[tuple[BlockGene, ...], Evaluation] = {}
        self._outcomes: dict[Genotype, _Outcome] = {}

    def __call__(self, trial: BaseTrial) -> float | tuple[float, ...]:
        """Score a trial.

        Returns:
            The value of the only objective, or the values in the order of `metric_names`.
        """
        genotype = self.space.suggest(trial)
        on_the_way = _ToTrial(trial) if self._reports else None
        started = time.perf_counter()
        try:
            evaluation = self._evaluate(genotype, on_the_way)
        except TrialPruned:
            if on_the_way and on_the_way.log_loss is not None:
                evaluated = time.perf_counter()
                outcome = self._compute(genotype, Evaluation(on_the_way.log_loss))
                self._write(trial, genotype, outcome, (started, evaluated))
            raise
        evaluated = time.perf_counter()
        outcome = self._outcome(genotype, evaluation)
        self._write(trial, genotype, outcome, (started, evaluated))
        values = tuple(outcome.metrics[name] for name in self.metric_names)
        return values[0] if len(values) == 1 else values

    def _write(
        self, trial: BaseTrial, genotype: Genotype, outcome: _Outcome, times: tuple[float, float]
    ) -> None:
        """Write down beside a trial's values what belongs there."""
        started, evaluated = times
        seconds = {
            "oracle": round(evaluated - started, 6),
            "cost": round(time.perf_counter() - evaluated, 6),
        }
        # Each attribute is a transaction of the storage: only what cannot be derived is set.
        attributes = {"genotype": genotype.to_json(), **outcome.attributes, "seconds": seconds}
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        if self.constraints:
            already = getattr(trial, "constraints", {})  # of a trial taken up again after a kill
            for name, largest in self.constraints.items():
                if name not in already:
                    trial.set_constraint(name, outcome.metrics[name] - largest)

    def metrics(self, genotype: Genotype) -> dict[str, float]:
        """All metrics of a genotype that can be computed, by name."""
        return dict(self._outcome(genotype, self._evaluate(genotype)).metrics)

    def _evaluate(self, genotype: Genotype, report: Report | None = None) -> Evaluation:
        key = architecture(genotype)
        known = self._evaluations.get(key)
        if known is not None:
            for step, value in known.intermediate if report else ():
                report(step, value)
            return known
        options = {"report": report} if report else {}
        answer = getattr(self.oracle, "evaluate", self.oracle)(genotype, **options)
        if not isinstance(answer, Evaluation):
            answer = Evaluation(float(answer))
        self._evaluations[key] = answer
        return answer

    def _outcome(self, genotype: Genotype, evaluation: Evaluation) -> _Outcome:
        key = genotype.canonical()
        if key not in self._outcomes:
            self._outcomes[key] = self._compute(genotype, evaluation)
        return self._outcomes[key]

    def _compute(self, genotype: Genotype, evaluation: Evaluation) -> _Outcome:
        metrics = {"log_loss": float(evaluation.log_loss)}
        breakdown = None
        if self.features is not None:
            workload = lower(genotype, self.features)
            metrics |= {"mflops": workload.mflops, "parameters": workload.parameters}
            if self.accelerator is not None:
                accelerator = self.accelerator
                if genotype.hardware is not None:
                    accelerator = configure(accelerator, genotype.hardware)
                cost = accelerator.cost(workload)
                metrics["latency_us"] = cost.latency_ns * 1e-3  # ns -> us
                metrics["energy_uj"] = cost.energy_pj * 1e-6  # pJ -> uJ
                metrics["area_mm2"] = cost.area_mm2
                breakdown = by_operator(cost)
        attributes: dict[str, Any] = {}
        if evaluation.auc is not None and math.isfinite(evaluation.auc):
            attributes["auc"] = evaluation.auc
        always = (*SHAPE_METRICS, "area_mm2")
        for name, value in metrics.items():
            if name in always or name not in self.metric_names:
                attributes[name] = value
        if evaluation.difference is not None:
            attributes["difference"] = asdict(evaluation.difference)
        if breakdown is not None:
            attributes["breakdown"] = breakdown
        return _Outcome(metrics, attributes)

    def _check(self) -> None:
        asked = [("objectives", name) for name in self.metric_names]
        for where, name in (*asked, *(("constraints", name) for name in self.constraints)):
            if name not in METRICS:
                raise StudyError(f"{where}: expected metrics of {', '.join(METRICS)}, got {name!r}")
            if name in COST_METRICS and self.accelerator is None:
                raise StudyError(f"{where}: {name} needs an accelerator, got none")
            if name != "log_loss" and self.features is None:
                raise StudyError(
                    f"{where}: {name} needs the shape of the input, got no features and an oracle "
                    "without them"
                )
        if not self.metric_names or len(set(self.metric_names)) < len(self.metric_names):
            raise StudyError(f"objectives: expected distinct metrics, got {self.metric_names}")
        for name, largest in self.constraints.items():
            if math.isnan(largest):
                raise StudyError(f"constraints: {name}: expected a number, got {largest}")


def by_operator(cost: Cost) -> dict[str, dict[str, float]]:
    """Latency and energy summed by operator; they add up to the totals."""
    found: dict[str, dict[str, float]] = {"latency_us": {}, "energy_uj": {}}
    for part in cost.breakdown:
        for name, value in (
            ("latency_us", part.latency_ns * 1e-3),  # ns -> us
            ("energy_uj", part.energy_pj * 1e-6),  # pJ -> uJ
        ):
            found[name][part.operator] = found[name].get(part.operator, 0.0) + value
    return found
