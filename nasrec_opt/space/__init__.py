"""The search space: genotypes, their choices, and the Optuna distributions that they are."""

from nasrec_opt.space._canonical import BlockLiveness, liveness, reads_sparse_inputs
from nasrec_opt.space._choices import HardwareChoices, is_active
from nasrec_opt.space._embedding import GenotypeEmbedding
from nasrec_opt.space._genotype import MERGER_ROWS, BlockGene, Genotype, HardwareGene
from nasrec_opt.space._search_space import SearchSpace

__all__ = [
    "MERGER_ROWS",
    "BlockGene",
    "BlockLiveness",
    "Genotype",
    "GenotypeEmbedding",
    "HardwareChoices",
    "HardwareGene",
    "SearchSpace",
    "is_active",
    "liveness",
    "reads_sparse_inputs",
]
