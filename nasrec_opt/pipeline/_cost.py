"""What one architecture costs, in the units people read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hw import Accelerator, ReRAM, read_accelerator
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering import configure, lower
from nasrec_opt.objective import by_operator
from nasrec_opt.space import Genotype


def accelerator_of(technology: Path | None) -> Accelerator:
    """What a technology file describes, or the ReRAM accelerator that ships."""
    return ReRAM() if technology is None else read_accelerator(technology)


def architecture_cost(
    genotype: Genotype,
    *,
    technology: Path | None = None,
    features: FeatureSpec | None = None,
    num_dense: int = 13,
    num_sparse: int = 26,
) -> dict[str, Any]:
    """Cost of one sample through one architecture.

    Args:
        genotype: The architecture; its accelerator genes, if any, configure the accelerator.
        technology: Technology TOML, of ReRAM, RecNMP or a CPU; nothing = the ReRAM that ships.
        features: Shape of the input; nothing = `num_dense` and `num_sparse` features.
        num_dense: Dense features.
        num_sparse: Sparse features; their vocabularies do not enter the cost.

    Returns:
        `latency_us`, `energy_uj`, `area_mm2`, `leakage_mw`, `mflops`, `parameters`, and `breakdown`
        of latency and energy by operator.
    """
    features = features or FeatureSpec(num_dense, (1,) * num_sparse)
    workload = lower(genotype, features)
    accelerator = accelerator_of(technology)
    if genotype.hardware is not None:
        accelerator = configure(accelerator, genotype.hardware)
    cost = accelerator.cost(workload)
    return {
        "latency_us": cost.latency_ns * 1e-3,  # ns -> us
        "energy_uj": cost.energy_pj * 1e-6,  # pJ -> uJ
        "area_mm2": cost.area_mm2,
        "leakage_mw": cost.leakage_mw,
        "mflops": workload.mflops,
        "parameters": workload.parameters,
        "breakdown": by_operator(cost),
    }
