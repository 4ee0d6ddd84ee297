"""Regularized (ageing) evolution, from nasrec-opt."""

from nasrec_opt.samplers import RegularizedEvolutionSampler

__all__ = ["RegularizedEvolutionSampler"]
