"""The metrics of a genotype that need no oracle; each may be an objective.

This is the one place where the units of `hw` become those of reports: ns to us, pJ to uJ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from hw import Cost, CostModel, DescriptionError
from nasrec_opt._metrics import SHAPE_METRICS
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering import configure, cost_many, count_many, lower
from nasrec_opt.objective._answers import checked_cost, name_of
from nasrec_opt.objective._failures import blamed
from nasrec_opt.oracle import Evaluation
from nasrec_opt.space import Genotype

UNITS = {  # of a metric: the field of a cost, and what it is multiplied with
    "latency_us": ("latency_ns", 1e-3),
    "energy_uj": ("energy_pj", 1e-6),
    "area_mm2": ("area_mm2", 1.0),
}
DEFAULT_WITH_ACCELERATOR = ("log_loss", "latency_us", "energy_uj")


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a genotype other than its log loss: metrics, and the cost by operator."""

    metrics: dict[str, float]
    breakdown: dict[str, dict[str, float]] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a trial of a genotype needs to know.

    Args:
        figures: Its figures.
        evaluation: The oracle's answer.
        seconds: How long `cost` and `oracle` took.
    """

    figures: Figures
    evaluation: Evaluation
    seconds: dict[str, float]


def figures_of(
    genotype: Genotype,
    features: FeatureSpec | None,
    accelerator: CostModel | None,
    *,
    balance: bool = True,
) -> Figures:
    """Compute all figures of a genotype other than its log loss.

    Args:
        genotype: The architecture; its accelerator genes configure the accelerator.
        features: Shape of the input, or None, without which nothing can be computed.
        accelerator: What the model runs on, or None for no cost.
        balance: Whether dot products project their vectors.

    Raises:
        DescriptionError: The accelerator refuses the genotype.
        TrialError: The accelerator raises anything else, or does not return a `Cost`.
    """
    if features is None:
        return Figures({}, None)
    workload = lower(genotype, features, balance=balance)
    metrics: dict[str, float] = {name: getattr(workload, name) for name in SHAPE_METRICS}
    if accelerator is None:
        return Figures(metrics, None)
    what = f"cost model {name_of(accelerator)}"
    with blamed(what, DescriptionError):
        if genotype.hardware is not None:
            accelerator = configure(accelerator, genotype.hardware)
        cost = checked_cost(accelerator.cost(workload), what)
        breakdown = by_operator(cost)
    # A cost model may answer in numbers of any library; they become floats before they are scaled.
    metrics |= {name: float(getattr(cost, field)) * unit for name, (field, unit) in UNITS.items()}
    return Figures(metrics, breakdown)


def metrics_many(
    genotypes: Sequence[Genotype],
    features: FeatureSpec,
    accelerator: CostModel | None = None,
    *,
    balance: bool = True,
) -> dict[str, npt.NDArray[Any]]:
    """Compute the metrics that need no oracle, for many genotypes at once.

    Args:
        genotypes: Architectures; their accelerator genes configure the accelerator.
        features: Shape of the input.
        accelerator: What the models run on, or None for no costs.
        balance: Whether dot products project their vectors, like the oracle's `balance`.

    Returns:
        Values `[genotypes]` by name, equal to those of `Objective.metrics`, without `log_loss`.

    Raises:
        DescriptionError: The accelerator refuses one of the genotypes.
        StudyError: The accelerator is a class, has no `cost`, or does not return a `Cost`.

    Example:
        >>> from hw import ReRAM
        >>> from nasrec_opt import BlockGene
        >>> models = [Genotype((BlockGene(dense_width=width),)) for width in (16, 32)]
        >>> found = metrics_many(models, FeatureSpec(13, (100,) * 26), ReRAM())
        >>> sorted(found)
        ['area_mm2', 'energy_uj', 'latency_us', 'mflops', 'mflops_paper', 'parameters']
    """
    counts = count_many(genotypes, features, balance=balance)
    metrics: dict[str, npt.NDArray[Any]] = {name: getattr(counts, name) for name in SHAPE_METRICS}
    if accelerator is not None:
        costs = cost_many(genotypes, features, accelerator, balance=balance)
        metrics |= {name: getattr(costs, field) * unit for name, (field, unit) in UNITS.items()}
    return metrics


def by_operator(cost: Cost) -> dict[str, dict[str, float]]:
    """Sum latency and energy by operator; the sums add up to the totals.

    Args:
        cost: A cost with its breakdown by operation.

    Returns:
        For each of `latency_us` and `energy_uj`, values by operator name.
    """
    found: dict[str, dict[str, float]] = {"latency_us": {}, "energy_uj": {}}
    for part in cost.breakdown:
        for name, values in found.items():
            field, unit = UNITS[name]
            value = float(getattr(part, field)) * unit
            values[part.operator] = values.get(part.operator, 0.0) + value
    return found
