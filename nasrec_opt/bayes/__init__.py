"""Bayesian choice from a pool of genotypes: a Gaussian process ranks what evolution proposes."""

from nasrec_opt.bayes._acquisition import require_botorch, select_batch
from nasrec_opt.bayes._pool import propose_pool
from nasrec_opt.bayes._sampler import PoolBayesSampler

__all__ = [
    "PoolBayesSampler",
    "propose_pool",
    "require_botorch",
    "select_batch",
]
