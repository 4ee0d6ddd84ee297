"""Structured pruning of trained models (paper, section 6.2): smaller widths, same operators."""

from nasrec_opt.pruning._choice import Original, choose, num_weights, unit_scores
from nasrec_opt.pruning._config import METHODS, Method, PruneConfig
from nasrec_opt.pruning._cut import cut
from nasrec_opt.pruning._masks import MaskedSubnet, MaskGenerator, MaskReader, pruned_weights
from nasrec_opt.pruning._prune import Round, prune
from nasrec_opt.pruning._units import Kept, all_units, groups_of, pruned_genotype, shortcuts_of

__all__ = [
    "METHODS",
    "Kept",
    "MaskGenerator",
    "MaskReader",
    "MaskedSubnet",
    "Method",
    "Original",
    "PruneConfig",
    "Round",
    "all_units",
    "choose",
    "cut",
    "groups_of",
    "num_weights",
    "prune",
    "pruned_genotype",
    "pruned_weights",
    "shortcuts_of",
    "unit_scores",
]
