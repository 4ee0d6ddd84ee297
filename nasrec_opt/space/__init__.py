"""The search space: genotypes, their choices, and the Optuna distributions that they are."""

from nasrec_opt.space._block_gene import FLOAT_BITS, BlockGene
from nasrec_opt.space._choices import HardwareChoices, is_active
from nasrec_opt.space._embedding import GenotypeEmbedding
from nasrec_opt.space._genotype import MERGER_VECTORS, Genotype
from nasrec_opt.space._hand_made import hand_made
from nasrec_opt.space._hardware_gene import HardwareGene
from nasrec_opt.space._liveness import (
    READ_SPARSE,
    BlockLiveness,
    Known,
    Reading,
    live_bits,
    live_parts,
    liveness,
    mask_of,
    readings_of,
)
from nasrec_opt.space._named import is_named, name_of, named_genotype, named_genotypes
from nasrec_opt.space._operators import (
    BALANCED_OPS,
    DENSE_OPS,
    OPERATORS,
    ORDERED_OPS,
    PRESETS,
    SPARSE_OPS,
    OperatorSpec,
    PresetName,
    attention_heads,
    balanced_vectors,
    preset_ops,
    reads,
)
from nasrec_opt.space._published import (
    PublishedModel,
    published,
    published_model,
    published_models,
)
from nasrec_opt.space._search_space import SearchSpace

__all__ = [
    "BALANCED_OPS",
    "DENSE_OPS",
    "FLOAT_BITS",
    "MERGER_VECTORS",
    "OPERATORS",
    "ORDERED_OPS",
    "PRESETS",
    "READ_SPARSE",
    "SPARSE_OPS",
    "BlockGene",
    "BlockLiveness",
    "Genotype",
    "GenotypeEmbedding",
    "HardwareChoices",
    "HardwareGene",
    "Known",
    "OperatorSpec",
    "PresetName",
    "PublishedModel",
    "Reading",
    "SearchSpace",
    "attention_heads",
    "balanced_vectors",
    "hand_made",
    "is_active",
    "is_named",
    "live_bits",
    "live_parts",
    "liveness",
    "mask_of",
    "name_of",
    "named_genotype",
    "named_genotypes",
    "preset_ops",
    "published",
    "published_model",
    "published_models",
    "readings_of",
    "reads",
]
