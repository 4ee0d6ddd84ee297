"""The search space: genotypes, their choices, and the Optuna distributions that they are."""

from nasrec_opt.space._canonical import BlockLiveness, liveness
from nasrec_opt.space._choices import HardwareChoices
from nasrec_opt.space._genotype import BlockGene, Genotype, HardwareGene
from nasrec_opt.space._search_space import SearchSpace

__all__ = [
    "BlockGene",
    "BlockLiveness",
    "Genotype",
    "HardwareChoices",
    "HardwareGene",
    "SearchSpace",
    "liveness",
]
