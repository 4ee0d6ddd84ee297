"""The search space: genotypes, their choices, and the Optuna distributions that they are."""

from nasrec_opt.space._canonical import BlockLiveness, liveness
from nasrec_opt.space._genotype import BlockGene, Genotype, HardwareGene

__all__ = ["BlockGene", "BlockLiveness", "Genotype", "HardwareGene", "liveness"]
