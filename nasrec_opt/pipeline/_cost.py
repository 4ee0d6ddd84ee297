"""The cost of one architecture, in the units of reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hw import Accelerator, Cost, ReRAM, Workload, read_accelerator
from hw.errors import HwError
from nasrec_opt._metrics import SHAPE_METRICS, definitions
from nasrec_opt.errors import NasrecError
from nasrec_opt.lowering import configure, lower, lower_ensemble
from nasrec_opt.objective import by_operator
from nasrec_opt.pipeline._conditions import Conditions
from nasrec_opt.report import plot_cost
from nasrec_opt.space import Genotype

NOTES = {
    "per": "Latency and energy are those of one sample.",
    "latency_us": "Latency 0: off the critical path, done while a slower operator works.",
    "mflops": definitions("mflops", "mflops_paper"),
}


def accelerator_of(technology: Path | None) -> Accelerator:
    """The accelerator of a technology file, or the default ReRAM accelerator."""
    return ReRAM() if technology is None else read_accelerator(technology)


def architecture_cost(
    genotype: Genotype, conditions: Conditions, *, plot: Path | None = None
) -> dict[str, Any]:
    """Cost of one sample through one architecture.

    Args:
        genotype: The architecture; its accelerator genes, if any, configure the accelerator.
        conditions: The columns that it reads, and the accelerator.
        plot: File for a plot of latency and energy by operator and component, `.svg` or `.png`.

    Returns:
        `latency_us`, `energy_uj`, `area_mm2`, `leakage_mw`, `samples_per_s`, `mflops`,
        `mflops_paper`, `parameters`, `breakdown` of latency and energy by operator, and
        `components`: latency, energy and area by component; `conditions` that the figures hold
        for, and `notes` on what they mean.
    """
    workload = lower(genotype, conditions.features, **conditions.of_model)
    accelerator = conditions.accelerator
    if genotype.hardware is not None:
        accelerator = configure(accelerator, genotype.hardware)
    cost = accelerator.cost(workload)
    if plot is not None:
        plot_cost(
            cost, plot, f"One sample, {workload.mflops:.3g} MFLOPs, {conditions.technology.name}"
        )
    return {
        **_totals(cost, workload),
        "breakdown": by_operator(cost),
        "components": {
            "latency_us": {c.name: c.latency_ns * 1e-3 for c in cost.components},  # ns -> us
            "energy_uj": {c.name: c.energy_pj * 1e-6 for c in cost.components},  # pJ -> uJ
            "area_mm2": {c.name: c.area_mm2 for c in cost.components},
        },
        "conditions": conditions.in_words()
        | {"has_accelerator_genes": genotype.hardware is not None},
        "notes": NOTES,
    }


def costs_where_possible(genotype: Genotype, conditions: Conditions) -> dict[str, Any]:
    """Cost a model that the accelerator may be unable to run, as crossbars are with floats.

    Args:
        genotype: The architecture.
        conditions: The columns that it reads, and the accelerator.

    Returns:
        Totals of `architecture_cost`; only the counts where it cannot run there.
    """
    try:
        figures = architecture_cost(genotype, conditions)
    except (HwError, NasrecError):
        workload = lower(genotype, conditions.features, **conditions.of_model)
        return {name: getattr(workload, name) for name in SHAPE_METRICS}
    for name in ("breakdown", "conditions", "notes"):  # the last two are the same for all models
        del figures[name]
    return figures


def ensemble_cost(genotypes: Sequence[Genotype], conditions: Conditions) -> dict[str, Any]:
    """Compute the cost of one sample through several models whose logits are averaged.

    Two epochs of one model have weights of their own, and cost what two models cost.

    Args:
        genotypes: The architecture of each member, once for each time that it is run; all have the
            same accelerator genes, or none has any.
        conditions: The columns that they read, and the accelerator.

    Returns:
        The totals of `architecture_cost`, of all models on one accelerator.
    """
    accelerator, genes = conditions.accelerator, genotypes[0].hardware
    # On crossbars each model has its own and all run at once; on a processor they run in turn.
    at_once = isinstance(accelerator, ReRAM)
    workload = lower_ensemble(
        genotypes, conditions.features, at_once=at_once, **conditions.of_model
    )
    if genes is not None:
        accelerator = configure(accelerator, genes)
    return _totals(accelerator.cost(workload), workload)


def _totals(cost: Cost, workload: Workload) -> dict[str, Any]:
    return {
        "latency_us": cost.latency_ns * 1e-3,  # ns -> us
        "energy_uj": cost.energy_pj * 1e-6,  # pJ -> uJ
        "area_mm2": cost.area_mm2,
        "leakage_mw": cost.leakage_mw,
        "samples_per_s": cost.samples_per_s,
        **{name: getattr(workload, name) for name in SHAPE_METRICS},
    }
