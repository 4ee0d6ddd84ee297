"""The pool and the Gaussian process as an Optuna sampler."""

from __future__ import annotations

from optuna.samplers import RandomSampler


class PoolBayesSampler(RandomSampler):
    """To be written."""
