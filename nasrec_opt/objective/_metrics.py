"""The metrics of a genotype that need no oracle, and which an objective may be.

Values cross from the units of `hw` to those that people read here, once: ns to us, pJ to uJ.
"""

from __future__ import annotations

from dataclasses import dataclass

from hw import Cost, CostModel, DescriptionError
from nasrec_opt._metrics import COST_METRICS, SHAPE_METRICS
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering import configure, lower
from nasrec_opt.objective._answers import checked_cost, name_of
from nasrec_opt.objective._failures import blamed
from nasrec_opt.space import Genotype

METRICS = ("log_loss", *COST_METRICS, *SHAPE_METRICS)
DEFAULT_WITH_ACCELERATOR = ("log_loss", "latency_us", "energy_uj")


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a genotype without its log loss: metrics, and the cost by operator."""

    metrics: dict[str, float]
    breakdown: dict[str, dict[str, float]] | None


def figures_of(
    genotype: Genotype, features: FeatureSpec | None, accelerator: CostModel | None
) -> Figures:
    """What is known of a genotype without its log loss.

    Args:
        genotype: The architecture; its accelerator genes configure the accelerator.
        features: Shape of the input, or None where nothing can be computed.
        accelerator: What the model runs on, or None for no cost.

    Raises:
        DescriptionError: The accelerator refuses the genotype.
        TrialError: The accelerator raises anything else, or answers no `Cost`.
    """
    if features is None:
        return Figures({}, None)
    workload = lower(genotype, features)
    metrics: dict[str, float] = {name: getattr(workload, name) for name in SHAPE_METRICS}
    if accelerator is None:
        return Figures(metrics, None)
    what = f"cost model {name_of(accelerator)}"
    with blamed(what, DescriptionError):
        if genotype.hardware is not None:
            accelerator = configure(accelerator, genotype.hardware)
        cost = checked_cost(accelerator.cost(workload), what)
        breakdown = by_operator(cost)
    metrics["latency_us"] = float(cost.latency_ns) * 1e-3  # ns -> us
    metrics["energy_uj"] = float(cost.energy_pj) * 1e-6  # pJ -> uJ
    metrics["area_mm2"] = float(cost.area_mm2)
    return Figures(metrics, breakdown)


def by_operator(cost: Cost) -> dict[str, dict[str, float]]:
    """Sum latency and energy by operator; the sums add up to the totals.

    Args:
        cost: A cost with its breakdown by operation.

    Returns:
        For each of `latency_us` and `energy_uj`, values by operator name.
    """
    found: dict[str, dict[str, float]] = {"latency_us": {}, "energy_uj": {}}
    for part in cost.breakdown:
        for name, value in (
            ("latency_us", float(part.latency_ns) * 1e-3),  # ns -> us
            ("energy_uj", float(part.energy_pj) * 1e-6),  # pJ -> uJ
        ):
            found[name][part.operator] = found[name].get(part.operator, 0.0) + value
    return found
