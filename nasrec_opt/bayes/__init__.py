"""Bayesian choice from a pool of genotypes: a Gaussian process ranks what evolution proposes."""
