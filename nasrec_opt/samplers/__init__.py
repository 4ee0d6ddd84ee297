"""Optuna samplers: ageing evolution over genotypes, and any other made exactly resumable."""

from nasrec_opt.options._sizes import children_bred, evolution_sizes, pool_sizes
from nasrec_opt.samplers._evolution import RegularizedEvolutionSampler
from nasrec_opt.samplers._hypervolume import hypervolume
from nasrec_opt.samplers._make import SAMPLERS, make_sampler
from nasrec_opt.samplers._seeded import PerTrialSeededSampler, SeededRandomSampler
from nasrec_opt.samplers._selection import (
    crowding_distance,
    is_feasible,
    non_dominated,
    peeled,
)

__all__ = [
    "SAMPLERS",
    "PerTrialSeededSampler",
    "RegularizedEvolutionSampler",
    "SeededRandomSampler",
    "children_bred",
    "crowding_distance",
    "evolution_sizes",
    "hypervolume",
    "is_feasible",
    "make_sampler",
    "non_dominated",
    "peeled",
    "pool_sizes",
]
