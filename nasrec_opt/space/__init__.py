"""The search space: genotypes, their choices, and the Optuna distributions that they are."""

from nasrec_opt.space._canonical import BlockLiveness, live_bits, liveness, reads_sparse_inputs
from nasrec_opt.space._choices import HardwareChoices, is_active
from nasrec_opt.space._embedding import GenotypeEmbedding
from nasrec_opt.space._genotype import (
    DENSE_OPS,
    FLOAT_BITS,
    MERGER_ROWS,
    SPARSE_OPS,
    BlockGene,
    Genotype,
    HardwareGene,
)
from nasrec_opt.space._published import PublishedModel, published_model, published_models
from nasrec_opt.space._search_space import SearchSpace

__all__ = [
    "DENSE_OPS",
    "FLOAT_BITS",
    "MERGER_ROWS",
    "SPARSE_OPS",
    "BlockGene",
    "BlockLiveness",
    "Genotype",
    "GenotypeEmbedding",
    "HardwareChoices",
    "HardwareGene",
    "PublishedModel",
    "SearchSpace",
    "is_active",
    "live_bits",
    "liveness",
    "published_model",
    "published_models",
    "reads_sparse_inputs",
]
