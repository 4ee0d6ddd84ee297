"""The metrics of a genotype: their names, and those that need no oracle.

Values cross from the units of `hw` to those that people read here, once: ns to us, pJ to uJ.
"""

from __future__ import annotations

from dataclasses import dataclass

from hw import Cost, CostModel
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering import configure, lower
from nasrec_opt.space import Genotype

COST_METRICS = ("latency_us", "energy_uj", "area_mm2")  # need an accelerator
SHAPE_METRICS = ("mflops", "parameters")  # need the shape of the input
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
    """
    if features is None:
        return Figures({}, None)
    workload = lower(genotype, features)
    metrics = {"mflops": workload.mflops, "parameters": workload.parameters}
    if accelerator is None:
        return Figures(metrics, None)
    if genotype.hardware is not None:
        accelerator = configure(accelerator, genotype.hardware)
    cost = accelerator.cost(workload)
    metrics["latency_us"] = cost.latency_ns * 1e-3  # ns -> us
    metrics["energy_uj"] = cost.energy_pj * 1e-6  # pJ -> uJ
    metrics["area_mm2"] = cost.area_mm2
    return Figures(metrics, by_operator(cost))


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
